"""Many pictures in one: a table with labels, for comparing."""

from collections.abc import Sequence

import cv2
import numpy as np

from edge_style.errors import UsageError
from edge_style.images import Rgb, resize_long_side

_GAP_PX = 8
_LABEL_PX = 22
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_SCALE = 0.45
_INK = (30, 30, 30)


def contact_sheet(
    rows: Sequence[Sequence[Rgb]],
    column_labels: Sequence[str],
    row_labels: Sequence[str],
    *,
    cell_px: int = 256,
) -> Rgb:
    """A white sheet with one picture a cell, labels above the columns and above each row.

    Args:
        rows: pictures [H, W, 3] RGB of any size; each is scaled to `cell_px` on its longer side.
        column_labels: one a column.
        row_labels: one a row, may be empty.
        cell_px: longer side of a cell.

    Raises:
        UsageError: no pictures, or rows of different lengths.
    """
    columns = len(column_labels)
    if not rows or any(len(row) != columns for row in rows) or len(row_labels) != len(rows):
        raise UsageError("a contact sheet needs rows of one length, with a label each")
    cells = [[resize_long_side(picture, cell_px) for picture in row] for row in rows]
    width = max(picture.shape[1] for row in cells for picture in row)
    bands = [_band(list(column_labels), width)]
    for row, label in zip(cells, row_labels, strict=True):
        if label:
            bands.append(_band([label, *[""] * (columns - 1)], width))
        height = max(picture.shape[0] for picture in row)
        band = _blank(height + _GAP_PX, columns * (width + _GAP_PX) + _GAP_PX)
        for number, picture in enumerate(row):
            left = _GAP_PX + number * (width + _GAP_PX)
            left += (width - picture.shape[1]) // 2
            band[: picture.shape[0], left : left + picture.shape[1]] = picture
        bands.append(band)
    return np.ascontiguousarray(np.concatenate(bands))


def _band(labels: Sequence[str], cell_width: int) -> Rgb:
    band = _blank(_LABEL_PX, len(labels) * (cell_width + _GAP_PX) + _GAP_PX)
    is_alone = len(list(filter(None, labels))) == 1
    for number, label in enumerate(labels):
        room = band.shape[1] - 2 * _GAP_PX if is_alone else cell_width
        origin = (_GAP_PX + number * (cell_width + _GAP_PX), _LABEL_PX - 7)
        cv2.putText(band, _fitting(label, room), origin, _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)
    return band


def _fitting(label: str, room_px: int) -> str:
    """`label` cut until it fits; OpenCV's font knows ASCII alone."""
    text = label.encode("ascii", "replace").decode()
    while text and cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0] > room_px:
        text = text[:-1]
    return text


def _blank(height: int, width: int) -> Rgb:
    return np.full((height, width, 3), 255, np.uint8)
