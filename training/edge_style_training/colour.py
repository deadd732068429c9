"""Keeping the photo's colours (Gatys et al. 2016, "Preserving color", arXiv 1606.05897).

Two ways: paint in luminance alone and put the photo's chrominance back, or give the painting the
photo's colours first.
"""

import numpy as np
from numpy.typing import NDArray

from edge_style.images import Rgb

# NTSC's YIQ: the first row gives luminance, the others chrominance.
_YIQ_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
)
_RGB_FROM_YIQ = np.linalg.inv(_YIQ_FROM_RGB)

# Of a picture with a single colour, in squared 8-bit levels: keeps the inverse root finite.
_SMALLEST_VARIANCE = 1e-3


def grey(picture: Rgb) -> Rgb:
    """Luminance of RGB `picture` [H, W, 3], in all three channels."""
    luminance = picture @ _YIQ_FROM_RGB[0]
    return _to_levels(np.repeat(luminance[..., None], 3, axis=2))


def grey_like(painting: Rgb, photo: Rgb) -> Rgb:
    """Luminance of `painting` with the mean and the deviation of the luminance of `photo`."""
    luminance, wanted = painting @ _YIQ_FROM_RGB[0], photo @ _YIQ_FROM_RGB[0]
    deviation = max(float(luminance.std()), _SMALLEST_VARIANCE**0.5)
    matched = (luminance - luminance.mean()) * (wanted.std() / deviation) + wanted.mean()
    return _to_levels(np.repeat(matched[..., None], 3, axis=2))


def with_colours_of(painted: Rgb, photo: Rgb) -> Rgb:
    """Luminance of `painted`, chrominance of `photo`; both [H, W, 3] RGB of one size."""
    yiq = photo @ _YIQ_FROM_RGB.T
    yiq[..., 0] = painted @ _YIQ_FROM_RGB[0]
    return _to_levels(yiq @ _RGB_FROM_YIQ.T)


def match_colours(painting: Rgb, photo: Rgb) -> Rgb:
    """`painting` with the mean and the covariance of the colours of `photo`.

    The linear map of the paper's "image analogies" kind, by roots of both covariances.
    """
    pixels = painting.reshape(-1, 3).astype(np.float64)
    wanted = photo.reshape(-1, 3).astype(np.float64)
    transform = _root(_covariance(wanted)) @ np.linalg.inv(_root(_covariance(pixels)))
    matched = (pixels - pixels.mean(axis=0)) @ transform.T + wanted.mean(axis=0)
    return _to_levels(matched.reshape(painting.shape))


def _covariance(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    covariance = np.cov(pixels, rowvar=False) + _SMALLEST_VARIANCE * np.eye(3)
    return np.asarray(covariance, dtype=np.float64)


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors @ np.diag(np.sqrt(values)) @ vectors.T, dtype=np.float64)


def _to_levels(values: NDArray[np.floating]) -> Rgb:
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)
