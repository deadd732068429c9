"""Frames per second and latency figures of a running pipeline."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STAGES = ("capture", "pre", "infer", "post", "output")

_KEPT = 65_536  # frames that percentiles cover: half an hour at 30 a second, in bounded memory
_RECENT_S = 2.0
_RECENT_ARRIVALS = 60


@dataclass(frozen=True)
class Summary:
    """What `Meter.summary` gives.

    Attributes:
        frames: frames delivered.
        fps: their rate between the first and the last, None below two frames.
        latency_ms: p50, p95 and p99 from capture to output, None without frames.
        display_latency_ms: the same until all outputs were done, a window had painted: as felt.
        arrived_fps: frames per second that the source gave, dropped ones too; None below two.
        stage_ms: median of each of `STAGES`, None where it was never measured.
    """

    frames: int
    fps: float | None
    latency_ms: dict[str, float | None]
    display_latency_ms: dict[str, float | None]
    arrived_fps: float | None
    stage_ms: dict[str, float | None]


class _Ring:
    """The newest numbers, in memory that is all taken at the start and never grows."""

    def __init__(self) -> None:
        self._numbers = np.full(_KEPT, np.nan)
        self._count = 0

    def append(self, number: float) -> None:
        self._numbers[self._count % _KEPT] = number
        self._count += 1

    def copy(self) -> npt.NDArray[np.float64]:
        return np.array(self._numbers[: min(self._count, _KEPT)])


class Meter:
    """Collects the times of each frame. Each thing is recorded by one thread; any may read.

    Args:
        clock: seconds, monotonic; a fake one in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._frames = 0
        self._first_s = 0.0
        self._last_s = 0.0
        self._recent_s: deque[float] = deque()
        self._latencies_ms = _Ring()
        self._shown_ms = _Ring()
        # Of a fixed length, so that the capture thread never takes away what another one reads.
        self._arrivals_s: deque[float] = deque(maxlen=_RECENT_ARRIVALS)
        self._arrived = 0
        self._first_arrival_s = 0.0
        self._stages_ms = {name: _Ring() for name in STAGES}

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

    def shown(self, latency_ms: float) -> None:
        """Record that the last delivered frame was on the screen so long after its capture."""
        self._shown_ms.append(latency_ms)

    def arrived(self) -> None:
        """Record that the source gave a frame now."""
        now_s = self._clock()
        if self._arrived == 0:
            self._first_arrival_s = now_s
        self._arrived += 1
        self._arrivals_s.append(now_s)

    def spent(self, stage: str, duration_ms: float) -> None:
        """Record what one of `STAGES` took for one frame."""
        self._stages_ms[stage].append(duration_ms)

    def resumed_after(self, pause_s: float) -> None:
        """Leave a pause out of the frame rate."""
        self._first_s += pause_s
        self._first_arrival_s += pause_s
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

    @property
    def arrived_fps(self) -> float | None:
        """Frames per second that the source gave lately."""
        arrivals_s = self._arrivals_s.copy()
        return _rate(len(arrivals_s), arrivals_s[-1] - arrivals_s[0]) if arrivals_s else None

    def summary(self) -> Summary:
        """The figures so far; copies first, since other threads may still record."""
        arrivals_s = self._arrivals_s.copy()
        arrived_s = arrivals_s[-1] - self._first_arrival_s if arrivals_s else 0.0
        return Summary(
            frames=self._frames,
            fps=self.fps,
            latency_ms=_percentiles(self._latencies_ms),
            display_latency_ms=_percentiles(self._shown_ms),
            arrived_fps=_rate(self._arrived, arrived_s),
            stage_ms={name: _percentile(times, 50) for name, times in self._stages_ms.items()},
        )


def _rate(ticks: int, duration_s: float) -> float | None:
    return (ticks - 1) / duration_s if ticks > 1 and duration_s > 0 else None


def _percentiles(values: _Ring) -> dict[str, float | None]:
    return {f"p{rank}": _percentile(values, rank) for rank in (50, 95, 99)}


def _percentile(values: _Ring, rank: int) -> float | None:
    numbers = values.copy()
    return float(np.percentile(numbers, rank)) if numbers.size else None
