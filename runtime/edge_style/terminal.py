"""The show in a terminal: a status line and a preview of coloured blocks. It prints.

For ssh and devices without a screen. The line goes to standard error, so that pipes and `--json`
stay clean; without a terminal nothing is written.
"""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TextIO

import cv2

from edge_style.controls import Command, Controls, Notice, ShowState
from edge_style.sinks import Sink, StyledFrame
from edge_style.sinks.base import Image
from edge_style.sinks.keys import command_for
from edge_style.sinks.overlay import figures_line
from edge_style.terminal_keys import TerminalKeys

_LINE_S = 0.5
_PICTURE_S = 0.2
_NOTICE_S = 3.0
_CLEAR_LINE = "\r\x1b[K"
_UPPER_HALF = "\u2580"


class StatusLine(Sink):
    """One line that is written over and over: figures, style, notices. Hears keys too.

    Args:
        out: a terminal.
        keys: gives the characters that were typed since the last call; None for none.
        clock: seconds, monotonic; a fake one in tests.
    """

    def __init__(
        self,
        out: TextIO,
        keys: TerminalKeys | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._out = out
        self._keys = keys
        self._clock = clock
        self._controls = Controls()
        self._trouble = ""
        self._notice = ""
        self._notice_until_s = 0.0
        self._next_line_s = 0.0
        self._last: StyledFrame | None = None

    def open(self) -> None:
        if self._keys is not None:
            self._keys.open()

    def apply(self, state: ShowState) -> None:
        self._controls, self._trouble = state.controls, state.trouble
        if state.notice:
            self._notice = state.notice
            self._notice_until_s = self._clock() + _NOTICE_S
        self._next_line_s = 0.0
        self._write_line()

    def write(self, frame: StyledFrame) -> None:
        self._last = frame
        self._write_line()

    def _write_line(self) -> None:
        now_s = self._clock()
        if now_s < self._next_line_s or self._last is None:
            return
        self._next_line_s = now_s + _LINE_S
        columns = shutil.get_terminal_size().columns
        self._put(f"{_CLEAR_LINE}{self._line(now_s)[: columns - 1]}")

    def _line(self, now_s: float) -> str:
        parts = [figures_line(self._last) if self._last is not None else ""]
        if self._controls.is_paused:
            parts.insert(0, "[paused]")
        if self._controls.is_recording:
            parts.insert(0, "[recording]")
        if self._trouble:
            parts.insert(0, self._trouble)
        if now_s < self._notice_until_s:
            parts.insert(0, self._notice)
        return "  ".join(part for part in parts if part)

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a terminal that was closed is no end of the show
            self._out.write(text)
            self._out.flush()

    def poll(self) -> list[Command | Notice]:
        if self._keys is None:
            return []
        commands = (command_for(character) for character in self._keys.typed())
        return [command for command in commands if command is not None]

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - it goes away either way
        if self._keys is not None:
            self._keys.close()
        self._put(_CLEAR_LINE)


class TerminalPreview(StatusLine):
    """The picture in coloured half blocks, two pixels a character, above the status line.

    What other outputs greet with, such as the address to watch at, stands between both.
    """

    _next_picture_s = 0.0
    _greetings: Sequence[str] = ()

    def open(self) -> None:
        super().open()
        self._put("\x1b[?1049h\x1b[?25l\x1b[2J")  # another screen, no cursor

    def meet(self, greetings: Sequence[str]) -> None:
        self._greetings = greetings

    def write(self, frame: StyledFrame) -> None:
        now_s = self._clock()
        if now_s >= self._next_picture_s or frame.is_repeat:
            self._next_picture_s = now_s + _PICTURE_S
            columns, rows = shutil.get_terminal_size()
            taken = 1 + sum(math.ceil(len(line) / columns) for line in self._greetings)
            self._put("\x1b[H" + half_blocks(frame.image, columns, max(1, rows - taken)))
            self._put("".join(f"{line}\r\n" for line in self._greetings))
            self._next_line_s = 0.0
        super().write(frame)

    def close(self, *, failed: bool) -> None:
        super().close(failed=failed)
        self._put("\x1b[?25h\x1b[?1049l")


def half_blocks(image: Image, columns: int, rows: int) -> str:
    """A picture as text for a terminal of 24-bit colour.

    Args:
        image: uint8 [H, W, 3], RGB.
        columns, rows: characters that there is room for; the picture's shape is kept.
    """
    height, width = image.shape[:2]
    scale = min(columns / width, 2 * rows / height)
    size = max(1, round(width * scale)), max(2, round(height * scale) // 2 * 2)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    lines = []
    for top, bottom in zip(small[0::2].tolist(), small[1::2].tolist(), strict=True):
        line, last = [], None
        for upper, lower in zip(top, bottom, strict=True):
            if (upper, lower) != last:
                last = (upper, lower)
                line.append("\x1b[38;2;{};{};{};48;2;{};{};{}m".format(*upper, *lower))
            line.append(_UPPER_HALF)
        lines.append("".join(line) + "\x1b[0m\x1b[K")
    return "\r\n".join(lines) + "\r\n\x1b[J"
