"""How a run is interrupted, and how a process ends whose threads may hang in native code.

People press Ctrl-C twice, and `kill` may come on top of it: neither must interrupt what closes the
files. And a thread inside a network's run or a camera's driver cannot be stopped. If it comes back
when the interpreter has begun to take itself apart, that ends the thread by force in the middle of
C++, and with it the process: `terminate called without an active exception`, and an abort.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_ends_process = False


def end_process_when_interrupted() -> None:
    """Say that this process is the command line and nothing else.

    Where a block of `Interrupts` was interrupted, it then ends: what follows is not interrupted
    once more, neither by an impatient Ctrl-C, which would come out as a traceback or as the death
    by a signal, nor by the SIGTERM that may come on top of it.
    """
    global _ends_process  # noqa: PLW0603 - as signals are, of the process
    _ends_process = True


class NativeThread(threading.Thread):
    """A thread that spends its time in native code; the process does not wait for it for ever."""

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)


class Interrupts:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt inside the block, until `hold`.

    Behind the block they do what they did before, or nothing where it was interrupted and
    `end_process_when_interrupted` was called.

    Outside of the main thread, which alone hears of signals, it does nothing.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._was_raised = False
        self._is_due = False
        self._before: dict[signal.Signals, Any] = {}

    def hold(self) -> None:
        """From here to the block's end nothing is interrupted: what is open is being closed.

        An interrupt that comes meanwhile is raised at the end.
        """
        self._is_held = True

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for one in _SIGNALS:
                # Who started this in the background may want it to ignore Ctrl-C.
                if signal.getsignal(one) not in (signal.SIG_IGN, None):
                    self._before[one] = signal.signal(one, self._hear)
        return self

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_held:
            self._is_due = True
            return
        # Not only once: the first may fall into a destructor, where Python ignores what is raised.
        self._was_raised = True
        raise KeyboardInterrupt

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hold()
        for one, before in self._before.items():
            is_interrupted = self._was_raised or self._is_due
            signal.signal(one, signal.SIG_IGN if is_interrupted and _ends_process else before)
        if error is None and self._is_due:
            raise KeyboardInterrupt
        if self._was_raised and isinstance(error, Exception):
            # Native modules say that they cannot be imported when they are interrupted in it.
            raise KeyboardInterrupt from error


def leave(status: int) -> NoReturn:
    """End the process, whatever its threads are at."""
    if threading.current_thread() is threading.main_thread():
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)  # it is ending, there is nothing left to interrupt
    if not any(isinstance(thread, NativeThread) for thread in threading.enumerate()):
        sys.exit(status)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a pipe whose reader is gone
            stream.flush()
    os._exit(status)
