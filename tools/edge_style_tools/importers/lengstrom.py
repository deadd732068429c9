"""The network of lengstrom/fast-style-transfer, which deeplearn.js and ml5 ported to the browser.

No biases, TensorFlow's 'same' zero padding, instance normalization with epsilon 1e-3, transposed
convolutions, and `tanh(x) * 150 + 127.5` at the end.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

ARCHITECTURE = "lengstrom"
_EPSILON = 1e-3


class Layer(nn.Module):
    """Convolution with the output size ceil(input / stride), then instance normalization."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
        self.norm = nn.InstanceNorm2d(outputs, eps=_EPSILON, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            x = F.pad(x, (self.kernel // 2,) * 4)
        else:
            # TensorFlow pads an even side at its end alone, an odd one at both ends.
            x = F.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1))
        y: Tensor = self.norm(self.conv(x))
        return y


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Layer(channels, channels, 3, 1)
        self.conv2 = Layer(channels, channels, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + y


class Enlarge(nn.Module):
    """Transposed convolution to exactly twice the size: the reverse of a padding at the end."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, 2, bias=False)
        self.norm = nn.InstanceNorm2d(outputs, eps=_EPSILON, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x)[:, :, :-1, :-1])
        return y


class LengstromNet(nn.Module):
    """Three convolutions, residual blocks, two enlargements, one convolution; 1.7 million weights.

    Args:
        blocks: residual blocks; the published networks have 5.
    """

    stride_px = 4

    def __init__(self, blocks: int = 5) -> None:
        super().__init__()
        self.first = nn.ModuleList([Layer(3, 32, 9, 1), Layer(32, 64, 3, 2), Layer(64, 128, 3, 2)])
        self.residual = nn.Sequential(*(_Residual(128) for _ in range(blocks)))
        self.enlarge = nn.ModuleList([Enlarge(128, 64), Enlarge(64, 32)])
        self.last = Layer(32, 3, 9, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Stylize RGB `frames` [N, 3, H, W], 0..255; H and W rounded up to a multiple of 4."""
        y = frames
        for layer in self.first:
            y = F.relu(layer(y))
        y = self.residual(y)
        for layer in self.enlarge:
            y = F.relu(layer(y))
        return torch.tanh(self.last(y)) * 150.0 + 127.5

    def layers(self) -> list[Layer | Enlarge]:
        """All convolutions with their normalization, in the order in which they run."""
        return [layer for layer in self.modules() if isinstance(layer, Layer | Enlarge)]
