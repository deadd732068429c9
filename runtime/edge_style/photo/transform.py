"""Features of a photo get the mean and covariance of a reference's, region by region.

Two linear maps do that. With covariances P of the photo and R of the reference:

- `whitening`, the whitening and colouring transform of the paper (Li et al. 2017, "Universal Style
  Transfer via Feature Transforms", arXiv 1705.08086): R^1/2 P^-1/2, after which nothing is left of
  the photo's covariance on the way;
- `transport` (Lu et al. 2019, "A Closed-Form Solution to Universal Style Transfer", arXiv
  1906.00668): P^-1/2 (P^1/2 R P^1/2)^1/2 P^-1/2, which of all maps with that result moves the
  features least, and so keeps most of the photo.

Directions in which the photo's features do not vary are left out: there is nothing to stretch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from edge_style.photo.masks import Labels, shrink

Features: TypeAlias = npt.NDArray[np.float32]
Matrix: TypeAlias = npt.NDArray[np.float64]
Transform: TypeAlias = Literal["whitening", "transport"]

TRANSFORMS: tuple[Transform, ...] = get_args(Transform)

# A region with fewer pixels than this has no statistics worth the name.
_MIN_PIXELS = 16
# Of the largest eigenvalue: directions of less variance are noise.
_FLOOR = 1e-5
_CHUNK_PIXELS = 1 << 16


@dataclass(frozen=True)
class Statistics:
    """Mean [C] and covariance [C, C] of features over the pixels of a region."""

    mean: Matrix
    covariance: Matrix


def measure(pixels: Features) -> Statistics:
    """Statistics of `pixels` [C, N], summed in chunks and in double precision."""
    mean = pixels.mean(axis=1, dtype=np.float64)
    covariance = np.zeros((len(mean), len(mean)))
    for start in range(0, pixels.shape[1], _CHUNK_PIXELS):
        part = pixels[:, start : start + _CHUNK_PIXELS] - mean[:, np.newaxis].astype(np.float32)
        covariance += part @ part.T
    return Statistics(mean, covariance / pixels.shape[1])


def measure_regions(features: Features, labels: Labels | None) -> dict[int, Statistics]:
    """Statistics of `features` [C, H, W] per label; without labels all is label 0.

    Regions of too few pixels are left out.
    """
    found = {}
    for label, pixels in _regions(features, labels):
        chosen = pixels if isinstance(pixels, slice) else np.flatnonzero(pixels)
        values = features.reshape(len(features), -1)[:, chosen]
        if values.shape[1] >= _MIN_PIXELS:
            found[label] = measure(values)
    return found


def transfer(
    features: Features,
    labels: Labels | None,
    reference: Mapping[int, Statistics],
    transform: Transform = "whitening",
) -> Features:
    """Features with the reference's statistics in every region.

    Args:
        features: [C, H, W].
        labels: of the photo, at any size; None: all is label 0.
        reference: label -> statistics, of `measure_regions`. A region that is missing here, or too
            small, stays as it is.
        transform: which linear map.

    Returns:
        A fresh array [C, H, W].
    """
    changed: Features = features.copy()
    flat = changed.reshape(len(features), -1)
    for label, pixels in _regions(features, labels):
        wanted = reference.get(label)
        places = np.arange(flat.shape[1]) if isinstance(pixels, slice) else np.flatnonzero(pixels)
        if wanted is None or len(places) < _MIN_PIXELS:
            continue
        own = measure(flat if isinstance(pixels, slice) else flat[:, places])
        matrix = linear_map(own.covariance, wanted.covariance, transform)
        offset = wanted.mean - matrix @ own.mean
        _apply(flat, places, matrix.astype(np.float32), offset.astype(np.float32))
    return changed


def linear_map(own: Matrix, wanted: Matrix, transform: Transform = "whitening") -> Matrix:
    """The matrix M with M own M^T = wanted, for covariances [C, C]."""
    values, vectors = np.linalg.eigh(own)
    # Where a photo is of one colour nothing varies, and a relative floor would keep rounding.
    keep = values > max(_FLOOR * values[-1], 1e-12)
    values, vectors = values[keep], vectors[:, keep]
    whitening = (vectors / np.sqrt(values)) @ vectors.T
    if transform == "whitening":
        return np.asarray(_root(wanted) @ whitening)
    own_root = (vectors * np.sqrt(values)) @ vectors.T
    return np.asarray(whitening @ _root(own_root @ wanted @ own_root) @ whitening)


def _root(matrix: Matrix) -> Matrix:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(matrix)
    root: Matrix = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def _regions(
    features: Features, labels: Labels | None
) -> list[tuple[int, slice | npt.NDArray[np.bool_]]]:
    """(label, its pixels in the flattened features) of every region."""
    if labels is None:
        return [(0, slice(None))]
    small = shrink(labels, features.shape[2], features.shape[1]).ravel()
    return [(int(label), small == label) for label in np.unique(small)]


def _apply(
    flat: Features, places: npt.NDArray[np.intp], matrix: Features, offset: Features
) -> None:
    """Map the columns `places` of `flat` [C, N], in chunks so that memory stays small."""
    for start in range(0, len(places), _CHUNK_PIXELS):
        part = places[start : start + _CHUNK_PIXELS]
        flat[:, part] = matrix @ flat[:, part] + offset[:, np.newaxis]
