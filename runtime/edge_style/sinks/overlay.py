"""What is written over the picture in a window: figures, notices, the help."""

import time
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from edge_style.controls import Controls, ShowState
from edge_style.sinks.base import Image, StyledFrame
from edge_style.sinks.keys import HELP_LINES

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_NOTICE_S = 2.0
_REFRESH_S = 0.25  # figures that change faster cannot be read, and cost time to draw
_MARGIN_PX = 4
_HELP_SHADE = 0.35


class Overlay:
    """Keeps what is to be written, and writes it.

    Args:
        clock: seconds, monotonic; a fake one in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._state: ShowState | None = None
        self._notice = ""
        self._notice_until_s = 0.0
        self._figures = ""
        self._figures_until_s = 0.0

    def apply(self, state: ShowState) -> None:
        """Something changed: the figures are drawn anew, a notice begins."""
        self._state = state
        self._figures_until_s = 0.0
        if state.notice:
            self._notice = state.notice
            self._notice_until_s = self._clock() + _NOTICE_S

    @property
    def has_notice(self) -> bool:
        """Whether there is a notice that will go away by itself."""
        return self._clock() < self._notice_until_s

    def draw(self, image: Image, frame: StyledFrame) -> None:
        """Write over uint8 [H, W, 3], any order of the channels."""
        controls = self._state.controls if self._state is not None else None
        lines = []
        if controls is None or controls.shows_figures:
            now_s = self._clock()
            if now_s >= self._figures_until_s:
                self._figures = figures_line(frame)
                self._figures_until_s = now_s + _REFRESH_S
            lines.append(self._figures)
        if controls is not None and controls.shows_help:
            draw_help(image)  # the rest would lie over it
        else:
            lines += self._messages(controls)
        draw_lines(image, lines)

    def _messages(self, controls: Controls | None) -> list[str]:
        lines = []
        if self._state is not None and self._state.trouble:
            lines.append(self._state.trouble)
        if self.has_notice:
            lines.append(self._notice)
        if controls is not None:
            doing = {"recording": controls.is_recording, "paused": controls.is_paused}
            lines.append("  ".join(word for word, is_so in doing.items() if is_so))
        return [line for line in lines if line]


def figures_line(frame: StyledFrame) -> str:
    """Frames per second, latency, size, provider and style in one line."""
    rate = "-" if frame.fps is None else f"{frame.fps:.1f}"
    arrived_fps = frame.arrived_fps
    # Said only where frames are lost.
    if arrived_fps is not None and frame.fps is not None and frame.fps < 0.9 * arrived_fps:
        rate += f" of {arrived_fps:.1f}"
    height, width = frame.image.shape[:2]
    size = f"{width}x{height}"
    if frame.network_px is not None and frame.network_px != (width, height):
        size += f" from {frame.network_px[0]}x{frame.network_px[1]}"
    parts = [f"{rate} fps", f"{frame.latency_ms:.0f} ms", size, frame.provider]
    return "  ".join(part for part in (*parts, frame.title or frame.style) if part)


def draw_lines(image: Image, lines: list[str]) -> None:
    """Write lines of text into the top left corner, white with a dark outline.

    Args:
        image: uint8 [H, W, 3], written to.
        lines: accents are left away, since OpenCV's letters have none. One that is too long for
            the picture is set in smaller letters.
    """
    height, width = image.shape[:2]
    scale = max(0.5, min(1.5, height / 700))
    top = _MARGIN_PX
    for line in lines:
        outline, text = _letters(line, scale, max(1, width - 16))
        _stamp(image, outline, text, top, _MARGIN_PX)
        top += text.shape[0]


def draw_help(image: Image) -> None:
    """Darken the picture and list the keys."""
    height, width = image.shape[:2]
    cv2.convertScaleAbs(image, dst=image, alpha=_HELP_SHADE)
    top = max(_MARGIN_PX, height // 10)
    row_px = max(1, (height - top - _MARGIN_PX) // len(HELP_LINES))
    scale = min(1.5, height / 700, row_px / 34)
    left, indent_px = width // 12, round(150 * scale)
    for keys, meaning in HELP_LINES:
        room_px = max(1, width - left - indent_px - 16)
        _stamp(image, *_letters(keys, scale, indent_px), top, left)
        _stamp(image, *_letters(meaning, scale, room_px), top, left + indent_px)
        top += row_px


@lru_cache(maxsize=64)
def _letters(line: str, scale: float, room_px: int) -> tuple[Image, Image]:
    """Outline and letters of a line as masks, uint8 [h, w, 3]."""
    line = unicodedata.normalize("NFKD", line).encode("ascii", "ignore").decode()
    (width, height), below = cv2.getTextSize(line, _FONT, scale, 1)
    if width > room_px:
        scale *= room_px / width
        (width, height), below = cv2.getTextSize(line, _FONT, scale, 1)
    text = np.zeros((height + below + 6, width + 12), np.uint8)
    cv2.putText(text, line, (4, height + 3), _FONT, scale, 255, 1, cv2.LINE_AA)
    # Letters drawn twice in two weights lie beside each other: OpenCV 5 spaces them by weight.
    outline = cv2.dilate(text, np.ones((3, 3), np.uint8))
    spread = cv2.COLOR_GRAY2BGR
    return (
        np.asarray(cv2.cvtColor(outline, spread), np.uint8),
        np.asarray(cv2.cvtColor(text, spread), np.uint8),
    )


def _stamp(image: Image, outline: Image, text: Image, top: int, left: int) -> None:
    band = image[top : top + text.shape[0], left : left + text.shape[1]]
    if band.size == 0:
        return
    rows, columns = band.shape[:2]
    cv2.subtract(band, np.ascontiguousarray(outline[:rows, :columns]), dst=band)
    cv2.add(band, np.ascontiguousarray(text[:rows, :columns]), dst=band)
