"""A photo as a moving picture: the view glides across it, as a hand-held camera would."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge_style.errors import SourceError
from edge_style.images import read_image
from edge_style.sources.base import Frame, Image, Source

_FPS = 30.0
_DURATION_S = 5.0
_DEFAULT_SIZE_PX = (640, 480)
# The view spans this share of the photo, so that there is room to move, and breathes by the next.
_VIEW = 0.75
_ZOOM = 0.08


class PanSource(Source):
    """One closed round across a photo: the last frame leads into the first."""

    fps = _FPS

    def __init__(self, path: Path, size_px: tuple[int, int] | None = None) -> None:
        """Read the photo.

        Args:
            path: the photo.
            size_px: (width, height) of the frames, 640x480 if None.

        Raises:
            SourceError: the size cannot be made.
            ImageError: the photo cannot be read.
        """
        width, height = self.size_px = size_px or _DEFAULT_SIZE_PX
        if width < 1 or height < 1:
            raise SourceError(f"frames of {width}x{height} pixels cannot be made")
        self._photo = read_image(path)
        self.frame_count = round(_DURATION_S * _FPS)
        self.description = f"{path} as a moving picture, {width}x{height}"

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.frame_count or 0):
            start_s = time.perf_counter()
            image = self._view(index / (self.frame_count or 1))
            capture_ms = (time.perf_counter() - start_s) * 1000
            yield Frame(image, index / _FPS, start_s, capture_ms)

    def _view(self, turn: float) -> Image:
        """What is seen after a `turn` of the round, 0..1."""
        width, height = self.size_px or _DEFAULT_SIZE_PX
        photo_height, photo_width = self._photo.shape[:2]
        angle = 2 * math.pi * turn
        # Photo pixels per frame pixel.
        scale = min(photo_width / width, photo_height / height) * _VIEW
        scale *= 1 + _ZOOM * math.sin(angle)
        room_x, room_y = photo_width - scale * width, photo_height - scale * height
        left = room_x * (0.5 - 0.5 * math.cos(angle))
        top = room_y * (0.5 - 0.4 * math.sin(2 * angle))
        # Pixel centres, so that nothing shifts by half a pixel at another scale.
        half = 0.5 * scale - 0.5
        place = np.array([[scale, 0, left + half], [0, scale, top + half]], np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view = cv2.warpAffine(
            self._photo, place, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(view, np.uint8)
