"""Holds a frame rate: chooses the size at which the networks run."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edge_style.contract import MIN_SIDE_PX
from edge_style.images import resize_to_cover
from edge_style.stages import Image, StagedStylizer

# Shares of the full width; each has about three quarters of the pixels of the one above.
_SHARES = (1.0, 0.875, 0.75, 0.65, 0.56, 0.48, 0.42, 0.36, 0.3, 0.25)
_MULTIPLE_PX = 8
_WINDOW_S = 0.7  # frames that a decision looks at
_FEWEST = 4
_TOO_LONG = 0.97  # share of the time between two frames
_AIM = 0.85
_CALM_S = 2.0  # how long there has to be time to spare before a step up
_LONGEST_CALM_S = 32.0
_TRIAL_S = 4.0  # a step up that does not hold for so long was a mistake


def size_steps(size_px: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """The sizes that a controller chooses from, largest first: `size_px` and smaller ones.

    Multiples of 8 that the networks like, nearly of the same shape, 16 pixels or more a side.
    """
    width, height = size_px
    steps = [size_px]
    for share in _SHARES[1:]:
        step = tuple(
            max(MIN_SIDE_PX, round(side * share / _MULTIPLE_PX) * _MULTIPLE_PX)
            for side in (width, height)
        )
        if step[0] < steps[-1][0] and step[1] <= steps[-1][1]:
            steps.append((step[0], step[1]))
    return tuple(steps)


class RateController:
    """Steps down quickly when frames take too long, and up slowly when there is time to spare.

    It looks at the median time that a frame keeps the inference thread busy, since that thread is
    what limits the rate: a slow camera is no reason for small pictures. A step down goes at once
    as far as the times say; a step up goes one step, after two calm seconds. One that had to be
    taken back doubles that wait, up to half a minute, so that the size does not swing.

    Args:
        fps: frames per second to hold.
        sizes_px: (width, height), largest first.
        costs_ms: what a frame took at each size when it was tried, to begin at the right one; to
            begin with the largest if None.
        clock: seconds, monotonic; a fake one in tests.
    """

    def __init__(
        self,
        fps: float,
        sizes_px: Sequence[tuple[int, int]],
        costs_ms: Sequence[float] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.fps = fps
        self.sizes_px = tuple(sizes_px)
        self._budget_ms = 1000 / fps
        self._clock = clock
        self._step = 0
        if costs_ms is not None:
            fitting = [n for n, cost_ms in enumerate(costs_ms) if cost_ms <= self._aim_ms]
            self._step = fitting[0] if fitting else len(self.sizes_px) - 1
        self._frames: deque[tuple[float, float]] = deque()
        self._calm_since_s: float | None = None
        self._calm_s = _CALM_S
        self._rose_at_s: float | None = None
        self.changes = 0

    @property
    def _aim_ms(self) -> float:
        return _AIM * self._budget_ms

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height) at which the network is to run now."""
        return self.sizes_px[self._step]

    def observe(self, busy_ms: float) -> None:
        """A frame kept the network's thread busy for so long at the present size."""
        now_s = self._clock()
        self._frames.append((now_s, busy_ms))
        while len(self._frames) > _FEWEST and now_s - self._frames[0][0] > _WINDOW_S:
            self._frames.popleft()
        if len(self._frames) < _FEWEST:
            return
        typical_ms = float(np.median([busy for _, busy in self._frames]))
        if typical_ms > _TOO_LONG * self._budget_ms:
            self._calm_since_s = None
            self._step_down(typical_ms, now_s)
        elif self._step > 0 and self._expected_ms(typical_ms, self._step - 1) <= self._aim_ms:
            self._rise_if_calm(now_s)
        else:
            self._calm_since_s = None
        self._forgive(now_s)

    def _expected_ms(self, typical_ms: float, step: int) -> float:
        """What a frame would take at another size: in proportion to its pixels."""
        return typical_ms * _area(self.sizes_px[step]) / _area(self.size_px)

    def _step_down(self, typical_ms: float, now_s: float) -> None:
        if self._step == len(self.sizes_px) - 1:
            return
        step, last = self._step + 1, len(self.sizes_px) - 1
        if self._rose_at_s is not None and now_s - self._rose_at_s < _TRIAL_S:
            # The size below held until a moment ago, whatever the times say.
            self._calm_s = min(2 * self._calm_s, _LONGEST_CALM_S)
        else:
            while step < last and self._expected_ms(typical_ms, step) > self._aim_ms:
                step += 1
        self._rose_at_s = None
        self._change(step)

    def _rise_if_calm(self, now_s: float) -> None:
        if self._calm_since_s is None:
            self._calm_since_s = now_s
        if now_s - self._calm_since_s >= self._calm_s:
            self._calm_since_s = None
            self._rose_at_s = now_s
            self._change(self._step - 1)

    def _forgive(self, now_s: float) -> None:
        """A step up that held makes the next one as easy as the first."""
        if self._rose_at_s is not None and now_s - self._rose_at_s >= _TRIAL_S:
            self._rose_at_s = None
            self._calm_s = _CALM_S

    def _change(self, step: int) -> None:
        self._step = step
        self.changes += 1
        self._frames.clear()  # they say nothing of the new size


def _area(size_px: tuple[int, int]) -> int:
    return size_px[0] * size_px[1]


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A small frame as the network wants it, and its size."""

    values: Any
    frame: Image


class ScaledStylizer(StagedStylizer):
    """Runs a stylizer at the size that a controller chooses; its pictures keep one size.

    Args:
        stylizer: takes frames of any size.
        output_px: (width, height) of the pictures; frames are cut to that shape.
        rate: says at which size to run.
    """

    def __init__(
        self, stylizer: StagedStylizer, output_px: tuple[int, int], rate: RateController
    ) -> None:
        self._stylizer = stylizer
        self._output_px = output_px
        self._rate = rate
        self.provider = stylizer.provider
        self.takes_strength = stylizer.takes_strength
        self.frame_style = stylizer.frame_style
        self.network_px = rate.size_px

    @property
    def name(self) -> str:
        """The stylizer's."""
        return self._stylizer.name

    @property
    def title(self) -> str:
        """The stylizer's."""
        return self._stylizer.title

    @property
    def styles(self) -> tuple[str, ...]:
        """The stylizer's."""
        return self._stylizer.styles

    def prepare(self, frame: Image) -> _Scaled:
        """Scale the frame down to where the network is to run, and convert it."""
        small = resize_to_cover(frame, *self._rate.size_px)
        return _Scaled(self._stylizer.prepare(small), small)

    def infer(self, prepared: _Scaled, style: Sequence[float] | None = None) -> _Scaled:
        """Run the network."""
        return _Scaled(self._stylizer.infer(prepared.values, style), prepared.frame)

    def adopt(self, picture: Image) -> None:
        """Let the style be that of a picture; asked where `frame_style` names one."""
        self._stylizer.adopt(picture)

    def finish(self, inferred: _Scaled, frame: Image) -> Image:  # noqa: ARG002 - as the protocol says
        """Convert the picture and scale it up again; linear, which is quick and never rings."""
        picture = self._stylizer.finish(inferred.values, inferred.frame)
        self.network_px = (picture.shape[1], picture.shape[0])
        if self.network_px == self._output_px:
            return picture
        scaled = cv2.resize(picture, self._output_px, interpolation=cv2.INTER_LINEAR)
        return np.asarray(scaled, np.uint8)
