"""Checkpoints of rrmina/fast-neural-style-pytorch: Johnson's network with transposed convolutions.

It takes and gives BGR, 0..255; the first and the last convolution are turned to RGB when read.
"""

from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style_tools.importers.pytorch_examples import load
from edge_style_tools.photos import made_photo

ARCHITECTURE = "rrmina"
_KIND = "a checkpoint of rrmina/fast-neural-style-pytorch"
_FIRST = "ConvBlock.0.conv_layer"
_LAST = "DeconvBlock.4.conv_layer"
_TANH_SCALE = 150.0
# A picture's values spread over dozens of levels; what a tanh takes spreads over a few units.
_LEAST_SPREAD_LEVELS = 8.0


class _Layer(nn.Module):
    """Reflection padding, convolution, instance normalization (but after the last)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, norm: bool) -> None:
        super().__init__()
        self.pad_px = kernel // 2
        self.conv_layer = nn.Conv2d(inputs, outputs, kernel, stride)
        self.norm_layer = nn.InstanceNorm2d(outputs, affine=True) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv_layer(F.pad(x, (self.pad_px,) * 4, mode="reflect"))
        return y if self.norm_layer is None else self.norm_layer(y)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _Layer(channels, channels, 3, 1, norm=True)
        self.conv2 = _Layer(channels, channels, 3, 1, norm=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + y


class _Enlarge(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_transpose = nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1)
        self.norm_layer = nn.InstanceNorm2d(outputs, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm_layer(self.conv_transpose(x))
        return y


class RrminaNet(nn.Module):
    """Its layer names are those of the checkpoints.

    Args:
        tanh: the variant that ends in a hyperbolic tangent, times 150.
    """

    stride_px = 4

    def __init__(self, tanh: bool = False) -> None:
        super().__init__()
        self.tanh = tanh
        self.ConvBlock = nn.Sequential(
            _Layer(3, 32, 9, 1, norm=True),
            nn.ReLU(),
            _Layer(32, 64, 3, 2, norm=True),
            nn.ReLU(),
            _Layer(64, 128, 3, 2, norm=True),
            nn.ReLU(),
        )
        self.ResidualBlock = nn.Sequential(*(_Residual(128) for _ in range(5)))
        self.DeconvBlock = nn.Sequential(
            _Enlarge(128, 64),
            nn.ReLU(),
            _Enlarge(64, 32),
            nn.ReLU(),
            _Layer(32, 3, 9, 1, norm=False),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Stylize RGB `frames` [N, 3, H, W], 0..255; H and W rounded up to a multiple of 4."""
        y: Tensor = self.DeconvBlock(self.ResidualBlock(self.ConvBlock(frames)))
        return torch.tanh(y) * _TANH_SCALE if self.tanh else y


def recognizes(state: Mapping[str, Tensor]) -> bool:
    """Whether the first and the last layer have the names of its network."""
    return {f"{_FIRST}.weight", f"{_LAST}.weight"} <= state.keys()


def read(state: Mapping[str, Tensor]) -> RrminaNet:
    """The network with these weights, for RGB.

    Raises:
        CheckpointError: keys or shapes are of another variant.
    """
    network = RrminaNet()
    load(network, state, _KIND)
    turned = OrderedDict(network.state_dict())
    turned[f"{_FIRST}.weight"] = turned[f"{_FIRST}.weight"].flip(1)
    for kind in ("weight", "bias"):
        turned[f"{_LAST}.{kind}"] = turned[f"{_LAST}.{kind}"].flip(0)
    network.load_state_dict(turned)
    # Both variants have the same keys; which one it is shows in what comes before the tangent.
    photo = torch.from_numpy(made_photo(0, 128, 128)).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        network.tanh = float(network(photo).std()) < _LEAST_SPREAD_LEVELS
    return network
