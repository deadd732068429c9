"""The image transformation network of Johnson et al. 2016 (supplementary material).

With the instance normalization of Ulyanov et al. 2016 and resize-convolutions (Odena et al. 2016)
in place of transposed ones, as in pytorch/examples' `fast_neural_style`. Layer names and shapes are
those of its `TransformerNet`, so that checkpoints go both ways.
"""

import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn


class ConvLayer(nn.Module):
    """Reflection padding that keeps the size (at stride 1), then a convolution."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.reflection_pad = nn.ReflectionPad2d(kernel_size // 2)
        self.conv2d = nn.Conv2d(in_channels, out_channels, kernel_size, stride)

    def forward(self, x: Tensor) -> Tensor:
        padded: Tensor = self.conv2d(self.reflection_pad(x))
        return padded


class UpsampleConvLayer(ConvLayer):
    """Nearest-neighbour enlargement by 2, then a convolution: no checkerboard."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance normalization around an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, 3, 1)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = ConvLayer(channels, channels, 3, 1)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.in1(self.conv1(x)))
        y = self.in2(self.conv2(y))
        return x + y


class TransformerNet(nn.Module):
    """1.68 million weights, 47.2 GMAC for a frame of 640x480."""

    stride_px = 4

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvLayer(3, 32, 9, 1)
        self.in1 = nn.InstanceNorm2d(32, affine=True)
        self.conv2 = ConvLayer(32, 64, 3, 2)
        self.in2 = nn.InstanceNorm2d(64, affine=True)
        self.conv3 = ConvLayer(64, 128, 3, 2)
        self.in3 = nn.InstanceNorm2d(128, affine=True)
        self.res1 = ResidualBlock(128)
        self.res2 = ResidualBlock(128)
        self.res3 = ResidualBlock(128)
        self.res4 = ResidualBlock(128)
        self.res5 = ResidualBlock(128)
        self.deconv1 = UpsampleConvLayer(128, 64, 3, 1)
        self.in4 = nn.InstanceNorm2d(64, affine=True)
        self.deconv2 = UpsampleConvLayer(64, 32, 3, 1)
        self.in5 = nn.InstanceNorm2d(32, affine=True)
        self.deconv3 = ConvLayer(32, 3, 9, 1)
        self.relu = nn.ReLU()

    def forward(self, frames: Tensor) -> Tensor:
        """Stylize RGB `frames` [N, 3, H, W], 0..255; H and W rounded up to a multiple of 4."""
        y: Tensor = self.relu(self.in1(self.conv1(frames)))
        y = self.relu(self.in2(self.conv2(y)))
        y = self.relu(self.in3(self.conv3(y)))
        y = self.res5(self.res4(self.res3(self.res2(self.res1(y)))))
        y = self.relu(self.in4(self.deconv1(y)))
        y = self.relu(self.in5(self.deconv2(y)))
        stylized: Tensor = self.deconv3(y)
        return stylized
