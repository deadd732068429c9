"""The lean network: everything at a quarter of the resolution, plain 3x3 residual blocks.

What costs time on a CPU is not arithmetic but normalization layers, padding layers and changes of
layout, so there are as few as possible: one reflection padding at the input, normalizations that
fold into the convolutions (or a few that do not), and one change of layout at either end.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style_training.networks.lapped import LappedUpsample

# The frame's deviation is not divided out below this many levels, or noise in a dark room would be
# blown up to full contrast.
MIN_DEVIATION_LEVELS = 8.0


@dataclass(frozen=True)
class LeanConfig:
    """Settings of the lean network.

    Attributes:
        width: channels at quarter resolution.
        blocks: residual blocks.
        norm: `instance` (Ulyanov et al. 2016), or `batch`, which folds into the convolutions.
        instance_norms: with `batch`, how many of the first normalizations are instance ones
            nevertheless: they take the contrast of the frame's features out.
        contrast_norm: normalize mean and deviation of each of the frame's colour channels.
        stem: `patch`, one 8x8 convolution of stride 4; `double`, two 3x3 ones of stride 2.
        head: `lapped`, or `shuffle`, a plain convolution and pixel shuffle.
        coarse_blocks: further residual blocks at an eighth of the resolution, twice as wide, in
            the middle of the others: a larger reach at equal arithmetic.
        dilations: of the first convolution of each block, repeated as often as needed.
        border_px: reflected at each side of the frame and cropped off at the end, so that the
            zero padding inside does not show as a frame.
    """

    width: int = 48
    blocks: int = 5
    norm: Literal["instance", "batch"] = "batch"
    instance_norms: int = 0
    contrast_norm: bool = True
    stem: Literal["patch", "double"] = "patch"
    head: Literal["lapped", "shuffle"] = "lapped"
    coarse_blocks: int = 0
    dilations: tuple[int, ...] = (1,)
    border_px: int = 12

    def __post_init__(self) -> None:
        choices = {
            "norm": ("instance", "batch"),
            "stem": ("patch", "double"),
            "head": ("lapped", "shuffle"),
        }
        for name, values in choices.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} should be one of {', '.join(values)}")
        if not (self.width > 0 and self.blocks >= 0 and self.coarse_blocks >= 0):
            raise ValueError("width should be at least 1, blocks and coarse_blocks at least 0")
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError("dilations should be a list of numbers from 1 up")
        # The right and lower sides get up to 3 more; a reflection is shorter than the picture.
        if not (0 <= self.border_px <= 12 and self.border_px % 4 == 0):
            raise ValueError("border_px should be 0, 4, 8 or 12")


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with normalization around an identity."""

    def __init__(self, width: int, norm1: nn.Module, norm2: nn.Module, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm1 = norm1
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = norm2

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return x + y


class CoarseStage(nn.Module):
    """Residual blocks at half the resolution and twice the width, added to the input."""

    def __init__(self, down: nn.Module, blocks: nn.Module, width: int) -> None:
        super().__init__()
        self.down = down
        self.blocks = blocks
        self.up = LappedUpsample(2 * width, width, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.blocks(self.down(x)))
        return x + y[:, :, : x.shape[2], : x.shape[3]]


class LeanNet(nn.Module):
    """See `LeanConfig`. About 0.25 million weights with the defaults."""

    stride_px = 4

    def __init__(self, config: LeanConfig) -> None:
        super().__init__()
        self.config = config
        self._normalizations = 0
        width = config.width
        if config.stem == "patch":
            stem: list[nn.Module] = [
                nn.Conv2d(3, width, 8, stride=4, padding=2, bias=False),
                self._normalization(width),
                nn.ReLU(),
            ]
        else:
            stem = [
                nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False),
                self._normalization(width // 2),
                nn.ReLU(),
                nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=False),
                self._normalization(width),
                nn.ReLU(),
            ]
        self.stem = nn.Sequential(*stem)
        body = self._blocks(config.blocks, width)
        if config.coarse_blocks:
            body.insert(config.blocks // 2, self._coarse_stage(config.coarse_blocks, width))
        self.body = nn.Sequential(*body)
        self.head: nn.Module
        if config.head == "lapped":
            self.head = LappedUpsample(width, 3, 4)
        else:
            self.head = nn.Sequential(nn.Conv2d(width, 48, 3, padding=1), nn.PixelShuffle(4))

    def _blocks(self, number: int, width: int) -> list[nn.Module]:
        dilations = self.config.dilations
        return [
            ResidualBlock(
                width,
                self._normalization(width),
                self._normalization(width),
                dilations[index % len(dilations)],
            )
            for index in range(number)
        ]

    def _coarse_stage(self, blocks: int, width: int) -> nn.Module:
        down = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False),
            self._normalization(2 * width),
            nn.ReLU(),
        )
        return CoarseStage(down, nn.Sequential(*self._blocks(blocks, 2 * width)), width)

    def _normalization(self, channels: int) -> nn.Module:
        self._normalizations += 1
        if self.config.norm == "instance" or self._normalizations <= self.config.instance_norms:
            return nn.InstanceNorm2d(channels, affine=True)
        return nn.BatchNorm2d(channels)

    def forward(self, frames: Tensor) -> Tensor:
        """Stylize RGB `frames` [N, 3, H, W], 0..255; H and W rounded up to a multiple of 4."""
        if self.config.contrast_norm:
            deviation, mean = torch.std_mean(frames, dim=(2, 3), keepdim=True, correction=0)
            x = (frames - mean) / deviation.clamp(min=MIN_DEVIATION_LEVELS)
        else:
            x = frames / 64.0 - 2.0
        border = self.config.border_px
        # Up to three more at the far sides let the stem cover every size without arithmetic on the
        # size in the graph: an 8x8 convolution rounds down, two 3x3 ones round up by themselves.
        far = border + (3 if self.config.stem == "patch" else 0)
        x = F.pad(x, (border, far, border, far), mode="reflect")
        y: Tensor = self.head(self.body(self.stem(x)))
        stylized = y[:, :, border : y.shape[2] - border, border : y.shape[3] - border]
        # The head works around mid-grey, so that its first pictures are neither black nor white.
        return stylized * 64.0 + 127.5
