"""Numbered picture files as an output."""

import re
from pathlib import Path

from edge_style.errors import ImageError, SinkError
from edge_style.images import ensure_writable, write_image
from edge_style.sinks.base import Sink, StreamInfo, StyledFrame


class PicturesSink(Sink):
    """One file a frame, numbered from 1.

    Args:
        pattern: a path whose name holds one number, as in `out_%04d.png`.
        stream: where the frames come from.

    Raises:
        SinkError: the name holds no number, or pictures that are read would be replaced.
    """

    def __init__(self, pattern: Path, stream: StreamInfo) -> None:
        if len(re.findall(r"%0?\d*d", pattern.name)) != 1 or pattern.name.count("%") != 1:
            raise SinkError(
                f"'{pattern}' names one picture, the frames are many: number them, as in "
                f"{pattern.stem.replace('%', '')}_%04d{pattern.suffix}"
            )
        _ensure_apart(pattern, stream.pictures)
        self._pattern = pattern
        self._written = 0
        try:
            ensure_writable(pattern)
        except ImageError as error:
            raise SinkError(str(error)) from error

    def write(self, frame: StyledFrame) -> None:
        if frame.is_repeat:
            return
        path = self._pattern.with_name(self._pattern.name % (self._written + 1))
        try:
            write_image(path, frame.image)
        except ImageError as error:
            raise SinkError(str(error)) from error
        self._written += 1


def _ensure_apart(pattern: Path, pictures: tuple[Path, ...]) -> None:
    """Check that no picture that is read has a name that is written. Raises SinkError."""
    before, after = re.split(r"%0?\d*d", pattern.name)
    folder = pattern.parent.resolve()
    for picture in pictures:
        number = picture.name[len(before) : len(picture.name) - len(after)]
        is_named_so = number.isdecimal() and picture.name == f"{before}{number}{after}"
        if is_named_so and picture.parent.resolve() == folder:
            raise SinkError(
                f"'{pattern}' would replace '{picture}', which is read: "
                "give the output another folder or name"
            )
