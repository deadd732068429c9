"""Holding the frame rate, on a clock that the test turns."""

from collections.abc import Callable

import numpy as np
import pytest

from edge_style.pipeline import PlainStylizer, RateController, ScaledStylizer, size_steps

FULL_PX = (640, 480)
STEPS = size_steps(FULL_PX)


class Machine:
    """A network whose time grows with its pixels, on a machine that others use too."""

    def __init__(self, full_ms: float, fps: float = 30, source_fps: float = 30) -> None:
        self.now_s = 0.0
        self.full_ms = full_ms
        self.load = 1.0
        self.source_s = 1 / source_fps
        self.rate = RateController(fps, STEPS, clock=lambda: self.now_s)
        self.sizes: list[tuple[int, int]] = []

    @property
    def busy_ms(self) -> float:
        width, height = self.rate.size_px
        return self.full_ms * self.load * width * height / (FULL_PX[0] * FULL_PX[1])

    def run(self, seconds: float, jitter: Callable[[], float] = lambda: 1.0) -> float:
        """Frames per second over this time."""
        start_s, frames = self.now_s, 0
        while self.now_s - start_s < seconds:
            busy_ms = self.busy_ms * jitter()
            self.now_s += max(busy_ms / 1000, self.source_s)
            frames += 1
            self.rate.observe(busy_ms)
            self.sizes.append(self.rate.size_px)
        return frames / (self.now_s - start_s)

    @property
    def changes(self) -> int:
        return sum(one != other for one, other in zip(self.sizes, self.sizes[1:], strict=False))


def test_steps_shrink_keep_the_shape_and_are_multiples_of_8() -> None:
    assert STEPS[0] == FULL_PX
    areas = [width * height for width, height in STEPS]
    assert areas == sorted(areas, reverse=True)
    assert areas[-1] < areas[0] / 10
    for width, height in STEPS[1:]:
        assert width % 8 == height % 8 == 0
        assert width / height == pytest.approx(4 / 3, rel=0.1)
    assert size_steps((17, 31))[0] == (17, 31), "the full size is the user's own"
    assert all(min(step) >= 16 for step in size_steps((40, 16)))


def test_a_fast_network_stays_at_full_size() -> None:
    machine = Machine(full_ms=20)
    assert machine.run(20) == pytest.approx(30, rel=0.02)
    assert set(machine.sizes) == {FULL_PX}


def test_a_slow_network_shrinks_within_a_second_and_holds_the_rate() -> None:
    machine = Machine(full_ms=100)
    machine.run(1)
    assert machine.rate.size_px != FULL_PX
    assert machine.run(20) == pytest.approx(30, rel=0.02)
    assert machine.rate.size_px[0] > 300, "no smaller than it must be"


def test_it_begins_where_the_trial_says() -> None:
    costs_ms = [100 * width * height / (640 * 480) for width, height in STEPS]
    rate = RateController(30, STEPS, costs_ms)
    width, height = rate.size_px
    assert 0.6 * 28.3 < 100 * width * height / (640 * 480) <= 28.4
    assert RateController(30, STEPS, [1000.0] * len(STEPS)).size_px == STEPS[-1]


def test_load_shrinks_the_network_and_spare_time_lets_it_grow_again() -> None:
    machine = Machine(full_ms=25)
    machine.run(5)
    machine.load = 3
    machine.run(1.5)
    loaded = machine.rate.size_px
    assert loaded[0] < 420
    assert machine.run(10) == pytest.approx(30, rel=0.02)
    machine.load = 1
    assert machine.run(40) == pytest.approx(30, rel=0.02)
    assert machine.rate.size_px == FULL_PX


def test_a_slow_camera_is_no_reason_to_shrink() -> None:
    machine = Machine(full_ms=20, source_fps=10)
    assert machine.run(20) == pytest.approx(10, rel=0.02)
    assert set(machine.sizes) == {FULL_PX}


def test_noise_does_not_make_it_swing() -> None:
    rng = np.random.default_rng(3)
    for full_ms in (26, 28.3, 31, 33, 40, 60):
        machine = Machine(full_ms)
        machine.run(120, lambda: float(rng.lognormal(0, 0.2)))
        assert machine.changes <= 12, full_ms


def test_one_long_frame_changes_nothing() -> None:
    machine = Machine(full_ms=20)
    machine.run(2)
    machine.now_s += 0.5
    machine.rate.observe(500)
    machine.run(2)
    assert machine.rate.size_px == FULL_PX


def test_a_step_that_does_not_hold_is_tried_less_and_less_often() -> None:
    """A machine on which the next size costs far more than its pixels say: out of cache."""
    machine = Machine(full_ms=20)
    costs_ms = [60.0 if size_px[0] > STEPS[2][0] else 20.0 for size_px in STEPS]
    machine.rate = RateController(30, STEPS, costs_ms, clock=lambda: machine.now_s)
    for _ in range(30 * 120):
        busy_ms = costs_ms[STEPS.index(machine.rate.size_px)]
        machine.now_s += max(busy_ms / 1000, machine.source_s)
        machine.rate.observe(busy_ms)
        machine.sizes.append(machine.rate.size_px)
    share = machine.sizes.count(STEPS[2]) / len(machine.sizes)
    assert share > 0.9
    assert machine.changes < 24


def test_pictures_keep_their_size_whatever_the_network_runs_at() -> None:
    seen: list[tuple[int, ...]] = []

    def function(image: np.ndarray) -> np.ndarray:
        seen.append(image.shape)
        return 255 - image

    rate = RateController(30, [(64, 48), (32, 24)], clock=lambda: 0.0)
    stylizer = ScaledStylizer(PlainStylizer(function, "negative"), (64, 48), rate)
    frame = np.full((60, 60, 3), 55, np.uint8)
    for _ in range(4):
        picture = stylizer.finish(stylizer.infer(stylizer.prepare(frame)), frame)
        rate.observe(60)
    picture = stylizer.finish(stylizer.infer(stylizer.prepare(frame)), frame)
    assert seen[0] == (48, 64, 3)
    assert seen[-1] == (24, 32, 3)
    assert picture.shape == (48, 64, 3)
    assert (picture == 200).all()
    assert stylizer.network_px == (32, 24)
