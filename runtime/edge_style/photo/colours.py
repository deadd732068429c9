"""The first step: the photo's colours get the reference's mean and covariance, region by region.

Features of a bright sky and of a night are so far apart that the linear map between them turns the
sky inside out: dark clouds come up where there was nothing. From a photo that is in the
reference's colours already, the map of the features is near the identity. And what the networks
add can be smoothed alone: a smoothing may then flatten it as it likes, without a loss of the
photo's own details.

The map is affine in RGB: of the maps that reach the statistics the one that moves colours least
(`transport.linear_transport`). In Lab the result is further from the photo; nothing is won by it.
"""

import numpy as np
import numpy.typing as npt

from edge_style.images import Rgb
from edge_style.photo.affine import IDENTITY, LocalAffine, fit_local_affine
from edge_style.photo.masks import Labels, shrink
from edge_style.photo.transport import SAMPLE_PX, linear_transport, sample

Coefficients = npt.NDArray[np.float32]  # [12], as in LocalAffine

# Regions meet where the photo has an edge near the mask's, within this many pixels.
_FEATHER_PX = 8
_FEATHER_EPSILON = 1e-4
# Pixels of the small versions: fewer have no statistics worth the name.
_MIN_PIXELS = 16


def match_colours(
    photo: Rgb,
    reference: Rgb,
    labels: tuple[Labels, Labels] | None = None,
) -> LocalAffine:
    """The map that brings the photo into the reference's colours.

    Args:
        photo, reference: uint8 [H, W, 3].
        labels: of the photo and of the reference, at any size; None: each is one region.

    Returns:
        One map for all, or with labels one for every pixel of `photo`. A region that is too small
        in either picture keeps its colours.
    """
    if labels is None:
        chosen = _map_of(sample(photo), sample(reference))
        return LocalAffine(chosen.reshape(1, 1, 12))
    own, others = (_sampled(part) for part in labels)
    before, wanted = sample(photo), sample(reference)
    at_size = shrink(labels[0], photo.shape[1], photo.shape[0])
    present = np.unique(at_size)
    weights = _feathered(photo, [at_size == label for label in present])
    mixed = np.zeros((*photo.shape[:2], 12), np.float32)
    for label, weight in zip(present, weights, strict=True):
        chosen = _map_of(before[own == label], wanted[others == label])
        mixed += weight[..., np.newaxis] * chosen
    return LocalAffine(mixed)


def _map_of(points: Rgb, goal: Rgb) -> Coefficients:
    """The coefficients that take `points` to `goal`, [N, 3] each."""
    if min(len(points), len(goal)) < _MIN_PIXELS:
        return IDENTITY.coefficients.ravel()
    matrix, offset = linear_transport(points.astype(np.float64), goal.astype(np.float64))
    return np.asarray(np.column_stack([matrix, offset / 255]), np.float32).ravel()


def _sampled(labels: Labels) -> npt.NDArray[np.int32]:
    """The labels of the pixels that `transport.sample` takes, [N]."""
    height, width = labels.shape
    return shrink(labels, min(width, SAMPLE_PX), min(height, SAMPLE_PX)).ravel()


def _feathered(photo: Rgb, regions: list[npt.NDArray[np.bool_]]) -> npt.NDArray[np.float32]:
    """How much each region counts at every pixel, [R, H, W] with sums of 1.

    Borders of masks are drawn by hand; the guided filter lays them on the photo's edges.
    """
    weights = np.empty((len(regions), *photo.shape[:2]), np.float32)
    for start in range(0, len(regions), 3):
        part = regions[start : start + 3]
        drawn = np.zeros(photo.shape, np.float32)
        for channel, region in enumerate(part):
            drawn[..., channel] = region * np.float32(255)
        fitted = fit_local_affine(photo, drawn, radius_px=_FEATHER_PX, epsilon=_FEATHER_EPSILON)
        values = fitted.values(photo) / 255
        weights[start : start + 3] = values.transpose(2, 0, 1)[: len(part)]
    weights = np.clip(weights, 0, 1)
    total = weights.sum(axis=0)
    shares: npt.NDArray[np.float32] = weights / np.maximum(total, np.float32(1e-3))
    return shares
