"""Hands the newest picture to any number of viewers, and waits for none of them."""

import threading
import time

import cv2
import numpy as np

from edge_style.shutdown import NativeThread
from edge_style.sinks.base import Image

_QUALITY = 80


class Broadcast:
    """Encodes pictures while somebody looks, in a thread of its own.

    `publish` only leaves the picture there, whatever viewers do. A viewer asks for what is newer
    than what it has; what it was too slow for is gone. No viewer, no encoding.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._image: Image | None = None
        self._published = 0
        self._jpeg = b""
        self._encoded = 0
        self._viewers = 0
        self._is_closed = False
        self._thread = NativeThread(self._encode_all, "web-encoder")

    def start(self) -> None:
        """Begin to encode."""
        self._thread.start()

    def close(self) -> None:
        """Let all viewers go."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_closed(self) -> bool:
        """Whether there will be no more pictures."""
        return self._is_closed

    @property
    def viewers(self) -> int:
        """How many look on."""
        return self._viewers

    @property
    def published(self) -> int:
        """How many pictures there were so far."""
        return self._published

    def publish(self, image: Image) -> None:
        """A new picture, uint8 [H, W, 3], RGB; nobody writes to it any more."""
        with self._condition:
            self._image = image
            self._published += 1
            self._condition.notify_all()

    def join(self) -> None:
        """A viewer comes."""
        with self._condition:
            self._viewers += 1
            self._condition.notify_all()

    def leave(self) -> None:
        """A viewer goes."""
        with self._condition:
            self._viewers -= 1

    def newer_than(self, number: int, timeout_s: float) -> tuple[int, bytes]:
        """Number and JPEG of the newest picture, after waiting for one newer than `number`.

        The old number comes back if there was none in time.
        """
        end_s = time.monotonic() + timeout_s
        with self._condition:
            while self._encoded <= number and not self._is_closed:
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    break
                self._condition.wait(left_s)
            return self._encoded, self._jpeg

    def snapshot(self) -> bytes | None:
        """The newest picture as a JPEG file, None if there is none yet."""
        with self._condition:
            image = self._image
        return None if image is None else _jpeg(image, 95)

    def _encode_all(self) -> None:
        while True:
            with self._condition:
                while not self._is_closed and not self._has_work():
                    self._condition.wait()
                if self._is_closed:
                    return
                image, number = self._image, self._published
            if image is None:
                continue
            jpeg = _jpeg(image, _QUALITY)
            with self._condition:
                self._jpeg, self._encoded = jpeg, number
                self._condition.notify_all()

    def _has_work(self) -> bool:
        return self._viewers > 0 and self._encoded < self._published


def _jpeg(image: Image, quality: int) -> bytes:
    bgr = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)
