"""Codes of styles to verify and calibrate with, of a network for any style."""

import random

import cv2
import numpy as np
import torch

from edge_style.images import Rgb
from edge_style_tools.photos import made_photo
from edge_style_tools.verify import Floats
from edge_style_training.made_styles import made_style, made_texture
from edge_style_training.networks.any_style import AnyEncoder

TEXTURES = 8
PAINTED = 6
PHOTOS = 4
_SIDE_PX = 128


def pictures_to_try() -> list[Rgb]:
    """Pictures of styles, uint8 [S, S, 3], RGB, made by the program, the same each time."""
    textures = [made_texture(_SIDE_PX, random.Random(seed)) for seed in range(TEXTURES)]
    photos = [made_photo(seed, _SIDE_PX, _SIDE_PX) for seed in range(PAINTED + PHOTOS)]
    painted = [made_style(photos.pop(), random.Random(seed)) for seed in range(PAINTED)]
    return textures + painted + photos


def bold_pictures(*sizes_px: int) -> list[Rgb]:
    """Squares, checks, stripes and dots of those sizes in pure colours, uint8 [S, S, 3], RGB.

    No picture has more contrast: an encoder's activations reach three times as far as in
    `pictures_to_try`. Each size has colours of its own, the same each time.
    """
    return [
        draw(px, np.random.default_rng((px, number)))
        for px in sizes_px
        for number, draw in enumerate((_squares, _checks, _stripes, _dots))
    ]


def _pure_colours(number: int, random_: np.random.Generator) -> Rgb:
    """So many corners of the cube of colours, none twice, [number, 3]."""
    corners = random_.permutation(8)[:number, None] >> np.arange(3)
    return np.asarray(255 * (corners & 1), np.uint8)


def _squares(px: int, random_: np.random.Generator) -> Rgb:
    return _in_squares(_pure_colours(8, random_)[random_.integers(0, 8, (_SIDE_PX, _SIDE_PX))], px)


def _checks(px: int, random_: np.random.Generator) -> Rgb:
    return _in_squares(_pure_colours(2, random_)[np.indices((_SIDE_PX, _SIDE_PX)).sum(0) % 2], px)


def _in_squares(colours: Rgb, px: int) -> Rgb:
    whole = colours.repeat(px, axis=0).repeat(px, axis=1)
    return np.ascontiguousarray(whole[:_SIDE_PX, :_SIDE_PX])


def _stripes(px: int, random_: np.random.Generator) -> Rgb:
    y, x = np.indices((_SIDE_PX, _SIDE_PX))
    angle = random_.uniform(0, np.pi)
    stripe = np.floor((x * np.cos(angle) + y * np.sin(angle)) / px).astype(int)
    return np.asarray(_pure_colours(3, random_)[stripe % 3])


def _dots(px: int, random_: np.random.Generator) -> Rgb:
    ground, dot = _pure_colours(2, random_)
    picture: Rgb = np.full((_SIDE_PX, _SIDE_PX, 3), ground, np.uint8)
    for row, y in enumerate(range(0, _SIDE_PX + px, 2 * px)):
        for x in range(row % 2 * px, _SIDE_PX + px, 2 * px):
            cv2.circle(picture, (x, y), px // 2, dot.tolist(), cv2.FILLED, cv2.LINE_AA)
    return picture


def codes_to_try(encoder: AnyEncoder) -> list[Floats]:
    """Codes [S] of `pictures_to_try`."""
    return [code_of(encoder, picture) for picture in pictures_to_try()]


def code_of(encoder: AnyEncoder, picture: Rgb) -> Floats:
    """The code [S] that PyTorch computes for a picture."""
    frame = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).unsqueeze(0).float()
    with torch.inference_mode():
        return np.asarray(encoder(frame)[0].numpy(), np.float32)
