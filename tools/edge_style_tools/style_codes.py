"""Codes of styles to verify and calibrate with, of a network for any style."""

import random

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


def codes_to_try(encoder: AnyEncoder) -> list[Floats]:
    """Codes [S] of `pictures_to_try`."""
    return [code_of(encoder, picture) for picture in pictures_to_try()]


def code_of(encoder: AnyEncoder, picture: Rgb) -> Floats:
    """The code [S] that PyTorch computes for a picture."""
    frame = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).unsqueeze(0).float()
    with torch.inference_mode():
        return np.asarray(encoder(frame)[0].numpy(), np.float32)
