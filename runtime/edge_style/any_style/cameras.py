"""What a style's picture is read from: a file, a clip, or a camera that is watched as well."""

import threading
from pathlib import Path

from edge_style.errors import SourceError
from edge_style.images import IMAGE_SUFFIXES, Rgb, read_image
from edge_style.sources import Source, open_source
from edge_style.sources.reconnect import ReconnectingSource

_CLOSING_S = 1.0


class StyleCamera:
    """A live source that is read beside the show, so that its newest picture is at hand.

    Attributes:
        newest: uint8 [H, W, 3], RGB: what it sees, another array each time; what it saw last, when
            it has broken down.
    """

    def __init__(self, name: str, source: Source) -> None:
        """Wait for the first picture.

        Args:
            name: by which the source is opened again when it breaks down.
            source: open; it is closed by `close`.

        Raises:
            SourceError: it gives no picture.
        """
        # By itself: with what comes back after trouble, one that gives none would be waited for.
        self.newest: Rgb = _first(source)
        self._source = ReconnectingSource(lambda: open_source(name), source)
        self._thread = threading.Thread(
            target=self._read, name=f"style of {source.description}", daemon=True
        )
        self._thread.start()

    def _read(self) -> None:
        for frame in self._source:
            self.newest = frame.image

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
        source = open_source(name)
        try:
            if not (self._watches and source.live):
                return _first(source)
            camera = self._cameras[name] = StyleCamera(name, source)
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


def _first(source: Source) -> Rgb:
    for frame in source:
        return frame.image
    raise SourceError(f"{source.description} gives no picture for a style")
