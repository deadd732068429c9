"""A picture as a local affine map of the photo: the fast smoothing, and what makes it large.

In the guided filter (He, Sun and Tang 2010, "Guided Image Filtering", section 3.4 for colour), each
window explains the picture by the photo's colours: `picture = A photo + b`, with a 3x3 matrix and
an offset fitted to the window's pixels. What the photo does not have, such as a painting's texture
or a network's noise, cannot be explained and goes; the photo's edges stay where they are.

The coefficients are smooth, so they may be fitted to small versions of both and applied to the
photo at full size (He and Sun 2015, "Fast Guided Filter", arXiv 1505.00996): that is how a
picture of a thousand pixels a side becomes one of four thousand.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.images import Rgb, resize

Plane = npt.NDArray[np.float32]

# Rows that are worked on at a time when coefficients are applied: memory.
_STRIP_ROWS = 128


@dataclass(frozen=True)
class LocalAffine:
    """A map of colours that changes from place to place.

    Attributes:
        coefficients: float32 [h, w, 12], on the scale 0..1: for each output channel three factors
            and an offset.
    """

    coefficients: Plane

    def apply(self, photo: Rgb) -> Rgb:
        """The mapped photo, uint8 [H, W, 3]; the map is stretched over it."""
        mapped = np.empty_like(photo)
        for rows, values in self._strips(photo):
            mapped[rows] = np.clip(np.rint(values), 0, 255)
        return mapped

    def values(self, photo: Rgb) -> Plane:
        """The same without rounding and clipping, float32 [H, W, 3]."""
        mapped = np.empty(photo.shape, np.float32)
        for rows, values in self._strips(photo):
            mapped[rows] = values
        return mapped

    def plus(self, other: "LocalAffine") -> "LocalAffine":
        """The map whose result is the sum of both maps' results, as fine as the finer one."""
        height = max(self.coefficients.shape[0], other.coefficients.shape[0])
        width = max(self.coefficients.shape[1], other.coefficients.shape[1])
        return LocalAffine(self._stretched(height, width) + other._stretched(height, width))

    def _stretched(self, height: int, width: int) -> Plane:
        size = (width, height)
        return np.asarray(cv2.resize(self.coefficients, size, interpolation=_LINEAR), np.float32)

    def _strips(self, photo: Rgb) -> Iterator[tuple[slice, Plane]]:
        """Rows of the photo, and their mapped values."""
        height, width = photo.shape[:2]
        across = self._stretched(self.coefficients.shape[0], width)
        for top in range(0, height, _STRIP_ROWS):
            bottom = min(top + _STRIP_ROWS, height)
            strip = _rows_of(across, height, top, bottom)
            yield slice(top, bottom), _mapped(photo[top:bottom], strip)


IDENTITY = LocalAffine(np.eye(3, 4, dtype=np.float32).reshape(1, 1, 12))
_LINEAR = cv2.INTER_LINEAR


def _rows_of(coefficients: Plane, height: int, top: int, bottom: int) -> Plane:
    """Rows `top` to `bottom` of coefficients [h, W, 12] stretched to `height` rows."""
    rows = coefficients.shape[0]
    if rows == height:
        return coefficients[top:bottom]
    # As OpenCV places samples: at the middle of pixels.
    at = np.clip((np.arange(top, bottom) + 0.5) * rows / height - 0.5, 0, rows - 1)
    below = np.minimum(at.astype(np.intp), rows - 2 if rows > 1 else 0)
    share = (at - below).astype(np.float32)[:, np.newaxis, np.newaxis]
    above = np.minimum(below + 1, rows - 1)
    stretched: Plane = coefficients[below] * (1 - share) + coefficients[above] * share
    return stretched


def _mapped(photo: Rgb, coefficients: Plane) -> Plane:
    """Each pixel of `photo` [h, w, 3] by its own map [h, w, 12], in levels."""
    colours = photo.astype(np.float32)
    mapped = np.empty(photo.shape, np.float32)
    for channel in range(3):
        factors = coefficients[..., 4 * channel : 4 * channel + 4]
        value = factors[..., 3] * 255
        for source in range(3):
            value += factors[..., source] * colours[..., source]
        mapped[..., channel] = value
    return mapped


