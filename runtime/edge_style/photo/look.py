"""`--look REFERENCE`: a reference's light on every frame of a stream.

What costs time is done now and then: the colours that frames have had lately are matched with the
reference's, and the result is condensed to a table of colours. Frames themselves only go through
the table. It glides to its new values a little at a time, so that a still scene stays still and a
moving one never jumps; where the scene itself jumps, the table does too.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from edge_style.images import Rgb, ensure_min_side, read_image
from edge_style.photo.table import (
    CUBE_SUFFIX,
    ColourTable,
    Nodes,
    fit_nodes,
    identity_nodes,
    read_cube,
)
from edge_style.photo.transfer import ensure_many_colours
from edge_style.photo.transport import carry_over
from edge_style.shutdown import NativeThread

_GLIDE_S = 0.25  # between two steps towards the newest match, in a live stream
_GLIDE_FRAMES = 8  # the same in a conversion, which is repeatable because it counts frames
_GLIDE_SHARE = 0.15
_STEPS_A_MATCH = 12  # the colours are matched anew every so many steps: three seconds
_MEMORY = 6  # frames, one a step, that are matched together
_SETTLED_LEVELS = 0.5
_CUT_LEVELS = 40.0  # mean change of the picture that is another scene
_SAMPLE_PX = 96

Match = Callable[[Rgb], Nodes]


@dataclass(frozen=True)
class LookChoice:
    """What `--look` names.

    Attributes:
        match: from frames, side by side, to the table for them; None: `nodes` are for all.
        nodes: of a .cube file.
    """

    match: Match | None
    nodes: Nodes | None = None

    @classmethod
    def read(cls, path: Path) -> "LookChoice":
        """A reference picture, or a .cube file that `edge-style photo --table` wrote.

        Raises:
            ImageError: the file cannot be read, or the reference is too small.
            UsageError: the reference has one colour only.
        """
        if path.suffix.lower() == CUBE_SUFFIX:
            return cls(None, read_cube(path))
        reference = read_image(path)
        ensure_min_side(reference, "the look's reference")
        ensure_many_colours(reference, path)
        return cls(lambda frames: fit_nodes(*carry_over(frames, reference)))


class Look:
    """A look on the frames of one stream, uint8 [H, W, 3]. `apply` belongs to one thread.

    Args:
        choice: the look.
        in_background: match while frames go on; else frames wait, and a clip is converted the
            same each time.
    """

    def __init__(self, choice: LookChoice, *, in_background: bool) -> None:
        self._choice = choice
        self._in_background = in_background
        self._table = ColourTable.of(identity_nodes() if choice.nodes is None else choice.nodes)
        self._target: Nodes | None = choice.nodes
        self._seen: deque[Rgb] = deque(maxlen=_MEMORY)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._steps = 0
        self._follows = False
        self._frames = 0
        self._next_s = 0.0

    def apply(self, frame: Rgb) -> Rgb:
        """The frame in the look: a fresh picture of its size."""
        if self._choice.match is not None:
            self._advance_if_due(frame)
        return self._table.apply(frame)

    def restart(self) -> None:
        """The next frame has other colours: it waits for a table of its own."""
        if self._thread is not None:
            self._thread.join()
        if self._choice.match is not None:
            self._seen.clear()
            self._target = None

    def follow(self) -> None:
        """Colours are changing: the next step goes by the newest frame alone, all the way."""
        self._follows = True

    def _advance_if_due(self, frame: Rgb) -> None:
        if self._error is not None:
            raise self._error
        self._frames += 1
        if self._target is None:  # the first frame waits for its table
            self._advance(_thumbnail(frame))
        elif not self._in_background:
            if self._frames % _GLIDE_FRAMES == 0:
                self._advance(_thumbnail(frame))
        elif time.perf_counter() >= self._next_s and not self._is_busy():
            self._next_s = time.perf_counter() + _GLIDE_S
            self._thread = NativeThread(partial(self._guarded, _thumbnail(frame)), "look")
            self._thread.start()

    def _is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _guarded(self, small: Rgb) -> None:
        try:
            self._advance(small)
        except BaseException as error:  # raised by the next frame, in the thread that owns it
            self._error = error

    def _advance(self, small: Rgb) -> None:
        """One step: remember the frame, match anew if it is time, move the table."""
        follows, self._follows = self._follows, False
        is_cut = follows or (bool(self._seen) and _change(self._seen[-1], small) > _CUT_LEVELS)
        if is_cut:
            self._seen.clear()
        self._seen.append(small)
        is_first = self._target is None or is_cut
        if self._choice.match is not None and (is_first or self._steps % _STEPS_A_MATCH == 0):
            self._target = self._choice.match(np.concatenate(self._seen))
        self._steps += 1
        if self._target is None:
            return
        share = 1.0 if is_first else _GLIDE_SHARE
        step = share * (self._target - self._table.nodes)
        if is_first or float(np.abs(step).max()) > _GLIDE_SHARE * _SETTLED_LEVELS:
            self._table = ColourTable.of(self._table.nodes + step)


def _thumbnail(frame: Rgb) -> Rgb:
    """A frame small enough to keep, as a cloud of colours."""
    size = (_SAMPLE_PX, _SAMPLE_PX)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _change(before: Rgb, after: Rgb) -> float:
    """Mean difference of two small frames, in levels."""
    if before.shape != after.shape:
        return 255.0
    return float(cv2.absdiff(before, after).mean())
