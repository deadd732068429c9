"""The pipeline on fakes: what it delivers, and how each of its threads may fail."""

import _thread
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import numpy as np
import pytest

from edge_style.controls import Command, Notice, ShowState
from edge_style.errors import SinkError, SourceError, UsageError
from edge_style.pipeline import PipelineOptions, PlainStylizer, Result, run_pipeline
from edge_style.sinks import Sink, StyledFrame
from edge_style.sources import Frame, Source

ALL = PipelineOptions(pace=False, drop=False)
SOON_S = 2.0

pytestmark = pytest.mark.timeout(20)


class Numbers(Source):
    """Frames that hold their own number."""

    description = "numbers"

    def __init__(
        self, frames: int | None, fps: float = 100.0, *, live: bool = False, fails: bool = False
    ) -> None:
        self._frames = frames
        self.fps = fps
        self.live = live
        self._fails = fails
        self.given = 0

    def __iter__(self) -> Iterator[Frame]:
        for number in count() if self._frames is None else range(self._frames):
            if self.live:
                time.sleep(1 / (self.fps or 1))
            self.given += 1
            image = np.full((4, 4, 3), number % 256, np.uint8)
            yield Frame(image, number / (self.fps or 1), time.perf_counter(), capture_ms=0.5)
        if self._fails:
            raise SourceError("unplugged")


class Collector(Sink):
    """Keeps the numbers it is given."""

    def __init__(
        self,
        slow_s: float = 0.0,
        commands: dict[int, list[Command]] | None = None,
        fails_at: int | None = None,
    ) -> None:
        self.numbers: list[int] = []
        self.frames: list[StyledFrame] = []
        self.states: list[ShowState] = []
        self._slow_s = slow_s
        self._commands = commands or {}
        self._fails_at = fails_at

    def write(self, frame: StyledFrame) -> None:
        if len(self.numbers) == self._fails_at:
            raise SinkError("disk full")
        self.numbers.append(int(frame.image[0, 0, 0]))
        self.frames.append(frame)
        time.sleep(self._slow_s)

    def apply(self, state: ShowState) -> None:
        self.states.append(state)

    def poll(self) -> list[Command | Notice]:
        return list(self._commands.pop(len(self.numbers), []))


def stylizer(
    function: Callable[[np.ndarray], np.ndarray] = lambda image: image, name: str = "same"
) -> PlainStylizer:
    return PlainStylizer(function, name)


def slow(seconds: float) -> PlainStylizer:
    def function(image: np.ndarray) -> np.ndarray:
        time.sleep(seconds)
        return image

    return stylizer(function)


def run(
    source: Source,
    sinks: Sequence[Sink],
    options: PipelineOptions | None = None,
    stylizers: Sequence[PlainStylizer] = (),
    result: Result | None = None,
) -> Result:
    """Run, and see that it ends in time and leaves no threads, however it ends."""
    start_s = time.perf_counter()
    try:
        return run_pipeline(source, stylizers or [stylizer()], sinks, options, result=result)
    finally:
        # Checked here, since a run passes its own error on and not that of a test's time limit.
        assert time.perf_counter() - start_s < 10, "hung"
        names = {thread.name for thread in threading.enumerate()}
        assert not names & {"capture", "inference"}, "threads are left behind"


def test_a_conversion_drops_nothing_and_keeps_the_order() -> None:
    sink = Collector(slow_s=0.002)
    result = run(Numbers(60), [sink], ALL)
    assert sink.numbers == list(range(60))
    assert (result.meter.frames, result.dropped) == (60, 0)
    assert [frame.time_s for frame in sink.frames] == pytest.approx([n / 100 for n in range(60)])


def test_the_stylizer_sees_every_frame_and_all_sinks_get_the_result() -> None:
    first, second = Collector(), Collector()
    run(Numbers(5), [first, second], ALL, [stylizer(lambda image: 255 - image)])
    assert first.numbers == second.numbers == [255, 254, 253, 252, 251]


def test_a_paced_clip_takes_its_own_time() -> None:
    start_s = time.perf_counter()
    sink = Collector()
    result = run(Numbers(30, fps=100), [sink])
    assert 0.29 < time.perf_counter() - start_s < 8
    assert result.meter.frames + result.dropped == 30
    assert sink.numbers[-1] == 29, "the last frame is shown"
    assert result.meter.fps is not None
    assert result.meter.fps < 120, "a loaded machine may be slower, none is faster"


def test_a_slow_network_drops_frames_and_shows_new_ones() -> None:
    sink = Collector()
    result = run(Numbers(50, fps=100), [sink], stylizers=[slow(0.03)])
    assert result.meter.frames + result.dropped == 50
    assert 5 <= result.meter.frames <= 20
    assert sink.numbers == sorted(sink.numbers)
    # At most one frame waits, for one period at most; a queue of them would wait for a second.
    assert result.meter.summary().latency_ms["p50"] == pytest.approx(35, abs=20)