def fit_local_affine(
    photo: Rgb, picture: npt.NDArray[np.generic], *, radius_px: int, epsilon: float
) -> LocalAffine:
    """The guided filter's coefficients of `picture` on `photo`.

    Args:
        photo: uint8 [H, W, 3].
        picture: the same shape, in levels, uint8 or float.
        radius_px: half the side of the windows.
        epsilon: the variance, on the scale 0..1, below which the photo counts as flat: larger is
            smoother.
    """
    guide: Plane = photo.astype(np.float32) / np.float32(255)
    target: Plane = picture.astype(np.float32) / np.float32(255)
    size = (2 * radius_px + 1, 2 * radius_px + 1)

    def mean(values: Plane) -> Plane:
        return np.asarray(
            cv2.boxFilter(values, -1, size, borderType=cv2.BORDER_REFLECT), np.float32
        )

    guide_mean, target_mean = mean(guide), mean(target)
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    covariance = {
        (i, j): mean(guide[..., i] * guide[..., j]) - guide_mean[..., i] * guide_mean[..., j]
        for i, j in pairs
    }
    for i in range(3):
        covariance[i, i] += epsilon
    inverse = _inverse(covariance)
    coefficients = np.empty((*guide.shape[:2], 12), np.float32)
    for channel in range(3):
        cross = [
            mean(guide[..., i] * target[..., channel])
            - guide_mean[..., i] * target_mean[..., channel]
            for i in range(3)
        ]
        offset = target_mean[..., channel].copy()
        for i in range(3):
            factor = sum(inverse[min(i, j), max(i, j)] * cross[j] for j in range(3))
            coefficients[..., 4 * channel + i] = factor
            offset -= factor * guide_mean[..., i]
        coefficients[..., 4 * channel + 3] = offset
    for index in range(12):
        coefficients[..., index] = mean(np.ascontiguousarray(coefficients[..., index]))
    return LocalAffine(coefficients)


def _inverse(m: dict[tuple[int, int], Plane]) -> dict[tuple[int, int], Plane]:
    """The inverses of symmetric 3x3 matrices, one a pixel, by their cofactors."""
    cofactors = {
        (0, 0): m[1, 1] * m[2, 2] - m[1, 2] * m[1, 2],
        (0, 1): m[0, 2] * m[1, 2] - m[0, 1] * m[2, 2],
        (0, 2): m[0, 1] * m[1, 2] - m[0, 2] * m[1, 1],
        (1, 1): m[0, 0] * m[2, 2] - m[0, 2] * m[0, 2],
        (1, 2): m[0, 1] * m[0, 2] - m[0, 0] * m[1, 2],
        (2, 2): m[0, 0] * m[1, 1] - m[0, 1] * m[0, 1],
    }
    determinant = m[0, 0] * cofactors[0, 0] + m[0, 1] * cofactors[0, 1] + m[0, 2] * cofactors[0, 2]
    return {place: value / determinant for place, value in cofactors.items()}


def smooth_fast(
    photo: Rgb,
    picture: npt.NDArray[np.generic],
    *,
    window: float = 0.15,
    epsilon: float = 3e-3,
    shrink: int = 2,
) -> LocalAffine:
    """The fast smoothing, as a map to be applied to the photo at any size.

    Args:
        photo: uint8 [H, W, 3].
        picture: what is to be smoothed, the same shape, in levels; differences may be negative.
        window: half the side of the windows, of the photo's longer side.
        epsilon: as in `fit_local_affine`.
        shrink: coefficients are fitted at a size so many times smaller.
    """
    height, width = photo.shape[:2]
    small = max(1, width // shrink), max(1, height // shrink)
    guide = resize(photo, *small)
    target = cv2.resize(picture.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    radius = max(1, min(round(window * max(small)), min(small) // 2))
    return fit_local_affine(guide, target, radius_px=radius, epsilon=epsilon)
