"""Styles to learn from: a small pool, photos, what `made_styles` makes, and augmentation."""

import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from copy import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from edge_style.errors import ContentError, ImageError
from edge_style.images import Rgb, read_image, resize_short_side
from edge_style_training.data import piece_of
from edge_style_training.made_styles import made_style, made_texture

# Shares of what a style is made of; the rest is the pool.
_TEXTURES = 0.07
_PHOTOS = 0.08
_MADE = 0.42
# A picture's short side is between the crop's and this many times as long: strokes come in the
# sizes that they have when a whole picture is looked at, and in larger ones.
_MAX_ZOOM = 1.8
_COLOURS_CHANGED = 0.6
_INVERTED = 0.08
_MIXED = 0.15
# That a process making styles may be ahead of what they are made for.
_STYLES_AHEAD = 8
# Kept decoded, the short side of pictures in the pool is no longer than this.
_KEPT_PX = 512


class StyleDataset(Dataset[Tensor]):
    """Style number i of an endless, reproducible stream: uint8 [3, S, S], RGB."""

    def __init__(
        self, pool: Sequence[Path], photos: Sequence[Path], crop_px: int, seed: int
    ) -> None:
        """Read the pool; photos are read when their turn comes.

        Raises:
            ContentError: the pool is empty.
            ImageError: one of its pictures cannot be read.
        """
        if not pool:
            raise ContentError("there are no pictures of styles left to learn from")
        self.pool = [_at_most(read_image(path), _KEPT_PX) for path in pool]
        self.photos = photos
        self.crop_px = crop_px
        self.seed = seed

    def with_crops(self, crop_px: int) -> "StyleDataset":
        """Styles of the same pictures and seed, of another side; the pool is not read again."""
        other = copy(self)
        other.crop_px = crop_px
        return other

    def made(self, numbers: Iterable[int], workers: int) -> Iterable[Tensor]:
        """The styles of these numbers, in order, made by so many processes, or here by none."""
        return DataLoader(
            self,
            batch_size=None,
            sampler=list(numbers),
            num_workers=workers,
            prefetch_factor=_STYLES_AHEAD if workers else None,
        )

    def __getitem__(self, number: int) -> Tensor:
        draw = random.Random(f"style {self.seed}/{number}")
        picture = self._one(draw)
        if draw.random() < _MIXED:
            # Half-way between two: the code has to be smooth between those that it knows.
            other = self._one(draw)
            picture = _halves(picture, other, draw)
        return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)

    def _one(self, draw: random.Random) -> Rgb:
        kind = draw.random()
        if kind < _TEXTURES:
            return made_texture(self.crop_px, draw)
        picture = draw.choice(self.pool)
        kind -= _TEXTURES
        if self.photos and kind < _PHOTOS + _MADE:
            # Broken ones are counted where photos are stylized; here the pool helps out.
            with suppress(ImageError):
                picture = _at_most(read_image(draw.choice(self.photos)), _KEPT_PX)
        picture = _crop(picture, self.crop_px, draw)
        if kind < _MADE:
            picture = made_style(picture, draw)
        if draw.random() < _COLOURS_CHANGED:
            picture = changed_colours(picture, draw)
        return picture


def _at_most(picture: Rgb, short_px: int) -> Rgb:
    return picture if min(picture.shape[:2]) <= short_px else resize_short_side(picture, short_px)


def _crop(picture: Rgb, side_px: int, draw: random.Random) -> Rgb:
    picture = piece_of(picture, draw.random)
    picture = resize_short_side(picture, round(side_px * draw.uniform(1.0, _MAX_ZOOM)))
    top = draw.randrange(picture.shape[0] - side_px + 1)
    left = draw.randrange(picture.shape[1] - side_px + 1)
    crop = picture[top : top + side_px, left : left + side_px]
    crop = crop[:, ::-1] if draw.random() < 0.5 else crop
    return np.ascontiguousarray(np.rot90(crop, draw.randrange(4)))


def changed_colours(picture: Rgb, draw: random.Random) -> Rgb:
    """`picture` [H, W, 3] with its hues turned, and other saturation, contrast, gamma and tint."""
    values = picture.astype(np.float32) / 255
    if draw.random() < _INVERTED:
        values = 1 - values
    grey = values.mean(axis=2, keepdims=True)
    chroma = (values - grey) @ _hue_turn(draw.uniform(0, 2 * np.pi)).T
    values = grey + chroma * draw.choice([0.0, 0.6, 1.0, 1.0, 1.4])
    tint = np.array([draw.gauss(0, 0.06) for _ in range(3)], np.float32)
    contrast = np.exp(draw.gauss(0, 0.25))
    values = (values - 0.5) * contrast + 0.5 + tint
    values = np.clip(values, 0, 1) ** np.exp(draw.gauss(0, 0.3))
    return np.asarray(np.rint(values * 255), np.uint8)


def _hue_turn(angle: float) -> NDArray[np.float32]:
    """Rotation about the grey axis (Rodrigues' formula)."""
    axis = np.full(3, 3**-0.5)
    cross = np.cross(np.eye(3), axis)
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross
    return np.asarray(turn + (1 - np.cos(angle)) * np.outer(axis, axis), np.float32)


def _halves(one: Rgb, other: Rgb, draw: random.Random) -> Rgb:
    share = round(one.shape[0] * draw.uniform(0.3, 0.7))
    mixed: Rgb = one.copy()
    mixed[:share] = other[:share]
    return mixed
