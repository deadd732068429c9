"""A picture to try a style on: nobody's photo, but with what photos have.

Dead leaves (Lee, Mumford and Huang 2001, "Occlusion models for natural images"): things of all
sizes that hide one another have the statistics of photos, edges and flat areas at every scale.
"""

from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDE_PX = 320
_SEED = 0
_LEAVES = 260
# Of the picture's side, in which radii have densities as in photos, by their inverse cube.
_SMALLEST, _LARGEST = 0.02, 0.30
# Large things that are left out, so that ground is seen.
_LEFT_OUT = 0.35
_GRAIN_PX = 4
_WARMER = np.array([1, 0.1, -1])


def reference_picture() -> Tensor:
    """uint8 [1, 3, 320, 320], RGB: the same always."""
    picture = np.ascontiguousarray(_dead_leaves(SIDE_PX, _SEED))
    return torch.from_numpy(picture).permute(2, 0, 1).unsqueeze(0).contiguous()


@cache
def _dead_leaves(side_px: int, seed: int) -> NDArray[np.uint8]:
    """Shaded discs and boards over a ground in light, painted at twice the size."""
    draw = np.random.default_rng(seed)
    side = 2 * side_px
    y, x = np.mgrid[0:side, 0:side] / side
    top, bottom = draw.uniform(70, 220, (2, 1)) + draw.normal(0, 14, (2, 3))
    picture = (top + (bottom - top) * y[..., None]).astype(np.float32)
    largest, smallest = (1 / share**2 for share in (_LARGEST, _SMALLEST))
    radii = side / np.sqrt(draw.uniform(largest, smallest, _LEAVES))
    # Small ones last, or they would be hidden.
    for radius in np.sort(radii)[::-1]:
        if draw.uniform() < _LEFT_OUT and radius > 0.05 * side:
            continue
        centre = draw.uniform(-0.1 * side, 1.1 * side, 2)
        colour = draw.normal(112, 55) + draw.normal(0, 14, 3)
        colour = np.clip(colour + draw.normal(0, 12) * _WARMER, 0, 255)
        shape = _shape(side, centre, radius, draw)
        light = draw.uniform(0, 2 * np.pi)
        shade = (x * side - centre[0]) * np.cos(light) + (y * side - centre[1]) * np.sin(light)
        leaf = colour + (shade / radius)[..., None] * draw.uniform(5, 40)
        grain = draw.normal(0, 1, (side // _GRAIN_PX,) * 2).astype(np.float32)
        rough = cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC)
        leaf = leaf + rough[..., None] * draw.choice([0, 0, 6, 14])
        picture = picture * (1 - shape) + leaf.astype(np.float32) * shape
    soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
    small = cv2.resize(soft, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(np.rint(small), 0, 255), np.uint8)


def _shape(
    side: int, centre: NDArray[np.float64], radius: float, draw: np.random.Generator
) -> NDArray[np.float32]:
    """Where an ellipse or a board is, [side, side, 1], 0..1."""
    across, along = (radius * draw.uniform(0.5, 1.4) for _ in range(2))
    angle = draw.uniform(0, 180)
    mask = np.zeros((side, side), np.uint8)
    if draw.uniform() < 0.3:
        board = ((float(centre[0]), float(centre[1])), (2 * across, 2 * along), angle)
        cv2.fillConvexPoly(mask, cv2.boxPoints(board).astype(np.int32), 255, cv2.LINE_AA)
    else:
        axes = (max(1, int(across)), max(1, int(along)))
        middle = (int(centre[0]), int(centre[1]))
        cv2.ellipse(mask, middle, axes, angle, 0, 360, 255, -1, cv2.LINE_AA)
    return (mask[..., None] / 255).astype(np.float32)
