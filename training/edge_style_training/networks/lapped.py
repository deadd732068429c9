"""A head that enlarges without a grid: overlapping patches under a smooth window.

Enlarging by 4 with a convolution and a pixel shuffle lets every one of the 16 subpixels have
filters of its own, and what differs between them shows as a 4-pixel grid. Two constraints on the
weights remove it, both folded into a plain convolution for inference, so that they cost nothing:

- Every coarse cell paints a patch of 3x3 cells under a raised-cosine window, as the lapped
  transforms of audio and image coding do (Malvar 1992) against blocking: a patch fades out where
  the next begins.
- A constant feature map gives a constant picture: the filters of all subpixels sum to the same.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn


def _window(factor: int) -> Tensor:
    """Raised cosine over the 3 * `factor` pixels of a patch, as [subpixel, tap].

    Tap 0 is the cell before: its patch reaches here with its far side. For every subpixel the taps
    sum to one.
    """
    subpixel = torch.arange(factor, dtype=torch.float32).view(-1, 1)
    tap = torch.tensor([-1.0, 0.0, 1.0]).view(1, -1)
    distance = subpixel - (factor - 1) / 2 - factor * tap
    window = torch.cos(math.pi * distance / (3 * factor)) ** 2
    return window / window.sum(dim=1, keepdim=True)


class LappedUpsample(nn.Module):
    """Features [N, C, h, w] -> pictures [N, out_channels, factor * h, factor * w]."""

    def __init__(self, channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.out_channels = out_channels
        self.weight = nn.Parameter(torch.empty(out_channels, factor, factor, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.normal_(self.weight, std=0.3 / math.sqrt(9 * channels))
        axis = _window(factor)
        window = axis.view(factor, 1, 3, 1) * axis.view(1, factor, 1, 3)
        self.register_buffer("window", window.unsqueeze(2).unsqueeze(0), persistent=False)

    def convolution_weight(self) -> Tensor:
        """The constrained weights as those of a 3x3 convolution before a pixel shuffle."""
        window: Tensor = self.get_buffer("window")
        weight = self.weight * (window * 9)  # 9: a window of mean one keeps the initial scale
        response = weight.sum(dim=(-2, -1), keepdim=True)
        weight = weight - window * (response - response.mean(dim=(1, 2), keepdim=True))
        return weight.flatten(0, 2)

    def convolution_bias(self) -> Tensor:
        return self.bias.repeat_interleave(self.factor**2)

    def forward(self, features: Tensor) -> Tensor:
        y = F.conv2d(features, self.convolution_weight(), self.convolution_bias(), padding=1)
        return F.pixel_shuffle(y, self.factor)
