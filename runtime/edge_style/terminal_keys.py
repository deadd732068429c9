"""What is typed at a terminal, character by character.

Most keys send one character; arrows, function keys and the like send several, of which the first is
Esc on a terminal, and NUL or U+00E0 on Windows' console. None of those is a key of ours, nor may a
part of them be taken for one.
"""

import codecs
import importlib
import os
import select
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Any, TextIO

_ESC = "\x1b"
_ESC_WAIT_S = 0.1  # a terminal sends a sequence at once, also over a network
_REST_WAIT_S = 1.0  # nobody types the beginning of a sequence by hand


class _Place(Enum):
    """Where in the terminal's language the next character stands."""

    PLAIN = auto()
    ESC = auto()  # behind Esc
    CSI = auto()  # behind `Esc [`: parameters, then one character that ends it (ECMA-48, 5.4)
    CONSOLE = auto()  # behind `Esc [ [`, with which Linux's console begins function keys
    SS3 = auto()  # behind `Esc O`: one character, in some terminals after digits


_PARAMETERS = {_Place.CSI: "".join(map(chr, range(0x20, 0x40))), _Place.SS3: "0123456789;"}


class KeyParser:
    """Characters from what a terminal sends, without the sequences of arrows and the like.

    Sequences may stand anywhere and come in pieces: what is incomplete waits for the next piece.
    Esc alone is known by what does not follow it in time. Esc before an ordinary character is what
    Alt sends, and what a slow program reads when Esc and then a key were typed; it counts as the
    character, so that no key is lost.
    """

    def __init__(self) -> None:
        self._place = _Place.PLAIN
        self._has_more = False  # behind what began the sequence
        self._last_s = 0.0

    def parse(self, text: str, now_s: float) -> str:
        """The keys that were typed.

        Args:
            text: what the terminal sent since the last call; empty if nothing.
            now_s: seconds, monotonic.
        """
        if text:
            self._last_s = now_s
            return "".join(map(self._next, text))
        patience_s = _REST_WAIT_S if self._has_more else _ESC_WAIT_S
        if self._place is _Place.PLAIN or now_s - self._last_s < patience_s:
            return ""
        return self._give_up()

    def _next(self, character: str) -> str:
        """The key that this character is; empty if it is none or a part of something."""
        place, had_more = self._place, self._has_more
        self._place, self._has_more = _Place.PLAIN, False
        if character == _ESC:
            # Twice before a sequence it is Alt with an arrow; inside of one it begins another.
            self._place = _Place.ESC
            return ""
        if place is _Place.PLAIN:
            return character
        if place is _Place.ESC:
            return self._behind_esc(character)
        if place is _Place.CSI and character == "[" and not had_more:
            self._place, self._has_more = _Place.CONSOLE, True
            return ""
        if character in _PARAMETERS.get(place, ""):
            self._place, self._has_more = place, True
            return ""
        # A control character does not end a sequence but cuts it short.
        return "" if " " <= character <= "~" else character

    def _behind_esc(self, character: str) -> str:
        begun = {"[": _Place.CSI, "O": _Place.SS3}.get(character)
        if begun is None:
            return character
        self._place = begun
        return ""

    def _give_up(self) -> str:
        """Nothing follows: it was the key Esc, or Alt with the key that begins a sequence."""
        typed = {_Place.ESC: _ESC, _Place.CSI: "[", _Place.SS3: "O"}.get(self._place, "")
        typed = "" if self._has_more else typed
        self._place, self._has_more = _Place.PLAIN, False
        return typed


class TerminalKeys:
    """Characters as they are typed, without waiting for Enter; Ctrl-C still interrupts.

    Args:
        stdin: where they are typed; nothing is heard where that is no terminal of ours.
        clock: seconds, monotonic; a fake one in tests.
    """

    def __init__(self, stdin: TextIO, clock: Callable[[], float] = time.perf_counter) -> None:
        self._stdin = stdin
        self._clock = clock
        self._before: list[Any] | None = None
        self._parser = KeyParser()
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._is_second_half = False

    def open(self) -> None:
        """Switch line editing off, where this is a terminal and ours."""
        if sys.platform == "win32" or not self._stdin.isatty():
            return
        termios, tty = importlib.import_module("termios"), importlib.import_module("tty")
        file = self._stdin.fileno()
        try:
            # In the background, changing the terminal would stop the process.
            if os.tcgetpgrp(file) != os.getpgrp():
                return
        except OSError:
            return  # a terminal, but not ours
        self._before = termios.tcgetattr(file)
        tty.setcbreak(file)

    def typed(self) -> str:
        """What was typed since the last call."""
        if sys.platform == "win32":
            return self._typed_on_windows()
        if self._before is None:
            return ""
        return self._parser.parse(self._decoder.decode(self._read()), self._clock())

    def _read(self) -> bytes:
        file, found = self._stdin.fileno(), b""
        with suppress(OSError):  # on a terminal that is gone nobody types
            while select.select([file], [], [], 0)[0]:
                data = os.read(file, 1024)
                if not data:
                    break
                found += data
        return found

    def _typed_on_windows(self) -> str:
        msvcrt = importlib.import_module("msvcrt")
        found = ""
        while msvcrt.kbhit():
            character = msvcrt.getwch()
            # An arrow comes in two halves, of which `kbhit` may see the second one later.
            if self._is_second_half:
                self._is_second_half = False
            elif character in "\x00\xe0":
                self._is_second_half = True
            else:
                found += character
        return found

    def close(self) -> None:
        """As it was."""
        if self._before is not None:
            termios = importlib.import_module("termios")
            with suppress(OSError, termios.error):  # on a terminal that is gone
                termios.tcsetattr(self._stdin.fileno(), termios.TCSADRAIN, self._before)
            self._before = None
