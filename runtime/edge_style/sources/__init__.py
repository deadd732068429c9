"""Where frames come from: one string names any input.

    with open_source("test") as source:
        for frame in source:
            frame.image   # uint8 [H, W, 3], RGB

Sources give frames as fast as they can; the pipeline plays a clip at its own speed.
"""

import os
import re
from pathlib import Path

from edge_style.errors import SourceError
from edge_style.images import IMAGE_SUFFIXES
from edge_style.sources.base import Frame, Image, Source
from edge_style.sources.camera import CameraSource
from edge_style.sources.clip import ClipSource, open_address
from edge_style.sources.gst import open_gst
from edge_style.sources.pan import PanSource
from edge_style.sources.pictures import PicturesSource
from edge_style.sources.reconnect import ReconnectingSource
from edge_style.sources.testcard import TestSource

__all__ = ["WORKING_KINDS", "Frame", "Image", "Source", "open_source"]

WORKING_KINDS = (
    "a camera index, /dev/videoN, a clip, a folder or glob of pictures, "
    "an rtsp:// or http(s):// address, gst:PIPELINE, pan:PHOTO, or test"
)

_NETWORK_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "srt"})


def open_source(
    name: str, *, size_px: tuple[int, int] | None = None, reconnect: bool = False
) -> Source:
    """Open the input that `name` stands for. Close it, or use it in a `with` block.

    Args:
        name: a camera index ("0"), a device ("/dev/video0"), a clip, a picture, a folder or glob
            of pictures, an rtsp:// or http(s):// address, "gst:PIPELINE", "pan:PHOTO", or "test".
        size_px: (width, height) wished for. A camera is asked for it, `pan:` and `test` are made
            in it; for other sources it says nothing. What arrives is in each frame's shape.
        reconnect: open a camera or stream again when it breaks down, instead of raising.

    Raises:
        SourceError: there is no such camera, clip, folder or address, or it holds no pictures.
        MissingExtraError: "gst:" without PyGObject.
    """
    if reconnect and _is_live(name):
        source = _open(name, size_px)
        if not source.live:
            return source  # a clip at an address
        return ReconnectingSource(lambda: _open(name, size_px), source)
    return _open(name, size_px)


def _is_live(name: str) -> bool:
    return name.startswith("gst:") or "://" in name or _is_camera(name)


def _is_camera(name: str) -> bool:
    return name.isdecimal() or re.fullmatch(r"/dev/video\d+", name) is not None


def _open(name: str, size_px: tuple[int, int] | None) -> Source:
    if name == "test":
        return TestSource(size_px or (640, 480))
    if name.startswith("pan:"):
        return PanSource(_expanded(name.removeprefix("pan:")), size_px)
    if _is_camera(name):
        return CameraSource(name, size_px)
    if name.startswith("gst:"):
        return open_gst(name.removeprefix("gst:"))
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+):", name)
    if "://" in name:
        if scheme is None or scheme[1].lower() not in _NETWORK_SCHEMES:
            raise SourceError(f"cannot read from '{name}'; --source takes {WORKING_KINDS}")
        return open_address(name)
    return _open_path(name)


def _open_path(name: str) -> Source:
    path = _expanded(name)
    if path.is_dir():
        return PicturesSource([item for item in path.iterdir() if _is_picture(item)], name)
    if not path.exists() and any(sign in name for sign in "*?["):
        root = Path(path.anchor)
        pattern = str(path.relative_to(root)) if path.anchor else str(path)
        try:
            found = list(root.glob(pattern))
        except ValueError as error:
            raise SourceError(f"'{name}' is no pattern: {error}") from error
        return PicturesSource([item for item in found if _is_picture(item)], name)
    if not path.exists():
        raise SourceError(f"no such source: '{name}'; --source takes {WORKING_KINDS}")
    if _is_picture(path):
        return PicturesSource([path], name)
    return ClipSource(path)


def _expanded(name: str) -> Path:
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own fails for unknown users


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
