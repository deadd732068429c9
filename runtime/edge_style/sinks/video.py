"""Video files as an output."""

import importlib.util
import os
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from edge_style.errors import ImageError, SinkError
from edge_style.images import ensure_folder
from edge_style.sinks.base import Image, Sink, StreamInfo, StyledFrame
from edge_style.sinks.cv_writer import CvWriter, check_encoder

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm")


class Writer(Protocol):
    """Encodes frames of one size into a file."""

    def write(self, image: Image, time_s: float) -> None:
        """Encode a frame, uint8 [H, W, 3] RGB with even sides, at its place in the stream."""

    def close(self) -> None:
        """Finish the file."""


class VideoSink(Sink):
    """A clip, H.264 where PyAV is installed, else what OpenCV can encode.

    It is written beside its target and takes the target's name when it is finished, so that a
    broken conversion leaves nothing. A recording is kept whatever ended it, since what it shows
    does not come back; as `.mp4` and `.mkv` it is playable while it grows, under the name
    `.NAME.PID.part.SUFFIX`.

    H.264 takes even sides only: odd ones gain a pixel, a copy of the last. Frames of another size
    than the first are fitted into it, with black bars.
    """

    def __init__(self, path: Path, stream: StreamInfo) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix.lower()}")
        self._stream = stream
        self._size_px: tuple[int, int] | None = None
        self._writer: Writer | None = None
        try:
            ensure_folder(path.parent)
        except ImageError as error:
            raise SinkError(str(error)) from error
        if stream.clip is not None and _is_same_file(path, stream.clip):
            raise SinkError(f"'{path}' is the clip that is read: give the output another name")
        if stream.clip is not None and not stream.recording and not _has_pyav():
            self.notes = ("sound is kept only with PyAV: pip install 'edge-style[video]'",)
        self._check_codec()

    def _check_codec(self) -> None:
        if _has_pyav():
            from edge_style.sinks.av_writer import find_encoder  # noqa: PLC0415 - optional

            find_encoder(self._path.suffix.lower())
        else:
            check_encoder(self._partial)

    def open(self) -> None:
        try:
            self._partial.touch()
        except OSError as error:
            raise SinkError(f"cannot write '{self._path}': {error.strerror}") from error

    def write(self, frame: StyledFrame) -> None:
        image = frame.image
        if self._size_px is None:
            self._size_px = (image.shape[1], image.shape[0])
        image = _pad_to_even(_fit(image, self._size_px))
        try:
            if self._writer is None:
                self._writer = self._new_writer(image)
            self._writer.write(image, frame.time_s)
        except (OSError, cv2.error) as error:
            raise SinkError(f"cannot write '{self._path}': {_reason(error)}") from error

    def _new_writer(self, image: Image) -> Writer:
        size_px = (image.shape[1], image.shape[0])
        if _has_pyav():
            from edge_style.sinks.av_writer import AvWriter  # noqa: PLC0415 - optional

            return AvWriter(self._partial, size_px, self._stream)
        return CvWriter(self._partial, size_px, self._stream)

    def close(self, *, failed: bool) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
                self.notes += getattr(writer, "notes", ())
        except (OSError, cv2.error) as error:
            failed = True
            raise SinkError(f"cannot write '{self._path}': {_reason(error)}") from error
        finally:
            is_kept = writer is not None and (self._stream.recording or not failed)
            self._settle(is_kept=is_kept)

    def _settle(self, *, is_kept: bool) -> None:
        try:
            if is_kept and self._partial.stat().st_size > 0:
                self._partial.replace(self._path)
            else:
                self._partial.unlink(missing_ok=True)
        except OSError as error:
            raise SinkError(f"cannot write '{self._path}': {error.strerror}") from error


def _has_pyav() -> bool:
    return importlib.util.find_spec("av") is not None


def _is_same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _fit(image: Image, size_px: tuple[int, int]) -> Image:
    """Scale into a frame of this size, centred on black."""
    width, height = size_px
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (
        min(width, max(1, round(image.shape[1] * scale))),
        min(height, max(1, round(image.shape[0] * scale))),
    )
    frame = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    frame[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        image, inner, interpolation=cv2.INTER_AREA
    )
    return frame


def _pad_to_even(image: Image) -> Image:
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    padded = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(padded, np.uint8)
