"""Frames per second and latency figures of a running pipeline."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STAGES = ("capture", "pre", "infer", "post", "output")

_KEPT = 65_536  # frames that percentiles cover: half an hour at 30 a second, in bounded memory
_RECENT_S = 2.0


@dataclass(frozen=True)
class Summary:
    """What `Meter.summary` gives.

    Attributes:
        frames: frames delivered.
        fps: their rate between the first and the last, None below two frames.
        latency_ms: p50, p95 and p99 from capture to output, None without frames.
        stage_ms: median of each of `STAGES`, None where it was never measured.
    """

    frames: int
    fps: float | None
    latency_ms: dict[str, float | None]
    stage_ms: dict[str, float | None]


class Meter:
    """Collects the times of each delivered frame. One thread records; any may read.

    Args:
        clock: seconds, monotonic; a fake one in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._frames = 0
        self._first_s = 0.0
        self._last_s = 0.0
        self._recent_s: deque[float] = deque()
        self._latencies_ms: deque[float] = deque(maxlen=_KEPT)
        self._stages_ms: dict[str, deque[float]] = {name: deque(maxlen=_KEPT) for name in STAGES}

    def delivered(self, latency_ms: float) -> None:
        """Record that a frame was handed to the output now, so long after its capture."""
        now_s = self._clock()
        if self._frames == 0:
            self._first_s = now_s
        self._frames += 1
        self._last_s = now_s
        self._latencies_ms.append(latency_ms)
        self._recent_s.append(now_s)
        # At least one interval stays, or slow networks would show no rate at all.
        while len(self._recent_s) > 2 and now_s - self._recent_s[0] > _RECENT_S:
            self._recent_s.popleft()

    def spent(self, stage: str, duration_ms: float) -> None:
        """Record what one of `STAGES` took for one frame."""
        self._stages_ms[stage].append(duration_ms)

    def resumed_after(self, pause_s: float) -> None:
        """Leave a pause out of the frame rate."""
        self._first_s += pause_s
        self._recent_s.clear()

    @property
    def frames(self) -> int:
        """Frames delivered so far."""
        return self._frames

    @property
    def fps(self) -> float | None:
        """Frames per second over the whole run. N frames have N - 1 intervals between them."""
        return _rate(self._frames, self._last_s - self._first_s)

    @property
    def recent_fps(self) -> float | None:
        """Frames per second over the last two seconds, or the last interval if that is longer."""
        if len(self._recent_s) < 2:
            return None
        return _rate(len(self._recent_s), self._recent_s[-1] - self._recent_s[0])

    def summary(self) -> Summary:
        """The figures so far; copies first, since other threads may still record."""
        latencies = {f"p{rank}": _percentile(self._latencies_ms, rank) for rank in (50, 95, 99)}
        stages = {name: _percentile(times, 50) for name, times in self._stages_ms.items()}
        return Summary(self._frames, self.fps, latencies, stages)


def _rate(ticks: int, duration_s: float) -> float | None:
    return (ticks - 1) / duration_s if ticks > 1 and duration_s > 0 else None


def _percentile(values: deque[float], rank: int) -> float | None:
    numbers = np.array(values.copy(), np.float64)
    return float(np.percentile(numbers, rank)) if numbers.size else None