def test_a_slow_sink_drops_frames_too() -> None:
    sink = Collector(slow_s=0.03)
    result = run(Numbers(50, fps=100), [sink])
    assert result.meter.frames + result.dropped == 50
    assert result.dropped > 20


def test_a_slow_output_is_given_the_newest_picture_not_one_that_waited() -> None:
    source = Numbers(120, fps=100, live=True)
    behind: list[int] = []

    class Slow(Sink):
        def write(self, frame: StyledFrame) -> None:
            behind.append(source.given - 1 - int(frame.image[0, 0, 0]))
            time.sleep(0.08)

    run(source, [Slow()])
    # One that waited for the output would be eight frames old.
    assert np.median(behind[1:]) <= 3


def test_without_pace_every_frame_runs_flat_out() -> None:
    start_s = time.perf_counter()
    result = run(Numbers(40, fps=10), [Collector()], PipelineOptions(pace=False))
    assert (result.meter.frames, result.dropped) == (40, 0)
    assert time.perf_counter() - start_s < 1


def test_capture_inference_and_output_overlap() -> None:
    began_s: dict[tuple[str, int], float] = {}
    ended_s: dict[tuple[str, int], float] = {}

    def work(stage: str, number: int) -> None:
        began_s[stage, number] = time.perf_counter()
        time.sleep(0.01)
        ended_s[stage, number] = time.perf_counter()

    class SlowNumbers(Numbers):
        def __iter__(self) -> Iterator[Frame]:
            for number, frame in enumerate(super().__iter__()):
                work("capture", number)
                yield frame

    class SlowCollector(Collector):
        def write(self, frame: StyledFrame) -> None:
            super().write(frame)
            work("output", len(self.numbers) - 1)

    def stylize(image: np.ndarray) -> np.ndarray:
        work("infer", next(inferred))
        return image

    inferred = count()
    run(SlowNumbers(30), [SlowCollector()], ALL, [stylizer(stylize)])
    # One after another, no stage would ever begin a frame before the next one ended the last.
    for stage, following in (("capture", "infer"), ("infer", "output")):
        assert any(began_s[stage, n + 1] < ended_s[following, n] for n in range(29))


def test_no_queue_grows() -> None:
    source = Numbers(None)
    run(source, [Collector(slow_s=0.01)], PipelineOptions(pace=False, max_frames=20))
    assert source.given <= 20 + 5


def test_limits() -> None:
    sink = Collector()
    run(Numbers(None), [sink], PipelineOptions(pace=False, max_frames=7))
    assert sink.numbers == list(range(7))
    start_s = time.perf_counter()
    run(Numbers(None), [Collector()], PipelineOptions(duration_s=0.2))
    assert 0.19 < time.perf_counter() - start_s < 8
    # Also while no frames come.
    start_s = time.perf_counter()
    run(Numbers(None, fps=0.1), [Collector()], PipelineOptions(duration_s=0.2))
    assert 0.19 < time.perf_counter() - start_s < 8


def test_stages_are_measured() -> None:
    result = run(Numbers(20), [Collector(slow_s=0.004)], ALL, [slow(0.008)])
    stage_ms = result.meter.summary().stage_ms
    assert stage_ms["capture"] == 0.5
    assert stage_ms["infer"] == pytest.approx(8, abs=6)
    assert stage_ms["output"] == pytest.approx(4, abs=4)
    assert stage_ms["pre"] is not None
    assert stage_ms["pre"] < 1


@pytest.mark.parametrize("options", [ALL, PipelineOptions()], ids=["all", "newest"])
def test_a_stylizer_that_raises_ends_the_run(options: PipelineOptions) -> None:
    calls = count()

    def function(image: np.ndarray) -> np.ndarray:
        if next(calls) == 3:
            raise RuntimeError("out of memory")
        return image

    with pytest.raises(RuntimeError, match="out of memory"):
        run(Numbers(None), [Collector()], options, [stylizer(function)])


@pytest.mark.parametrize("live", [True, False])
def test_a_source_that_breaks_ends_the_run_and_the_figures_stay(live: bool) -> None:
    result = Result()
    with pytest.raises(SourceError, match="unplugged"):
        run(Numbers(20, live=live, fails=True), [Collector()], result=result)
    assert result.meter.frames > 5


@pytest.mark.parametrize("options", [ALL, PipelineOptions()], ids=["all", "newest"])
def test_a_sink_that_raises_ends_the_run(options: PipelineOptions) -> None:
    with pytest.raises(SinkError, match="disk full"):
        run(Numbers(None), [Collector(fails_at=4)], options, [slow(0.002)])


