"""Clips and network streams, decoded by OpenCV's FFmpeg."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from edge_style.errors import SourceError
from edge_style.images import resize
from edge_style.sources.base import Frame, Source
from edge_style.sources.capture import Capture

_NETWORK_TIMEOUT_MS = 10_000
_DEFAULT_FPS = 25.0  # where a clip states none
# Pixels are never longer than this for their width; a file that says so is damaged, or hostile.
_MOST_STRETCHED = 4.0
# So many reads of a file may fail in a row: behind what is damaged there may be more.
_FAILED_READS = 10
# Of other containers OpenCV reports duration times frame rate.
_COUNTING = (".mp4", ".mov", ".m4v", ".avi")


class ClipSource(Source):
    """A video file, or one at an address: every frame once, upright, in order, in square pixels.

    Args:
        path: the file, or the address.
        capture: what was opened there already.
    """

    def __init__(self, path: Path | str, capture: Capture | None = None) -> None:
        self._name = mask_password(path) if isinstance(path, str) else str(path)
        self._capture = capture or _open(str(path), self._name)
        if isinstance(path, Path):
            self.clip = path
            self.states_count = path.suffix.lower() in _COUNTING
        self._skipped = 0
        self._shown_px: tuple[int, int] | None = None
        self._describe()

    def _describe(self) -> None:
        get = self._capture.get
        width, height = int(get(cv2.CAP_PROP_FRAME_WIDTH)), int(get(cv2.CAP_PROP_FRAME_HEIGHT))
        if width > 0 and height > 0:
            width, height = self._in_square_pixels(width, height)
            self.size_px = (width, height)
        fps = get(cv2.CAP_PROP_FPS)
        # Containers without a frame rate come back as 0 or as their clock's rate.
        self.fps = fps if 0.1 < fps <= 1000 else None
        count = int(get(cv2.CAP_PROP_FRAME_COUNT))
        self.frame_count = count if count > 0 else None
        rate = f", {self.fps:.4g} frames/s" if self.fps else ""
        self.description = f"{self._name}, {width}x{height}{rate}"

    def _in_square_pixels(self, width: int, height: int) -> tuple[int, int]:
        """What a frame measures when it is shown: pixels of DV, DVDs and AVCHD are wide or high."""
        get = self._capture.get
        across, down = get(cv2.CAP_PROP_SAR_NUM), get(cv2.CAP_PROP_SAR_DEN)
        is_likely = down > 0 and 1 / _MOST_STRETCHED <= across / down <= _MOST_STRETCHED
        if is_likely and across != down:
            if get(cv2.CAP_PROP_ORIENTATION_META) % 180:  # OpenCV has turned it
                across, down = down, across
            width = max(1, round(width * across / down))
            self._shown_px = (width, height)
        return width, height

    def skip(self, frames: int) -> None:
        self._skipped = frames

    def __iter__(self) -> Iterator[Frame]:
        left = self._skipped
        period_s = 1 / (self.fps or _DEFAULT_FPS)
        first_s: float | None = None
        time_s = -period_s
        while self._grab():
            captured_s = time.perf_counter()
            stamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if first_s is None:
                first_s = stamp_s
            # Streams without timestamps report the same one for ever.
            place_s = stamp_s - first_s
            time_s = place_s if place_s > time_s else time_s + period_s
            if left > 0:
                left -= 1
                continue
            image = self._capture.retrieve()
            if image is None:
                if self.clip is None:
                    break
                continue
            if self._shown_px is not None:
                image = resize(image, *self._shown_px)
            capture_ms = (time.perf_counter() - captured_s) * 1000
            yield Frame(image, time_s, captured_s, capture_ms)
        if first_s is None:
            raise SourceError(f"'{self._name}' has no pictures that can be decoded")

    def _grab(self) -> bool:
        """Wait for the next frame; False at the end. A stream is tried once: it takes seconds."""
        tries = 1 if self.clip is None else _FAILED_READS
        return any(self._capture.grab() for _ in range(tries))

    def close(self) -> None:
        self._capture.close()


class NetworkSource(ClipSource):
    """A stream that never ends by itself: when it does, the connection is lost."""

    live = True

    def __iter__(self) -> Iterator[Frame]:
        start_s: float | None = None
        for frame in super().__iter__():
            # The sender's clock may jump when it restarts; ours does not.
            start_s = frame.captured_s if start_s is None else start_s
            place_s = frame.captured_s - start_s
            yield Frame(frame.image, place_s, frame.captured_s, frame.capture_ms)
        raise SourceError(f"the stream '{self._name}' ended or its connection was lost")


def open_address(address: str) -> Source:
    """A clip at an address is played like a file, a stream without end is live.

    Raises:
        SourceError: nobody answers at the address within ten seconds, or it is no video.
    """
    # Opened once: some senders serve one listener, and end when it leaves.
    capture = _open(address, mask_password(address))
    is_clip = capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
    return ClipSource(address, capture) if is_clip else NetworkSource(address, capture)


def mask_password(address: str) -> str:
    """The address without its password, for messages that end up in logs."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", address)


def _open(name: str, shown_name: str) -> Capture:
    timeouts = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _NETWORK_TIMEOUT_MS),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _NETWORK_TIMEOUT_MS),
    ]
    try:
        name.encode()
    except UnicodeEncodeError as error:
        # OpenCV would crash.
        raise SourceError(f"'{shown_name}' is no name in UTF-8: rename the clip") from error
    capture = Capture(cv2.VideoCapture(name, cv2.CAP_FFMPEG, timeouts))
    if not capture.is_open:
        if "://" in name:
            raise SourceError(f"cannot open the stream '{shown_name}': is its address right?")
        raise SourceError(f"'{shown_name}' is not a video that can be read")
    return capture
