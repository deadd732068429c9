"""The perceptual loss as a function of one picture's pixels, in bounded memory.

What optimization needs: the losses of a picture and their gradient. A Gram matrix is a sum over
positions, so pictures that are too large for the loss network are evaluated in tiles, exactly: a
first pass adds up the Gram matrices, a second one pulls their gradients back, tile by tile. Tiles
overlap by the loss network's receptive field, so no seam exists that could show.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style.errors import UsageError
from edge_style_training.losses import Objective, gram_matrix, total_variation
from edge_style_training.vgg import LossNetwork

DEFAULT_TILE_PX = 768

_Value = TypeVar("_Value", Tensor, float)


@dataclass(frozen=True)
class LossValues:
    """Losses of one picture; content, style and tv are unweighted."""

    content: float
    style: float
    tv: float
    total: float


@dataclass(frozen=True)
class _Tile:
    """A rectangle of the picture, in pixels, and the part of it that counts: its core."""

    top: int
    bottom: int
    left: int
    right: int
    core_top: int
    core_bottom: int
    core_left: int
    core_right: int
    is_last_row: bool
    is_last_column: bool

    def crop(self, picture: Tensor) -> Tensor:
        return picture[..., self.top : self.bottom, self.left : self.right]

    def core(self, features: Tensor, stride_px: int) -> Tensor:
        """The features [1, C, H, W] of the tile that belong to its core."""
        top = (self.core_top - self.top) // stride_px
        left = (self.core_left - self.left) // stride_px
        bottom = None if self.is_last_row else (self.core_bottom - self.top) // stride_px
        right = None if self.is_last_column else (self.core_right - self.left) // stride_px
        return features[..., top:bottom, left:right]


class PictureLoss:
    """Content, style and total variation of pictures of one size, with the gradient."""

    def __init__(
        self,
        network: LossNetwork,
        objective: Objective,
        photo: Tensor,
        grams: dict[str, Tensor],
        *,
        tile_px: int = DEFAULT_TILE_PX,
    ) -> None:
        """Compute the activations of `photo` once.

        Args:
            network: gives at least `objective.layers`.
            objective: layers and weights.
            photo: [3, H, W] RGB, 0..255, on the network's device: pictures have its size.
            grams: what `mean_grams` gave for the paintings.
            tile_px: longest side that the loss network sees at once.

        Raises:
            UsageError: `tile_px` is too small for the network's receptive field.
        """
        self._network = network
        self._objective = objective
        self._grams = grams
        self._strides_px = _strides_px(network)
        self._tiles = list(_tiles(network, photo.shape[1], photo.shape[2], tile_px))
        self._targets: list[dict[str, Tensor]] = []
        self._positions = dict.fromkeys(network.layers, 0)
        for tile in self._tiles:
            features = self._features(tile, photo.unsqueeze(0))
            self._targets.append({layer: features[layer] for layer in objective.content_layers})
            for layer, values in features.items():
                self._positions[layer] += values.shape[2] * values.shape[3]

    def __call__(self, picture: Tensor) -> tuple[LossValues, Tensor]:
        """Losses of `picture` [1, 3, H, W], 0..255, and the gradient of the total one."""
        if len(self._tiles) == 1:
            return self._whole(picture)
        return self._tiled(picture)

    def _whole(self, picture: Tensor) -> tuple[LossValues, Tensor]:
        objective = self._objective
        pixels = picture.detach().requires_grad_()
        with torch.enable_grad():
            features = self._network(pixels, objective.layers)
            content = pixels.new_zeros(())
            for layer, weight in objective.content_layers.items():
                content = content + weight * F.mse_loss(features[layer], self._targets[0][layer])
            style = pixels.new_zeros(())
            for layer, weight in objective.style_layers.items():
                gram = gram_matrix(features[layer])
                style = style + weight * F.mse_loss(gram, self._grams[layer])
            tv = total_variation(pixels)
            total = _total(objective, content, style, tv)
            (gradient,) = torch.autograd.grad(total, pixels)
        return LossValues(content.item(), style.item(), tv.item(), total.item()), gradient

    def _tiled(self, picture: Tensor) -> tuple[LossValues, Tensor]:
        objective = self._objective
        style, pulls = self._style_and_pulls(picture)
        content = 0.0
        pixels = picture.detach().requires_grad_()
        with torch.enable_grad():
            tv = total_variation(pixels)
            (gradient,) = torch.autograd.grad(objective.tv_weight * tv, pixels)
        for tile, targets in zip(self._tiles, self._targets, strict=True):
            crop = tile.crop(picture).detach().clone().requires_grad_()
            with torch.enable_grad():
                activations = self._network(crop, objective.layers)
                share = crop.new_zeros(())
                for layer, weight in objective.content_layers.items():
                    core = tile.core(activations[layer], self._strides_px[layer])
                    count = self._positions[layer] * core.shape[1]
                    share = share + weight * (core - targets[layer]).square().sum() / count
                pulled = objective.content_weight * share
                for layer, pull in pulls.items():
                    core = tile.core(activations[layer], self._strides_px[layer])
                    pulled = pulled + (pull * _products(core)).sum()
                (own,) = torch.autograd.grad(pulled, crop)
            tile.crop(gradient).add_(own)
            content += share.item()
        total = _total(objective, content, style, tv.item())
        return LossValues(content, style, tv.item(), total), gradient

    def _style_and_pulls(self, picture: Tensor) -> tuple[float, dict[str, Tensor]]:
        """The style loss, and the gradient of its term by the sum of products, per layer."""
        objective = self._objective
        sums: dict[str, Tensor] = {}
        for tile in self._tiles:
            features = self._features(tile, picture, objective.style_layers)
            for layer, values in features.items():
                sums[layer] = sums.get(layer, 0) + _products(values)
        style = 0.0
        pulls: dict[str, Tensor] = {}
        for layer, weight in objective.style_layers.items():
            count = sums[layer].shape[1] * self._positions[layer]
            difference = sums[layer] / count - self._grams[layer]
            style += weight * difference.square().mean().item()
            scale = objective.style_weight * weight * 2 / (difference.numel() * count)
            pulls[layer] = scale * difference
        return style, pulls

    def _features(
        self, tile: _Tile, picture: Tensor, layers: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            activations = self._network(tile.crop(picture), layers)
        return {
            # A slice would keep the whole tile's activations alive.
            layer: tile.core(values, self._strides_px[layer]).clone()
            for layer, values in activations.items()
        }


def mean_grams(
    network: LossNetwork,
    layers: Sequence[str],
    paintings: Sequence[Tensor],
    weights: Sequence[float] | None = None,
    *,
    tile_px: int = DEFAULT_TILE_PX,
) -> dict[str, Tensor]:
    """Weighted mean of the paintings' Gram matrices, layer -> [1, C, C].

    Args:
        network: gives at least `layers`.
        layers: of the style loss.
        paintings: each [3, H, W] RGB, 0..255, on the network's device; sizes may differ.
        weights: of the paintings, scaled to a sum of 1; equal if None.
        tile_px: longest side that the loss network sees at once.
    """
    shares = weights or [1.0] * len(paintings)
    strides_px = _strides_px(network)
    grams: dict[str, Tensor] = {}
    for painting, share in zip(paintings, shares, strict=True):
        sums: dict[str, Tensor] = {}
        counts = dict.fromkeys(layers, 0)
        for tile in _tiles(network, painting.shape[1], painting.shape[2], tile_px):
            with torch.no_grad():
                activations = network(tile.crop(painting.unsqueeze(0)), layers)
            for layer, values in activations.items():
                core = tile.core(values, strides_px[layer])
                sums[layer] = sums.get(layer, 0) + _products(core)
                counts[layer] += core[0].numel()
        for layer in layers:
            gram = sums[layer] / counts[layer] * (share / sum(shares))
            grams[layer] = grams.get(layer, 0) + gram
    return grams


def _products(features: Tensor) -> Tensor:
    """Sums over all positions of the products of channels, [1, C, H, W] -> [1, C, C]."""
    flat = features.flatten(2)
    return torch.bmm(flat, flat.transpose(1, 2))


def _total(objective: Objective, content: _Value, style: _Value, tv: _Value) -> _Value:
    return (
        objective.content_weight * content
        + objective.style_weight * style
        + objective.tv_weight * tv
    )


def _strides_px(network: LossNetwork) -> dict[str, int]:
    """Layer -> distance in pixels between its positions."""
    return {layer: 2 ** (int(layer[4]) - 1 + layer.startswith("pool")) for layer in network.layers}


def _margin_px(network: LossNetwork) -> int:
    """How far beyond a tile the deepest layer looks, rounded up to the coarsest grid."""
    reach, stride = 0, 1
    for module in network.features:
        if isinstance(module, nn.Conv2d):
            reach += stride
        elif not isinstance(module, nn.ReLU):
            stride *= 2
    return -(-reach // stride) * stride


def _tiles(network: LossNetwork, height: int, width: int, tile_px: int) -> Iterator[_Tile]:
    """Cut a picture into tiles whose cores cover it once.

    Raises:
        UsageError: the overlap leaves nothing of a tile of this size.
    """
    if max(height, width) <= tile_px:
        yield _Tile(0, height, 0, width, 0, height, 0, width, True, True)
        return
    margin = _margin_px(network)
    grid = max(2, *_strides_px(network).values())
    core = (tile_px - 2 * margin) // grid * grid
    if core < grid:
        raise UsageError(
            f"a tile of {tile_px} pixels is too small: {network.layers[-1]} looks {margin} pixels "
            f"beyond it on each side, give {2 * margin + 256} or more"
        )
    for top in range(0, height, core):
        # A sliver at the end would be smaller than the loss network's deepest position.
        if top and height - top < 2 * grid:
            continue
        bottom = height if height - top - core < 2 * grid else top + core
        for left in range(0, width, core):
            if left and width - left < 2 * grid:
                continue
            right = width if width - left - core < 2 * grid else left + core
            yield _Tile(
                max(0, top - margin),
                min(height, bottom + margin),
                max(0, left - margin),
                min(width, right + margin),
                top,
                bottom,
                left,
                right,
                bottom == height,
                right == width,
            )
