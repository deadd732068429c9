"""Colours carried over by optimal transport: the look of a reference without any network.

Both pictures' pixels are clouds of points in Lab, where distances are about as large as they look.
First the linear map that gives the photo's cloud the reference's mean and covariance while moving
it least (Pitié and Kokaram 2007, "The Linear Monge-Kantorovitch Linear Colour Mapping"). Then what
a linear map cannot do, the shape of the clouds: sliced transport (Pitié, Kokaram and Dahyot 2007,
"Automated colour grading using colour distribution transfer") sorts both along many directions
and moves the photo's points by a share of the way to the reference's.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.images import Rgb
from edge_style.photo.transform import linear_map

Points = npt.NDArray[np.float64]

_SLICES = 24
_SHARE = 0.5  # of the way in a slice: the whole way tears smooth skies apart
_MAX_STRETCH = 3.0  # of contrast in any direction: more shows noise and blocks of compression
_SIDE_PX = 96


def carry_over(photo: Rgb, reference: Rgb) -> tuple[Rgb, npt.NDArray[np.float32]]:
    """Some colours of the photo and what becomes of them in the reference's look.

    Args:
        photo, reference: uint8 [H, W, 3], of any size.

    Returns:
        (before, after): uint8 and float32 [N, 3], RGB, 0..255.
    """
    before = sample(photo)
    start, goal = _to_lab(before), _to_lab(sample(reference))
    points = _linear(start, goal)
    generator = np.random.default_rng(0)  # the same each time, so that a still picture stays still
    for _ in range(_SLICES // 3):
        directions, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        along, wanted = points @ directions, goal @ directions
        for axis in range(3):
            order = np.argsort(along[:, axis])
            ranks = (np.arange(len(order)) + 0.5) / len(order)
            target = np.quantile(wanted[:, axis], ranks)
            moved = along[order, axis]
            along[order, axis] = moved + _SHARE * (target - moved)
        points = along @ directions.T
    return before, _to_rgb(points)


def sample(picture: Rgb, side_px: int = _SIDE_PX) -> Rgb:
    """The pixels of a small version, uint8 [N, 3]: no more than `side_px` a side."""
    height, width = picture.shape[:2]
    size = min(width, side_px), min(height, side_px)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8).reshape(
        -1, 3
    )


def _linear(points: Points, goal: Points) -> Points:
    """`points` with the mean and covariance of `goal`, contrast stretched only so far."""
    own, wanted = (np.cov(cloud.T) + np.eye(3) * 0.25 for cloud in (points, goal))
    matrix = linear_map(own, wanted, "transport")
    values, vectors = np.linalg.eigh(matrix)
    matrix = (vectors * np.minimum(values, _MAX_STRETCH)) @ vectors.T
    moved: Points = (points - points.mean(axis=0)) @ matrix.T + goal.mean(axis=0)
    return moved


def _to_lab(pixels: Rgb) -> Points:
    unit = pixels.reshape(-1, 1, 3).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2Lab), np.float64).reshape(-1, 3)


def _to_rgb(points: Points) -> npt.NDArray[np.float32]:
    lab = points.reshape(-1, 1, 3).astype(np.float32)
    unit = np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), np.float32).reshape(-1, 3)
    return np.clip(unit, 0, 1) * 255
