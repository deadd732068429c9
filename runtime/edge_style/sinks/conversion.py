"""Conversions: a clip becomes another one, every frame once, and a long job can be gone on with."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge_style.errors import SinkError
from edge_style.sinks.base import Sink, StreamInfo, StyledFrame
from edge_style.sinks.cv_writer import CvWriter, check_encoder
from edge_style.sinks.video import NO_SOUND, Shape, Writer, check_target, has_pyav, reason_of

if TYPE_CHECKING:
    from edge_style.sinks.segments import Segment


class ConversionSink(Sink):
    """A clip that takes its name when it is complete.

    With PyAV the frames go into segments beside the target, `.NAME.partN.mp4`, which are playable
    whatever ends the job. The same job, begun again, goes on behind the last complete group of
    pictures; at the end the segments are joined without encoding them anew, with the clip's sound.
    Without PyAV nothing is left of a job that was cut short.

    Attributes:
        frames_done: how many frames earlier runs of this job left; the next one to write is the
            one after those.
    """

    def __init__(self, path: Path, stream: StreamInfo) -> None:
        check_target(path, stream)
        self._path = path
        self._stream = stream
        self._shape = Shape()
        self._writer: Writer | None = None
        self._has_pyav = has_pyav()
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix.lower()}")
        self._segments: list[Segment] = []
        self.frames_done = 0
        if not self._has_pyav:
            check_encoder(self._partial)
            if stream.clip is not None:
                self.notes = (NO_SOUND,)
            return
        from edge_style.sinks.av_writer import find_encoder  # noqa: PLC0415 - optional
        from edge_style.sinks.segments import find_segments  # noqa: PLC0415 - optional

        find_encoder(path.suffix.lower())
        self._segments = find_segments(path, stream.job)
        self.frames_done = sum(segment.frames for segment in self._segments)

    def open(self) -> None:
        try:
            self._partial.touch()
            self._partial.unlink()
        except OSError as error:
            raise SinkError(f"cannot write '{self._path}': {error.strerror}") from error

    def write(self, frame: StyledFrame) -> None:
        image = self._shape.fit(frame.image)
        try:
            if self._writer is None:
                self._writer = self._new_writer((image.shape[1], image.shape[0]), frame.time_s)
            self._writer.write(image, frame.time_s)
        except (OSError, cv2.error) as error:
            raise SinkError(f"cannot write '{self._path}': {reason_of(error)}") from error

    def _new_writer(self, size_px: tuple[int, int], time_s: float) -> Writer:
        if not self._has_pyav:
            return CvWriter(self._partial, size_px, self._stream)
        from edge_style.sinks.av_writer import AvWriter, WriterOptions  # noqa: PLC0415 - optional
        from edge_style.sinks.segments import segment_path  # noqa: PLC0415 - optional

        about = {"job": self._stream.job, "frame": self.frames_done, "time_s": time_s}
        options = WriterOptions(
            is_fragmented=True,
            keeps_sound=False,
            suffix=self._path.suffix.lower(),
            comment=json.dumps(about),
        )
        part = segment_path(self._path, len(self._segments))
        return AvWriter(part, size_px, self._stream, options)

    def close(self, *, failed: bool) -> None:
        writer, self._writer = self._writer, None
        try:
            if not failed:
                if writer is not None:
                    writer.close()
                self._finish(writer is not None)
                return
            if writer is not None:
                with suppress(OSError, cv2.error):  # the first error is the one to tell
                    writer.close()
            if self._has_pyav:
                self._tell_what_is_left()
        except (OSError, cv2.error, ValueError) as error:
            raise SinkError(f"cannot write '{self._path}': {reason_of(error)}") from error
        finally:
            self._partial.unlink(missing_ok=True)

    def _finish(self, has_written: bool) -> None:
        if not self._has_pyav:
            if has_written:
                self._partial.replace(self._path)
            return
        from edge_style.sinks.segments import find_segments, join  # noqa: PLC0415 - optional

        segments = find_segments(self._path, self._stream.job, is_last_complete=has_written)
        if not segments:
            return
        self.notes += join(segments, self._partial, self._stream)
        self._partial.replace(self._path)
        for segment in segments:
            segment.path.unlink(missing_ok=True)

    def _tell_what_is_left(self) -> None:
        from edge_style.sinks.segments import find_segments  # noqa: PLC0415 - optional

        frames = sum(part.frames for part in find_segments(self._path, self._stream.job))
        if frames:
            self.notes += (f"{frames} frames are kept: the same command goes on from there",)
