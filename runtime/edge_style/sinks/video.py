"""Recordings: video files that grow while something happens."""

import importlib.util
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from edge_style.errors import ImageError, SinkError
from edge_style.images import ensure_folder
from edge_style.sinks.base import Image, Sink, StreamInfo, StyledFrame
from edge_style.sinks.cv_writer import CvWriter, check_encoder

NO_SOUND = "sound is kept only with PyAV: pip install 'edge-style[video]'"
VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm")

# What file systems allow, less what is added for files that are not finished.
_NAME_BYTES = 255 - 24


class Writer(Protocol):
    """Encodes frames of one size into a file."""

    def write(self, image: Image, time_s: float) -> None:
        """Encode a frame, uint8 [H, W, 3] RGB with even sides, at its place in the stream."""

    def close(self) -> None:
        """Finish the file."""


class VideoSink(Sink):
    """A recording, H.264 where PyAV is installed, else what OpenCV can encode.

    With PyAV it grows under its own name and is playable whatever ends it, kill -9 included: `.mp4`
    and `.mov` files are fragmented, `.mkv` and `.webm` files have short clusters, so that no more
    than the last second is lost. OpenCV's files are readable only when they are finished; those
    grow as `.NAME.PID.part.SUFFIX` and take the name then.

    H.264 takes even sides only: odd ones gain a pixel, a copy of the last. Frames of another size
    than the first are fitted into it, with black bars.
    """

    def __init__(self, path: Path, stream: StreamInfo) -> None:
        check_target(path, stream)
        self._path = path
        self._has_pyav = has_pyav()
        partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix.lower()}")
        self._file = path if self._has_pyav else partial
        self._stream = stream
        self._shape = Shape()
        self._writer: Writer | None = None
        if self._has_pyav:
            from edge_style.sinks.av_writer import find_encoder  # noqa: PLC0415 - optional

            find_encoder(path.suffix.lower())
        else:
            check_encoder(partial)
            if stream.clip is not None:
                self.notes = (NO_SOUND,)

    def open(self) -> None:
        is_new = not self._file.exists()
        try:
            with self._file.open("ab"):
                pass
            if is_new:
                self._file.unlink()
        except OSError as error:
            raise SinkError(f"cannot write '{self._path}': {error.strerror}") from error

    def write(self, frame: StyledFrame) -> None:
        if frame.is_repeat:
            return
        image = self._shape.fit(frame.image)
        try:
            if self._writer is None:
                self._writer = self._new_writer((image.shape[1], image.shape[0]))
            self._writer.write(image, frame.time_s)
        except (OSError, cv2.error) as error:
            raise SinkError(f"cannot write '{self._path}': {reason_of(error)}") from error

    def _new_writer(self, size_px: tuple[int, int]) -> Writer:
        if not self._has_pyav:
            return CvWriter(self._file, size_px, self._stream)
        from edge_style.sinks.av_writer import AvWriter, WriterOptions  # noqa: PLC0415 - optional

        options = WriterOptions(is_fragmented=True, is_live=True)
        return AvWriter(self._file, size_px, self._stream, options)

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - what was recorded is kept
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
            self.notes += getattr(writer, "notes", ())
            if self._file.stat().st_size == 0:
                self._file.unlink()
            elif self._file != self._path:
                self._file.replace(self._path)
        except (OSError, cv2.error) as error:
            self._keep_what_there_is()
            raise SinkError(f"cannot write '{self._path}': {reason_of(error)}") from error

    def _keep_what_there_is(self) -> None:
        with suppress(OSError):
            if self._file.stat().st_size == 0:
                self._file.unlink()
            elif self._file != self._path:
                self._file.replace(self._path)


class Shape:
    """Brings all frames to the size of the first one, with even sides."""

    def __init__(self) -> None:
        self._size_px: tuple[int, int] | None = None

    def fit(self, image: Image) -> Image:
        """A frame as it is to be encoded."""
        if self._size_px is None:
            self._size_px = (image.shape[1], image.shape[0])
        return _pad_to_even(_fit(image, self._size_px))


def check_target(path: Path, stream: StreamInfo) -> None:
    """Check what can be checked before there are frames.

    Raises:
        SinkError: there is no such folder, the name is too long, or the target is the clip itself.
    """
    if len(os.fsencode(path.name)) > _NAME_BYTES:
        raise SinkError(f"'{path}' is too long a name: give the output a shorter one")
    try:
        ensure_folder(path.parent)
    except ImageError as error:
        raise SinkError(str(error)) from error
    if stream.clip is not None and _is_same_file(path, stream.clip):
        raise SinkError(f"'{path}' is the clip that is read: give the output another name")


def has_pyav() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None


def _is_same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def reason_of(error: Exception) -> str:
    """What went wrong, without the words that Python puts around it."""
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
