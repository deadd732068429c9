"""Hands one thing at a time from thread to thread."""

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class SlotClosed(Exception):  # noqa: N818 - a signal between threads, no error
    """The slot will give or take nothing more."""


class Slot(Generic[Item]):
    """Hands one item at a time from one thread to another."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._is_ended = False  # no more puts, the item in it may still be taken
        self._is_closed = False

    def put(self, item: Item, *, overwrite: bool = False) -> bool:
        """Put an item in, after waiting for room or over an older one; True if that was lost."""
        with self._condition:
            while self._item is not None and not overwrite and not self._is_closed:
                self._condition.wait()
            if self._is_closed:
                raise SlotClosed
            is_lost = self._item is not None
            self._item = item
            self._condition.notify_all()
            return is_lost

    def take(self, timeout_s: float | None = None) -> Item | None:
        """Take the item out, after waiting for one; None if none came in time."""
        with self._condition:
            if self._item is None and not self._is_ended and not self._is_closed:
                self._condition.wait(timeout_s)
            if self._is_closed or (self._is_ended and self._item is None):
                raise SlotClosed
            item, self._item = self._item, None
            self._condition.notify_all()
            return item

    def end(self) -> None:
        """No more items come."""
        with self._condition:
            self._is_ended = True
            self._condition.notify_all()

    def close(self) -> None:
        """Whoever waits or comes to wait gives up."""
        with self._condition:
            self._is_closed = True
            self._item = None
            self._condition.notify_all()
