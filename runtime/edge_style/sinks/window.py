"""A window on the screen as an output."""

import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from edge_style.errors import ImageError, SinkError
from edge_style.images import ensure_folder, write_image
from edge_style.sinks.base import Command, Image, Sink, StyledFrame
from edge_style.sinks.x11 import display_answers

TITLE = "edge-style"
_OTHER_OUTPUTS = "use --output FILE.mp4, --output out_%04d.png or --output null"
_NOTICE_S = 2.0
_ESC = 27
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class WindowSink(Sink):
    """Shows frames with their figures, and hears keys. Belongs to the main thread.

    Args:
        snapshots: folder that `s` saves into.
    """

    def __init__(self, snapshots: Path) -> None:
        _check_display()
        try:
            ensure_folder(snapshots)
        except ImageError as error:
            raise SinkError(f"snapshots: {error}") from error
        self._snapshots = snapshots
        self._last: StyledFrame | None = None
        self._is_paused = False
        self._is_open = False
        self._notice = ""
        self._notice_until_s = 0.0
        self._shown: Image | None = None

    def open(self) -> None:
        _quiet_qt_about_fonts()
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise SinkError(
                f"this build of OpenCV has no windows (opencv-python has): {_OTHER_OUTPUTS}"
            ) from error
        self._is_open = True

    def write(self, frame: StyledFrame) -> None:
        if self._last is None:
            height, width = frame.image.shape[:2]
            cv2.resizeWindow(TITLE, width, height)
        self._last = frame
        self._show(frame)

    def _show(self, frame: StyledFrame) -> None:
        self._shown = np.asarray(
            cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR, dst=self._shown), np.uint8
        )
        lines = [_figures(frame)]
        if time.perf_counter() < self._notice_until_s:
            lines.append(self._notice)
        if self._is_paused:
            lines.append("paused")
        draw_lines(self._shown, lines)
        cv2.imshow(TITLE, self._shown)

    def poll(self) -> list[Command]:
        if not self._is_open:
            return []
        key = cv2.pollKey()
        # A window that the mouse closed would come back with the next imshow.
        if not _is_visible():
            return ["quit"]
        command = self._command(key & 0xFF) if key >= 0 else None
        return [] if command is None else [command]

    def _command(self, key: int) -> Command | None:
        letter = chr(key).lower()
        if key == _ESC or letter == "q":
            return "quit"
        if letter == " ":
            self._is_paused = not self._is_paused
            self._refresh()
            return "pause"
        if letter == "s":
            self._save_snapshot()
            return None
        if letter in "np":
            return "next" if letter == "n" else "previous"
        return int(letter) - 1 if letter in "123456789" else None

    def _refresh(self) -> None:
        if self._last is not None:
            self._show(self._last)

    def _save_snapshot(self) -> None:
        if self._last is None:
            return
        path = _new_name(self._snapshots, self._last.style)
        try:
            write_image(path, self._last.image)
        except ImageError as error:
            # A full disk is no reason to end the show.
            self._notice = f"not saved: {error}"
        else:
            self._notice = f"saved {path.name}"
        self._notice_until_s = time.perf_counter() + _NOTICE_S
        self._refresh()

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - a window goes away either way
        if self._is_open:
            self._is_open = False
            # Closed by the mouse, it is gone already.
            if _is_visible():
                cv2.destroyWindow(TITLE)
                cv2.pollKey()


def draw_lines(image: Image, lines: list[str]) -> None:
    """Write lines of text into the top left corner, white with a dark outline.

    Args:
        image: uint8 [H, W, 3], written to.
        lines: ASCII. One that is too long for the picture is set in smaller letters.
    """
    top = 4
    for line in lines:
        scale = max(0.5, min(1.5, image.shape[0] / 700))
        (width, height), below = cv2.getTextSize(line, _FONT, scale, 1)
        room = image.shape[1] - 16
        if width > room > 0:
            scale *= room / width
            (width, height), below = cv2.getTextSize(line, _FONT, scale, 1)
        rows = height + below + 6
        band = image[top : top + rows, 4 : 4 + width + 12]
        text = np.zeros(band.shape[:2], np.uint8)
        cv2.putText(text, line, (4, height + 3), _FONT, scale, 255, 1, cv2.LINE_AA)
        # Letters drawn twice in two weights lie beside each other: OpenCV 5 spaces them by weight.
        outline = cv2.dilate(text, np.ones((3, 3), np.uint8))
        darkened = band.astype(np.uint16) * (255 - outline[..., None].astype(np.uint16)) // 255
        band[:] = darkened + text[..., None]
        top += rows


def _is_visible() -> bool:
    try:
        return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:
        # Qt is gone with its last window.
        return False


def _figures(frame: StyledFrame) -> str:
    rate = "-" if frame.fps is None else f"{frame.fps:.1f}"
    parts = [f"{rate} fps", f"{frame.latency_ms:.0f} ms", frame.style, frame.provider]
    return "  ".join(part for part in parts if part)


def _new_name(folder: Path, style: str) -> Path:
    stem = "-".join(part for part in ("edge-style", style, time.strftime("%Y%m%d-%H%M%S")) if part)
    path = folder / f"{stem}.png"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}.png"
        number += 1
    return path


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
