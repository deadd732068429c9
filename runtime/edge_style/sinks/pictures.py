"""Numbered picture files as an output."""

import re
from pathlib import Path

from edge_style.errors import ImageError, SinkError
from edge_style.images import ensure_writable, write_image
from edge_style.sinks.base import Sink, StyledFrame


class PicturesSink(Sink):
    """One file a frame, numbered from 1.

    Args:
        pattern: a path whose name holds one number, as in `out_%04d.png`.
    """

    def __init__(self, pattern: Path) -> None:
        if len(re.findall(r"%0?\d*d", pattern.name)) != 1 or pattern.name.count("%") != 1:
            raise SinkError(
                f"'{pattern}' names one picture, the frames are many: number them, as in "
                f"{pattern.stem.replace('%', '')}_%04d{pattern.suffix}"
            )
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
