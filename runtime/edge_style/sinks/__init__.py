"""Where frames go to: one string names any output.

    with open_sink("out.mp4") as sink:
        sink.write(StyledFrame(image, time_s=0.0))

Sinks belong to one thread, windows to the main one.
"""

import os
import re
from pathlib import Path

from edge_style.errors import SinkError
from edge_style.images import IMAGE_SUFFIXES
from edge_style.sinks.base import Image, NullSink, Sink, StreamInfo, StyledFrame
from edge_style.sinks.conversion import ConversionSink
from edge_style.sinks.keeper import KeeperSink
from edge_style.sinks.pictures import PicturesSink
from edge_style.sinks.turns import TurnsSink
from edge_style.sinks.video import VIDEO_SUFFIXES, VideoSink
from edge_style.sinks.virtual import VirtualSink
from edge_style.sinks.window import WindowSink

__all__ = [
    "WORKING_KINDS",
    "ConversionSink",
    "Image",
    "KeeperSink",
    "NullSink",
    "Sink",
    "StreamInfo",
    "StyledFrame",
    "TurnsSink",
    "open_sink",
]

WORKING_KINDS = (
    f"window, a clip ({' '.join(VIDEO_SUFFIXES)}), numbered pictures such as out_%04d.png, "
    "an existing folder, virtual (a camera for other programs), http://HOST:PORT, or null"
)


def open_sink(name: str, stream: StreamInfo | None = None, *, token: str | None = None) -> Sink:
    """The output that `name` stands for; it opens in a `with` block.

    Args:
        name: "window", "null", a clip or numbered pictures to write, a folder for pictures, or
            "virtual" or "virtual:DEVICE", or "http://HOST:PORT".
        stream: what is known of the frames to come.
        token: what viewers of an http:// output must know.

    Raises:
        MissingExtraError: "virtual" without pyvirtualcam.
        SinkError: there is no display, no such folder, no codec, or no output of that name.
    """
    if name == "null":
        return NullSink()
    if name == "window":
        return WindowSink()
    if name.startswith("http://"):
        from edge_style.sinks.web import WebSink  # noqa: PLC0415 - few shows have viewers

        return WebSink(name, token)
    if name == "virtual" or name.startswith("virtual:"):
        return VirtualSink(name.partition(":")[2] or None, stream or StreamInfo())
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", name):
        raise SinkError(f"no output '{name}'; --output takes {WORKING_KINDS}")
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - Path's own fails for unknown users
    stream = stream or StreamInfo()
    if path.is_dir():
        return PicturesSink(path / "frame_%06d.png", stream)
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return VideoSink(path, stream) if stream.recording else ConversionSink(path, stream)
    if suffix in IMAGE_SUFFIXES:
        return PicturesSink(path, stream)
    if name.endswith(("/", "\\")):
        raise SinkError(f"the output folder '{name}' does not exist: create it first")
    raise SinkError(f"no output '{name}'; --output takes {WORKING_KINDS}")
