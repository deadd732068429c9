"""A window on the screen as an output."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np

from edge_style.controls import Command, Controls, Notice, ShowState
from edge_style.errors import SinkError
from edge_style.sinks.base import Image, Sink, StyledFrame
from edge_style.sinks.keys import command_for
from edge_style.sinks.overlay import Overlay
from edge_style.sinks.x11 import bare_screen_px, display_answers

TITLE = "edge-style"
_OTHER_OUTPUTS = "use --output FILE.mp4, --output out_%04d.png or --output null"


class WindowSink(Sink):
    """Shows frames with their figures, and hears keys and the mouse. Belongs to the main thread."""

    def __init__(self) -> None:
        _check_display()
        self._overlay = Overlay()
        self._controls = Controls()
        self._last: StyledFrame | None = None
        self._is_open = False
        self._is_full_screen = False
        self._shown: Image | None = None
        self._drags: list[Command | Notice] = []

    def open(self) -> None:
        _quiet_qt_about_fonts()
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.setMouseCallback(TITLE, self._hear_mouse)
        except cv2.error as error:
            raise SinkError(
                f"this build of OpenCV has no windows (opencv-python has): {_OTHER_OUTPUTS}"
            ) from error
        self._is_open = True
        self._fill_screen()

    def write(self, frame: StyledFrame) -> None:
        if self._last is None and not self._is_full_screen:
            height, width = frame.image.shape[:2]
            cv2.resizeWindow(TITLE, width, height)
        self._last = frame
        self._show(frame)

    def apply(self, state: ShowState) -> None:
        self._controls = state.controls
        self._overlay.apply(state)
        if self._is_open:
            self._fill_screen()
            if self._last is not None:
                self._show(self._last)

    def _show(self, frame: StyledFrame) -> None:
        self._shown = np.asarray(
            cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR, dst=self._shown), np.uint8
        )
        self._overlay.draw(self._shown, frame)
        cv2.imshow(TITLE, self._shown)

    def _fill_screen(self) -> None:
        wanted = self._controls.is_full_screen
        if wanted == self._is_full_screen:
            return
        self._is_full_screen = wanted
        mode = cv2.WINDOW_FULLSCREEN if wanted else cv2.WINDOW_NORMAL
        cv2.setWindowProperty(TITLE, cv2.WND_PROP_FULLSCREEN, mode)
        screen_px = bare_screen_px() if sys.platform.startswith("linux") else None
        if screen_px is None:
            return
        if wanted:
            cv2.moveWindow(TITLE, 0, 0)
            cv2.resizeWindow(TITLE, *screen_px)
        elif self._last is not None:
            cv2.resizeWindow(TITLE, self._last.image.shape[1], self._last.image.shape[0])

    def poll(self) -> list[Command | Notice]:
        if not self._is_open:
            return []
        key = cv2.pollKey()
        # A window that the mouse closed would come back with the next imshow.
        if not _is_visible():
            return [Command("quit")]
        wishes, self._drags = self._drags, []
        command = command_for(character_of(key))
        return wishes if command is None else [*wishes, command]

    def _hear_mouse(self, _event: int, x: int, _y: int, flags: int, _data: object) -> None:
        """Drag the edge of the split view. OpenCV calls this inside `pollKey`."""
        if flags & cv2.EVENT_FLAG_LBUTTON and self._controls.is_split and self._last is not None:
            # Only the newest place counts.
            self._drags = [Command("edge", x / self._last.image.shape[1])]

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - a window goes away either way
        if self._is_open:
            self._is_open = False
            # Closed by the mouse, it is gone already.
            if _is_visible():
                cv2.destroyWindow(TITLE)
                cv2.pollKey()


def character_of(key: int) -> str:
    """The character of a key as `pollKey` gives it; empty for other keys, and for -1, none.

    The left arrow is 0xFF51 on X11 and must not be taken for its lowest byte, which is Q. Beyond 16
    bits are Shift and the like with GTK, and on Windows the keys that have no character.
    """
    code = key & 0xFFFF
    return chr(code) if key >= 0 and 0 < code < 0x80 else ""


def _is_visible() -> bool:
    try:
        return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:
        # Qt is gone with its last window.
        return False


def _check_display() -> None:
    """Qt ends the whole process where it finds no display, so look before it does.

    Raises:
        SinkError: there is none.
    """
    if not sys.platform.startswith("linux"):
        return
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        raise SinkError(f"no display for a window: {_OTHER_OUTPUTS}")
    if os.environ.get("DISPLAY") and not display_answers():
        name = os.environ["DISPLAY"]
        raise SinkError(f"the display '{name}' does not answer: {_OTHER_OUTPUTS}")


def _quiet_qt_about_fonts() -> None:
    # The wheels of OpenCV point Qt to a folder of fonts that they do not hold; Qt then complains
    # on the terminal. The figures are drawn by OpenCV and need no font of Qt's.
    folder = os.environ.get("QT_QPA_FONTDIR")
    if folder is not None and not Path(folder).is_dir():
        os.environ["QT_QPA_FONTDIR"] = str(Path(cv2.__file__).parent)
