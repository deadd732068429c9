"""OpenCV's captures, tamed: quiet on the terminal, safe to close."""

import os
import threading

import cv2
import numpy as np

from edge_style.sources.base import Image

_CLOSE_PATIENCE_S = 1.0

# Read by OpenCV once, when FFmpeg first runs; AV_LOG_QUIET. A user's own setting wins.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class Capture:
    """A `cv2.VideoCapture` that one thread reads and another one may close."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        """Whether there is something to read from."""
        return not self._is_closed and self._capture.isOpened()

    def grab(self) -> bool:
        """Wait for the next frame; False at the end."""
        with self._lock:
            return not self._is_closed and self._capture.grab()

    def retrieve(self) -> Image | None:
        """Decode the frame: uint8 [H, W, 3], RGB; None where that fails."""
        with self._lock:
            if self._is_closed:
                return None
            try:
                decoded, image = self._capture.retrieve()
            except cv2.error:
                return None
        if not decoded or image is None or image.dtype != np.uint8 or image.ndim != 3:
            return None
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), np.uint8)

    def get(self, what: int) -> float:
        """One of OpenCV's properties."""
        return self._capture.get(what)

    def set(self, what: int, value: float) -> bool:
        """Set one of OpenCV's properties."""
        return self._capture.set(what, value)

    def close(self) -> None:
        """Let go of the device or file, unless another thread hangs in it.

        Closing under a reader's feet crashes; the end of the process frees the device as well.
        """
        if self._lock.acquire(timeout=_CLOSE_PATIENCE_S):
            self._is_closed = True
            self._capture.release()
            self._lock.release()
