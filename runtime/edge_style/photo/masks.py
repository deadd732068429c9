"""Label images: each colour of a mask is a label, and a label's pixels form a region.

A region of the photo takes its light from the region of the same label in the reference.
"""

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.errors import ImageError, UsageError
from edge_style.images import Rgb, read_image

Labels: TypeAlias = npt.NDArray[np.int32]

# A mask saved as JPEG has thousands of colours; nobody paints so many regions.
MAX_LABELS = 64
_NAMED = 4


def read_masks(
    photo_mask: Path, reference_mask: Path, photo: Rgb, reference: Rgb
) -> tuple[Labels, Labels]:
    """The label images of a photo and its reference, as labels 0, 1, ... that match.

    Args:
        photo_mask, reference_mask: pictures of the sizes of `photo` and `reference`.
        photo, reference: RGB [H, W, 3].

    Returns:
        Labels [H, W] of the photo and of the reference; equal colours have equal labels.

    Raises:
        ImageError: a mask cannot be read.
        UsageError: the sizes or labels do not match, or a mask is no label image.
    """
    codes = [
        _read_codes(path, picture, what)
        for path, picture, what in (
            (photo_mask, photo, "photo"),
            (reference_mask, reference, "reference"),
        )
    ]
    palettes = [np.unique(code) for code in codes]
    for path, palette in zip((photo_mask, reference_mask), palettes, strict=True):
        if len(palette) > MAX_LABELS:
            raise UsageError(
                f"'{path}' has {len(palette)} colours, expected a label image of at most "
                f"{MAX_LABELS}: save it as .png, without smoothing"
            )
    if not np.array_equal(palettes[0], palettes[1]):
        missing = _missing(palettes, (photo_mask, reference_mask))
        raise UsageError(f"the labels of the masks do not match: {missing}")
    first, second = (np.searchsorted(palettes[0], code).astype(np.int32) for code in codes)
    return first, second


def _read_codes(path: Path, picture: Rgb, what: str) -> npt.NDArray[np.int64]:
    mask = read_image(path)
    if mask.shape != picture.shape:
        raise UsageError(
            f"the mask '{path}' has {_size(mask)} pixels, its {what} {_size(picture)}: "
            "they should be of one size"
        )
    wide = mask.astype(np.int64)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _size(picture: Rgb) -> str:
    return f"{picture.shape[1]}x{picture.shape[0]}"


def _missing(palettes: list[npt.NDArray[np.int64]], paths: tuple[Path, Path]) -> str:
    parts = []
    for here, there, path in ((0, 1, paths[1]), (1, 0, paths[0])):
        lacking = np.setdiff1d(palettes[here], palettes[there])
        if lacking.size:
            named = ", ".join(f"#{code:06x}" for code in lacking[:_NAMED])
            more = " and others" if lacking.size > _NAMED else ""
            parts.append(f"'{path}' lacks {named}{more}")
    return "; ".join(parts)


def shrink(labels: Labels, width_px: int, height_px: int) -> Labels:
    """The labels at another size: each pixel has the label at its middle.

    Raises:
        ImageError: the size is empty.
    """
    if width_px < 1 or height_px < 1:
        raise ImageError(f"labels cannot be scaled to {width_px}x{height_px}")
    if labels.shape == (height_px, width_px):
        return labels
    size = (width_px, height_px)
    # Only the exact mode takes the middle; the plain one is off by up to half a pixel.
    scaled = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(scaled, np.int32)
