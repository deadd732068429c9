"""Cameras and streams that come back: a cable that was pulled, a network that was away."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from edge_style.errors import SourceError
from edge_style.sources.base import Frame, Source

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 10.0


class ReconnectingSource(Source):
    """A live source that is opened again when it breaks down, with waits that double.

    Meanwhile no frames come and `trouble` says why, so that outputs can show it over the last
    picture.

    Args:
        reopen: opens the source; raises SourceError while it is not there.
        source: open: a name that never worked is a mistake, not trouble.
        first_wait_s: before the first try; up to ten seconds before later ones.
    """

    live = True

    def __init__(
        self,
        reopen: Callable[[], Source],
        source: Source,
        *,
        first_wait_s: float = _FIRST_WAIT_S,
    ) -> None:
        self._reopen = reopen
        self._first_wait_s = first_wait_s
        self._inner = source
        self._is_over = threading.Event()
        self.description = self._inner.description
        self.fps = self._inner.fps
        self.size_px = self._inner.size_px

    def __iter__(self) -> Iterator[Frame]:
        start_s: float | None = None
        while True:
            try:
                for frame in self._inner:
                    self.trouble = ""
                    start_s = frame.captured_s if start_s is None else start_s
                    # The source's own clock begins anew each time it is opened.
                    yield replace(frame, time_s=frame.captured_s - start_s)
                return  # one that ends by itself has come to its end
            except SourceError as error:
                self.trouble = f"{error}; trying again"
            self._inner.close()
            if not self._open_again():
                return

    def _open_again(self) -> bool:
        """Try until it works; False when the run is over."""
        wait_s = self._first_wait_s
        while not self._is_over.wait(wait_s):
            try:
                self._inner = self._reopen()
            except SourceError:
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                return True
        return False

    def interrupt(self) -> None:
        self._is_over.set()
        self._inner.interrupt()

    def close(self) -> None:
        self._is_over.set()
        self._inner.close()
