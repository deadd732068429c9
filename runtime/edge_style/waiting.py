"""Saying something while a provider prepares for minutes: a silent start looks like a hang."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FIRST_S = 3.0
_EVERY_S = 15.0


@contextmanager
def told_while(
    what: str,
    tell: Callable[[str], None],
    *,
    first_s: float | None = None,
    every_s: float = _EVERY_S,
) -> Iterator[None]:
    """Say now and then how long the block has been running; nothing if it is quick.

    Args:
        what: goes on, with its subject: "tensorrt builds an engine".
        tell: takes a line, in a thread of its own.
        first_s: when the first line is due; None: after three seconds.
        every_s: how long after it the next ones are.
    """
    is_over = threading.Event()
    start_s = time.perf_counter()

    def talk() -> None:
        wait_s = _FIRST_S if first_s is None else first_s
        while not is_over.wait(wait_s):
            tell(f"{what}: {time.perf_counter() - start_s:.0f} s so far")
            wait_s = every_s

    thread = threading.Thread(target=talk, name="waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
