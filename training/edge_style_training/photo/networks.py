"""Encoder and decoder of the photorealistic transfer.

The encoder is VGG16 up to relu4_1. A photo must come back whole, so what a pooling throws away has
to be kept for the decoder. Two ways are here, and `haar` is the one that is used:

- `haar`, wavelet pooling (Yoo et al. 2019, "Photorealistic Style Transfer via Wavelet Transforms",
  arXiv 1903.09760): a 2x2 block of features is split by the orthonormal Haar transform; its low
  band goes on, the other three are put back when the decoder unpools. That is exact.
- `max`, max pooling with masks (Li et al. 2018, "A Closed-form Solution to Photorealistic Image
  Stylization", arXiv 1802.06474): the decoder puts the value back at the place it was taken from
  and zeros beside it.

The low band of a block is the sum of its four values divided by 2, and putting a new low band back
adds half of its change to each of the four. So unpooling needs no bands: with x the photo's
features and y the decoder's low band, it is `x + repeat((y - low(x)) / 2)`.

Values are VGG's of an image with 0..255 minus the mean, divided by `SCALE`: with ReLU and scaled
biases every layer of VGG scales along.
"""

from itertools import pairwise
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style_training.vgg import IMAGENET_MEAN_RGB, LossNetwork

Pooling: TypeAlias = Literal["haar", "max"]

# Brings the features of all levels near 1, where half precision is finest.
SCALE = 128.0
STRIDE_PX = 8
LEVELS = 4
# Convolutions of VGG16 before each tap: relu1_2, relu2_2, relu3_3, relu4_1.
_CONVOLUTIONS = (2, 2, 3, 1)
# Of the decoder, deepest first. Each block gives the low band of the next level up, the last one
# the picture. The paper mirrors VGG; one convolution less in the third level saves a quarter of
# the weights.
_DECODER = ((512, 256), (256, 256, 128), (128, 128, 64), (64, 64, 3))


def low_band(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, H/2, W/2]: the low band of the orthonormal Haar transform."""
    return 2 * F.avg_pool2d(x, 2)


def unpool(low: Tensor, full: Tensor) -> Tensor:
    """`full` [N, C, H, W] with `low` [N, C, H/2, W/2] in place of its own low band."""
    return full + F.interpolate((low - low_band(full)) / 2, scale_factor=2, mode="nearest")


def unpool_max(pooled: Tensor, full: Tensor) -> Tensor:
    """`pooled` at the places where 2x2 max pooling of `full` took its values, zeros elsewhere."""
    _, places = F.max_pool2d(full, 2, return_indices=True)
    return F.max_unpool2d(pooled, places, [2, 2])


class PhotoEncoder(nn.Module):
    """VGG16 up to relu4_1, frozen: pictures to the features of four levels."""

    def __init__(self, pooling: Pooling = "haar") -> None:
        super().__init__()
        self.pooling = pooling
        layers = LossNetwork(["relu4_1"]).features
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        levels = []
        for count in _CONVOLUTIONS:
            parts: list[nn.Module] = []
            for convolution in convolutions[:count]:
                parts += [convolution, nn.ReLU()]
            levels.append(nn.Sequential(*parts))
            convolutions = convolutions[count:]
        self.levels = nn.ModuleList(levels)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN_RGB).view(1, 3, 1, 1), False)
        self.requires_grad_(False)

    @classmethod
    def of(cls, network: LossNetwork, pooling: Pooling = "haar") -> "PhotoEncoder":
        """The encoder with the weights of a loss network that reaches relu4_1."""
        encoder = cls(pooling)
        trained = [layer for layer in network.features if isinstance(layer, nn.Conv2d)]
        own = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
        with torch.no_grad():
            for mine, other in zip(own, trained, strict=False):
                mine.weight.copy_(other.weight)
                if mine.bias is not None and other.bias is not None:
                    mine.bias.copy_(other.bias / SCALE)
        return encoder.eval()

    def scaled(self, images: Tensor) -> Tensor:
        """RGB [N, 3, H, W], 0..255, as the first convolution takes it."""
        return (images - self.get_buffer("mean")) / SCALE

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """relu1_2, relu2_2, relu3_3 and relu4_1 of RGB `images` [N, 3, H, W], 0..255.

        H and W are multiples of 8; the features have 1, 1/2, 1/4 and 1/8 of them.
        """
        x = self.scaled(images)
        features: list[Tensor] = []
        for level in self.levels:
            if features:
                x = low_band(x) if self.pooling == "haar" else F.max_pool2d(x, 2)
            x = level(x)
            features.append(x)
        return tuple(features)


class PhotoDecoder(nn.Module):
    """Undoes the encoder level by level, with the details of the photo's own features.

    Attributes:
        blocks: deepest first: relu4_1 to the low band of relu3_3, and so on to the picture.
    """

    def __init__(self, pooling: Pooling = "haar") -> None:
        super().__init__()
        self.pooling = pooling
        blocks = []
        for widths in _DECODER:
            parts: list[nn.Module] = []
            for before, after in pairwise(widths):
                parts += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
            # The picture, unlike features, goes below zero: its mean was taken away.
            blocks.append(nn.Sequential(*(parts if after > 3 else parts[:-1])))
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN_RGB).view(1, 3, 1, 1), False)

    def step(self, number: int, features: Tensor, details: Tensor) -> Tensor:
        """Block `number` (0 the deepest) and the unpooling behind it.

        Args:
            number: 0, 1 or 2.
            features: of relu4_1, relu3_3, relu2_2.
            details: the photo's own features of the next level up, twice as large.

        Returns:
            What takes the place of `details`, the same shape.
        """
        low = self.blocks[number](features)
        return unpool(low, details) if self.pooling == "haar" else unpool_max(low, details)

    def picture(self, features: Tensor) -> Tensor:
        """relu1_2 [N, 64, H, W] -> RGB [N, 3, H, W], on the scale 0..255, unclamped."""
        decoded: Tensor = self.blocks[-1](features)
        return decoded * SCALE + self.get_buffer("mean")

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the decoder makes of the levels given, which may lack the deepest.

        Args:
            features: of the levels from 1 on, as the encoder gives them.

        Returns:
            relu3_3 (where level 4 was given), relu2_2, relu1_2, the picture.
        """
        x, *details = reversed(features)
        made: list[Tensor] = []
        for number, full in enumerate(details, start=LEVELS - len(features)):
            x = self.step(number, x, full)
            made.append(x)
        return (*made, self.picture(x))
