"""Colours carried over by optimal transport: the look of a reference without any network.

First the linear map that gives the photo's cloud of colours the reference's mean and covariance
while moving it least (Pitié and Kokaram 2007, "The Linear Monge-Kantorovitch Linear Colour
Mapping"), in RGB, where skies stay smooth. Then some of what a linear map cannot do, the shape of
the clouds, in Lab, where distances are about as large as they look: sliced transport (Pitié,
Kokaram and Dahyot 2007, "Automated colour grading using colour distribution transfer") sorts both
along many directions and moves the photo's points by a share of the way to the reference's.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.images import Rgb
from edge_style.photo.transform import linear_map

Points = npt.NDArray[np.float64]

_SLICES = 24
# Of the way in a slice. The whole way tears smooth skies apart, half of it draws bands in them.
_SHARE = 0.1
_MAX_STRETCH = 3.0  # of contrast in any direction: more shows noise and blocks of compression
SAMPLE_PX = 96


def carry_over(photo: Rgb, reference: Rgb) -> tuple[Rgb, npt.NDArray[np.float32]]:
    """Some colours of the photo and what becomes of them in the reference's look.

    Args:
        photo, reference: uint8 [H, W, 3], of any size.

    Returns:
        (before, after): uint8 and float32 [N, 3], RGB, 0..255.
    """
    before = sample(photo)
    colours = sample(reference)
    matrix, offset = linear_transport(before.astype(np.float64), colours.astype(np.float64))
    points, goal = _to_lab(before @ matrix.T + offset), _to_lab(colours)
    generator = np.random.default_rng(0)  # the same each time, so that a still picture stays still
    for _ in range(_SLICES // 3):
        directions, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        along, wanted = points @ directions, goal @ directions
        for axis in range(3):
            order = np.argsort(along[:, axis])
            target = quantiles(wanted[:, axis], len(order))
            moved = along[order, axis]
            along[order, axis] = moved + _SHARE * (target - moved)
        points = along @ directions.T
    return before, _to_rgb(points)


def quantiles(values: Points, count: int) -> Points:
    """`count` evenly spaced quantiles of `values` [N]; `np.quantile` takes 100 times as long."""
    at = (np.arange(count) + 0.5) / count * (len(values) - 1)
    found: Points = np.interp(at, np.arange(len(values)), np.sort(values))
    return found


def sample(picture: Rgb, side_px: int = SAMPLE_PX) -> Rgb:
    """The pixels of a small version, uint8 [N, 3]: no more than `side_px` a side."""
    height, width = picture.shape[:2]
    size = min(width, side_px), min(height, side_px)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8).reshape(
        -1, 3
    )


def linear_transport(points: Points, goal: Points) -> tuple[Points, Points]:
    """The linear map that takes a cloud's mean and covariance to another's and moves it least.

    Args:
        points, goal: float64 [N, 3] and [M, 3], in levels.

    Returns:
        (matrix [3, 3], offset [3]): a point p goes to matrix p + offset. Contrast is stretched
        only so far.
    """
    own, wanted = (np.cov(cloud.T) + np.eye(3) * 0.25 for cloud in (points, goal))
    values, vectors = np.linalg.eigh(linear_map(own, wanted, "transport"))
    matrix: Points = (vectors * np.minimum(values, _MAX_STRETCH)) @ vectors.T
    return matrix, goal.mean(axis=0) - matrix @ points.mean(axis=0)


def _to_lab(pixels: npt.NDArray[np.generic]) -> Points:
    unit = np.clip(pixels.reshape(-1, 1, 3).astype(np.float32) / 255, 0, 1)
    return np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2Lab), np.float64).reshape(-1, 3)


def _to_rgb(points: Points) -> npt.NDArray[np.float32]:
    lab = points.reshape(-1, 1, 3).astype(np.float32)
    unit = np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), np.float32).reshape(-1, 3)
    return np.clip(unit, 0, 1) * 255
