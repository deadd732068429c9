"""Frame rates and percentiles, on a clock that the tests move."""

import pytest

from edge_style.meter import Meter


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def deliver(meter: Meter, clock: Clock, frames: int, period_s: float) -> None:
    for _ in range(frames):
        meter.delivered(latency_ms=5.0)
        clock.now_s += period_s


def test_the_rate_counts_intervals_not_ticks() -> None:
    clock = Clock()
    meter = Meter(clock)
    deliver(meter, clock, frames=3, period_s=0.1)
    assert meter.fps == pytest.approx(10)
    assert meter.recent_fps == pytest.approx(10)


def test_one_frame_has_no_rate() -> None:
    meter = Meter(Clock())
    meter.delivered(5.0)
    assert meter.fps is None
    assert meter.recent_fps is None


def test_the_recent_rate_follows_a_change_and_the_whole_rate_averages() -> None:
    clock = Clock()
    meter = Meter(clock)
    deliver(meter, clock, frames=100, period_s=0.1)
    deliver(meter, clock, frames=101, period_s=0.05)
    assert meter.recent_fps == pytest.approx(20)
    assert meter.fps == pytest.approx(200 / 15)


def test_a_network_slower_than_the_window_still_has_a_rate() -> None:
    clock = Clock()
    meter = Meter(clock)
    deliver(meter, clock, frames=5, period_s=8.0)
    assert meter.recent_fps == pytest.approx(1 / 8)


def test_a_pause_is_left_out() -> None:
    clock = Clock()
    meter = Meter(clock)
    deliver(meter, clock, frames=11, period_s=0.1)
    clock.now_s += 60
    meter.resumed_after(60)
    deliver(meter, clock, frames=10, period_s=0.1)
    assert meter.fps == pytest.approx(10)
    assert meter.recent_fps == pytest.approx(10)


def test_percentiles_and_medians() -> None:
    clock = Clock()
    meter = Meter(clock)
    for latency_ms in range(101):
        meter.delivered(float(latency_ms))
        meter.spent("infer", 2.0 * latency_ms)
        clock.now_s += 1
    summary = meter.summary()
    assert summary.frames == 101
    assert summary.latency_ms == pytest.approx({"p50": 50, "p95": 95, "p99": 99})
    assert summary.stage_ms["infer"] == pytest.approx(100)
    assert summary.stage_ms["capture"] is None


def test_nothing_delivered_is_no_error() -> None:
    summary = Meter(Clock()).summary()
    assert summary.frames == 0
    assert summary.fps is None
    assert summary.latency_ms == {"p50": None, "p95": None, "p99": None}