def test_the_first_error_is_the_one_that_counts() -> None:
    class Fragile(Collector):
        def close(self, **_: bool) -> None:
            raise SinkError("cannot be finished either")

    def run_with_a_broken_network() -> None:
        def function(image: np.ndarray) -> np.ndarray:
            raise RuntimeError("the first one")

        with Fragile() as sink:
            run(Numbers(5), [sink], ALL, [stylizer(function)])

    with pytest.raises(RuntimeError, match="the first one"):
        run_with_a_broken_network()
    with pytest.raises(SinkError, match="either"), Fragile() as sink:
        run(Numbers(5), [sink], ALL)


def test_closing_the_window_ends_the_run_also_while_no_frames_come() -> None:
    sink = Collector(commands={2: [Command("quit")]})
    run(Numbers(None), [sink], ALL)
    assert sink.numbers == [0, 1]
    start_s = time.perf_counter()
    run(Numbers(None, fps=0.01), [Collector(commands={1: [Command("quit")]})])
    assert time.perf_counter() - start_s < SOON_S


@pytest.mark.parametrize("source", [Numbers(None), Numbers(None, fps=0.01)], ids=["busy", "idle"])
def test_ctrl_c_ends_the_run(source: Numbers) -> None:
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    start_s = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        run(source, [Collector()])
    assert time.perf_counter() - start_s < SOON_S


def test_a_camera_that_hangs_is_an_error_and_no_hang() -> None:
    free = threading.Event()

    class Hanging(Numbers):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            free.wait()

    start_s = time.perf_counter()
    with pytest.raises(SourceError, match="still connected"):
        run_pipeline(
            Hanging(3, live=True), [stylizer()], [Collector()], PipelineOptions(stall_s=0.2)
        )
    assert time.perf_counter() - start_s < 2 * SOON_S
    free.set()


def test_a_pause_holds_a_clip_and_leaves_no_gap() -> None:
    class Pausing(Collector):
        """Space after five frames, again 0.3 seconds later."""

        paused_at_s = 0.0

        def poll(self) -> list[Command | Notice]:
            now_s = time.perf_counter()
            if len(self.numbers) == 5 and not self.paused_at_s:
                self.paused_at_s = now_s
                return [Command("pause")]
            if self.paused_at_s > 0 and now_s - self.paused_at_s > 0.3:
                self.paused_at_s = float("inf")
                return [Command("pause")]
            return []

    for live in (False, True):
        sink = Pausing()
        result = run(Numbers(40, live=live), [sink])
        steps_s = np.diff([frame.time_s for frame in sink.frames])
        assert max(steps_s) < 0.2, "no frame is far from the one before it"
        if not live:
            assert sink.numbers[-1] == 39
            assert result.meter.fps is not None
            assert result.meter.fps > 70, "the pause does not count"


def test_a_pause_is_no_part_of_the_duration() -> None:
    class Pausing(Collector):
        """Space after five frames, again 0.5 seconds later."""

        until_s = 0.0

        def poll(self) -> list[Command | Notice]:
            now_s = time.perf_counter()
            if len(self.numbers) >= 5 and not self.until_s:
                self.until_s = now_s + 0.5
                return [Command("pause")]
            if now_s > self.until_s > 0:
                self.until_s = float("inf")
                return [Command("pause")]
            return []

    sink = Pausing()
    run(Numbers(1000, live=True), [sink], PipelineOptions(duration_s=0.3))
    assert sink.until_s == float("inf"), "it went on"
    assert sink.frames[-1].time_s - sink.frames[0].time_s > 0.2


def test_keys_switch_between_styles() -> None:
    styles = [
        stylizer(lambda image, level=level: np.full_like(image, level), str(level))
        for level in (10, 20, 30)
    ]
    sink = Collector(
        commands={
            5: [Command("next")],
            15: [Command("previous")],
            25: [Command("previous")],
            35: [Command("style", 1)],
            45: [Command("style", 7)],
        }
    )
    result = run(Numbers(60), [sink], ALL, styles)
    runs = [sink.numbers[0]]
    for number in sink.numbers:
        if number != runs[-1]:
            runs.append(number)
    assert runs == [10, 20, 10, 30, 20]
    assert [frame.style for frame in sink.frames] == [str(number) for number in sink.numbers]
    assert result.style is not None
    assert result.style.name == "20"
    assert [state.notice for state in sink.states] == ["", "20", "10", "30", "20", "20"]


def test_no_stylizer_is_a_mistake() -> None:
    with pytest.raises(UsageError):
        run_pipeline(Numbers(1), [], [Collector()])
