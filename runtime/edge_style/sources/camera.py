"""Cameras, through OpenCV."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from edge_style.errors import SourceError
from edge_style.sources.base import Frame, Source
from edge_style.sources.capture import Capture

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_WANTED_FPS = 30
_GOOD_SHARE = 0.7
_MEASURED_FRAMES = 8
_MEASURING_S = 0.6
_UNCOMPRESSED_LIMIT_PX = 640 * 480  # what USB 2 carries at 30 frames a second without compression


class CameraSource(Source):
    """A camera. What was asked of it is a wish; `description` says what the driver answered.

    Args:
        name: an index ("0") or a device ("/dev/video0").
        size_px: (width, height) to ask for; the camera's own default if None.
    """

    live = True

    def __init__(self, name: str, size_px: tuple[int, int] | None = None) -> None:
        self._name = name
        self._capture = _open(name)
        if not self._capture.is_open:
            raise SourceError(f"no camera '{name}'{_cameras_there()}")
        self._ask_for(size_px)
        self._measured_fps = self._choose_format(size_px)
        # Some drivers open a camera that is in use elsewhere and fail at the first frame.
        first = self._capture.retrieve() if self._capture.grab() else None
        if first is None:
            self._capture.close()
            raise SourceError(f"camera '{name}' gives no pictures: is another program using it?")
        height, width = first.shape[:2]
        self.size_px = (width, height)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.1 < fps <= 1000 else None
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        letters = code.to_bytes(4, "little", signed=True).decode("ascii", "replace")
        pixel_format = f" {letters}" if letters.isalnum() else ""
        rate = f", {self._measured_fps:.3g} frames/s" if self._measured_fps else ""
        self.description = f"camera {name}, {width}x{height}{pixel_format}{rate}"

    def _ask_for(self, size_px: tuple[int, int] | None) -> None:
        # The order matters: drivers offer sizes and rates per pixel format.
        if size_px is not None:
            if size_px[0] * size_px[1] > _UNCOMPRESSED_LIMIT_PX:
                self._capture.set(cv2.CAP_PROP_FOURCC, _MJPG)
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size_px[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size_px[1])
        self._capture.set(cv2.CAP_PROP_FPS, _WANTED_FPS)
        # The newest frame is wanted, not a queue of old ones.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def _choose_format(self, size_px: tuple[int, int] | None) -> float | None:
        """Change to MJPG where that is quicker; the rate that arrives, None if nothing does.

        Drivers state rates that their uncompressed formats do not reach over USB, so it is
        measured. Light counts too: in the dark a camera is slow in any format.
        """
        rate = _measure_fps(self._capture)
        if rate is None or rate >= _GOOD_SHARE * _WANTED_FPS:
            return rate
        before = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        if before == _MJPG or not self._capture.set(cv2.CAP_PROP_FOURCC, _MJPG):
            return rate
        width, height = (
            size_px
            or (
                int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
                int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            )
        )  # fmt: skip
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        self._capture.set(cv2.CAP_PROP_FPS, _WANTED_FPS)
        compressed_rate = _measure_fps(self._capture)
        if compressed_rate is not None and compressed_rate > rate:
            return compressed_rate
        self._capture.set(cv2.CAP_PROP_FOURCC, before)
        return rate

    def __iter__(self) -> Iterator[Frame]:
        start_s: float | None = None
        while True:
            # grab() waits for the camera, retrieve() decodes: only the second is our own time.
            grabbed = self._capture.grab()
            captured_s = time.perf_counter()
            image = self._capture.retrieve() if grabbed else None
            if image is None:
                raise SourceError(f"camera '{self._name}' stopped giving pictures: unplugged?")
            capture_ms = (time.perf_counter() - captured_s) * 1000
            start_s = captured_s if start_s is None else start_s
            yield Frame(image, captured_s - start_s, captured_s, capture_ms)

    def close(self) -> None:
        self._capture.close()


def _measure_fps(capture: Capture) -> float | None:
    """Frames per second that really arrive, from a few of them; None if none do."""
    if not capture.grab():  # the first one is late, the camera has just woken up
        return None
    start_s = time.perf_counter()
    frames = 0
    while frames < _MEASURED_FRAMES and time.perf_counter() - start_s < _MEASURING_S:
        if not capture.grab():
            return None
        frames += 1
    return frames / max(time.perf_counter() - start_s, 1e-6)


def _open(name: str) -> Capture:
    on_linux = sys.platform.startswith("linux")
    backend = cv2.CAP_V4L2 if on_linux else cv2.CAP_ANY
    if name.isdecimal():
        # OpenCV takes a 32-bit index, and reads a back end's number out of its hundreds.
        return Capture(cv2.VideoCapture(min(int(name), 99), backend))
    return Capture(cv2.VideoCapture(name, backend))


def _cameras_there() -> str:
    """What to try instead, where the system lists its cameras as files."""
    if not sys.platform.startswith("linux"):
        return "; try another index, or --source test"
    devices = sorted(str(path) for path in Path("/dev").glob("video*"))
    there = f"there are {', '.join(devices)}" if devices else "there is none on this computer"
    return f": {there}; --source test needs no camera"
