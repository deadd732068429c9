"""Snapshots and recordings that a person asks for while the show goes on."""

import time
from pathlib import Path

from edge_style.controls import Command, Notice, ShowState
from edge_style.errors import EdgeStyleError, ImageError, SinkError
from edge_style.images import ensure_folder, write_image
from edge_style.sinks.base import Sink, StreamInfo, StyledFrame
from edge_style.sinks.video import VideoSink

# Of a style's name; file systems allow 255 bytes in all.
_STYLE_BYTES = 80


class KeeperSink(Sink):
    """Saves what is shown when it is asked to. A full disk is said, and is no end of the show.

    Args:
        folder: for pictures and clips, which are called after style and time.
        stream: what is known of the frames to come.
        is_needed: something will be saved for certain, so that the folder is looked at now.
    """

    def __init__(self, folder: Path, stream: StreamInfo, *, is_needed: bool = True) -> None:
        try:
            if is_needed:
                ensure_folder(folder)
        except ImageError as error:
            raise SinkError(f"snapshots: {error}") from error
        self._folder = folder
        self._stream = stream
        self._last: StyledFrame | None = None
        self._saved = 0
        self._wanted = 0
        self._is_recording = False
        self._clip: VideoSink | None = None
        self._clip_path = Path()
        self._said: list[Command | Notice] = []

    def apply(self, state: ShowState) -> None:
        self._wanted = state.controls.snapshots
        self._is_recording = state.controls.is_recording
        self._save_snapshots()
        if self._clip is not None and not self._is_recording:
            self._finish(failed=False)

    def write(self, frame: StyledFrame) -> None:
        self._last = frame
        self._save_snapshots()
        if not self._is_recording or frame.is_repeat:
            return
        try:
            if self._clip is None:
                self._clip_path = new_name(self._folder, frame.style, ".mp4")
                self._clip = VideoSink(self._clip_path, self._stream)
                self._clip.open()
                self._said.append(Notice(f"recording {self._clip_path.name}"))
            self._clip.write(frame)
        except EdgeStyleError as error:
            self._said += [Notice(f"not recorded: {error}"), Command("record", 0)]
            self._is_recording = False
            self._finish(failed=True)

    def _save_snapshots(self) -> None:
        """Save the picture that is shown; one that was asked for before there is any waits."""
        if self._last is None or self._saved == self._wanted:
            return
        self._saved = self._wanted
        path = new_name(self._folder, self._last.style, ".png")
        try:
            write_image(path, self._last.image)
        except ImageError as error:
            self._said.append(Notice(f"not saved: {error}"))
        else:
            self._said.append(Notice(f"saved {path.name}"))

    def _finish(self, *, failed: bool) -> None:
        clip, self._clip = self._clip, None
        if clip is None:
            return
        try:
            clip.close(failed=failed)
        except SinkError as error:
            self._said.append(Notice(f"not recorded: {error}"))
        else:
            if not failed:
                self._said.append(Notice(f"saved {self._clip_path.name}"))

    def poll(self) -> list[Command | Notice]:
        said, self._said = self._said, []
        return said

    def close(self, *, failed: bool) -> None:
        self._finish(failed=failed)
        self.notes = tuple(line.text for line in self._said if isinstance(line, Notice))


def new_name(folder: Path, style: str, suffix: str) -> Path:
    """A file name that is not taken: `edge-style-starry-20260701-183000.png`.

    Of styles with long names, such as mixes of several pictures, it has the beginning.
    """
    style = style.encode()[:_STYLE_BYTES].decode(errors="ignore")
    stem = "-".join(part for part in ("edge-style", style, time.strftime("%Y%m%d-%H%M%S")) if part)
    path = folder / f"{stem}{suffix}"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}{suffix}"
        number += 1
    return path
