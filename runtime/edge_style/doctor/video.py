"""What OpenCV and PyAV can show, read and write here."""

import importlib
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# Container and codec, as OpenCV takes them, that outputs may use.
_WRITERS = ((".mp4", "mp4v"), (".mp4", "avc1"), (".avi", "MJPG"))
_ENCODERS = ("libx264", "h264_nvenc", "h264_videotoolbox", "h264_qsv", "h264_vaapi", "libvpx-vp9")


def examine_video() -> dict[str, Any]:
    """GUI toolkit, display, readers and writers that work; encoders that PyAV knows, or None."""
    information = cv2.getBuildInformation()
    return {
        "opencv": cv2.__version__,
        "gui": _stated(information, "GUI"),
        "display": has_display(),
        "ffmpeg": _is_built_in(information, "FFMPEG"),
        "gstreamer": _is_built_in(information, "GStreamer"),
        "writes": [f"{suffix} {code}" for suffix, code in _WRITERS if _writes(suffix, code)],
        "pyav_encoders": _pyav_encoders(),
    }


def has_display() -> bool:
    """Whether a window could open: always but on Linux without X or Wayland."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _stated(information: str, name: str) -> str:
    match = re.search(rf"^\s*{name}:[ \t]*(.*)$", information, re.MULTILINE)
    return match[1].strip() if match else ""


def _is_built_in(information: str, name: str) -> bool:
    return _stated(information, name).startswith("YES")


def _writes(suffix: str, code: str) -> bool:
    """Whether a clip written that way comes back with its frames."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _comes_back(Path(folder), suffix, code)
    except OSError:  # there is no folder for such things that can be written to
        return False


def _comes_back(folder: Path, suffix: str, code: str) -> bool:
    frame = np.full((64, 64, 3), 128, np.uint8)
    path = str(folder / f"clip{suffix}")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*code), 25, (64, 64))
    if not writer.isOpened():
        return False
    for _ in range(3):
        writer.write(frame)
    writer.release()
    reader = cv2.VideoCapture(path)
    is_read, _ = reader.read()
    reader.release()
    return bool(is_read)


def _pyav_encoders() -> list[str] | None:
    try:
        codec = importlib.import_module("av.codec")
    except ImportError:
        return None
    return [name for name in _ENCODERS if _opens(codec, name)]


def _opens(codec: Any, name: str) -> bool:
    try:
        codec.Codec(name, "w")
    except ValueError:  # PyAV's UnknownCodecError is one
        return False
    return True
