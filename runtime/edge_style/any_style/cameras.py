"""What a style's picture is read from: a file, a clip, or a camera that is watched as well."""

import threading
from collections.abc import Iterator
from pathlib import Path

from edge_style.errors import SourceError
from edge_style.images import IMAGE_SUFFIXES, Rgb, read_image
from edge_style.sources import Frame, Source, open_source

_CLOSING_S = 1.0


class StyleCamera:
    """A live source that is read beside the show, so that its newest picture is at hand.

    Attributes:
        newest: uint8 [H, W, 3], RGB: what it sees, another array each time; what it saw last, when
            it has broken down.
    """

    def __init__(self, source: Source) -> None:
        """Wait for the first picture of `source`, which is open and is closed by `close`.

        Raises:
            SourceError: it gives none.
        """
        self._source = source
        frames = iter(source)
        self.newest: Rgb = _first(source, frames)
        self._thread = threading.Thread(
            target=self._read, args=(frames,), name=f"style of {source.description}", daemon=True
        )
        self._thread.start()

    def _read(self, frames: Iterator[Frame]) -> None:
        try:
            for frame in frames:
                self.newest = frame.image
        except SourceError:
            pass  # the style stays what it was

    def close(self) -> None:
        """Let go of the source."""
        self._source.interrupt()
        # One that waits for its next picture ends with that.
        self._source.close()
        self._thread.join(_CLOSING_S)


class PictureReader:
    """Reads the pictures that `--style` names; cameras among them stay open if they are watched."""

    def __init__(self, *, watches: bool) -> None:
        self._watches = watches
        self._cameras: dict[str, StyleCamera] = {}

    def read(self, name: str) -> Rgb:
        """A picture's file, or the first picture of a clip or camera.

        Raises:
            ImageError, SourceError: it cannot be read.
        """
        if name in self._cameras:
            return self._cameras[name].newest
        path = Path(name)
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            return read_image(path)
        source = open_source(name, reconnect=self._watches)
        try:
            if not (self._watches and source.live):
                return _first(source, iter(source))
            camera = self._cameras[name] = StyleCamera(source)
        finally:
            if name not in self._cameras:
                source.close()
        return camera.newest

    def camera(self, name: str) -> StyleCamera | None:
        """The camera that was read by this name and is watched."""
        return self._cameras.get(name)

    def close(self) -> None:
        """Let go of all cameras."""
        for camera in self._cameras.values():
            camera.close()


def _first(source: Source, frames: Iterator[Frame]) -> Rgb:
    for frame in frames:
        return frame.image
    raise SourceError(f"{source.description} gives no picture for a style")
