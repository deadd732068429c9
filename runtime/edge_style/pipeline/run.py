"""One run of the pipeline: its threads, and how they end."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from edge_style.controls import (
    Command,
    Controls,
    Notice,
    ShowState,
    Style,
    notice_of,
    obey,
    title_of,
)
from edge_style.errors import SourceError, UsageError
from edge_style.meter import Meter
from edge_style.pipeline.playback import Playback
from edge_style.pipeline.rate import RateController
from edge_style.pipeline.render import Prepared, Rendered, Renderer
from edge_style.pipeline.slot import Slot, SlotClosed
from edge_style.pipeline.stages import StagedStylizer, list_styles
from edge_style.pipeline.steady import Steadier
from edge_style.shutdown import NativeThread
from edge_style.sinks import Sink, StyledFrame
from edge_style.sources import Frame, Source

_POLL_S = 0.02  # how soon a key is heard while no frames come
_JOIN_S = 2.0  # a camera driver may hang; the process does not wait for it for ever


@dataclass(frozen=True)
class PipelineOptions:
    """How a run goes.

    Attributes:
        pace: play sources that are not live at their own speed.
        drop: take the newest frame and drop those that came in between; else take every one.
        max_frames: end after so many delivered frames.
        duration_s: end so long after the first delivered frame, pauses not counted.
        stall_s: a live source that gives nothing for so long has failed.
        controls: what is wanted at the start.
    """

    pace: bool = True
    drop: bool = True
    max_frames: int | None = None
    duration_s: float | None = None
    stall_s: float = 15.0
    controls: Controls = field(default_factory=Controls)


@dataclass
class Result:
    """What a run was like, also one that an error or Ctrl-C ended.

    Attributes:
        meter: its figures.
        dropped: frames that were captured and overtaken by newer ones.
        controls: what was wanted in the end.
        style: what was painted in the end, None before the run.
        size_px: (width, height) of the last delivered frame.
    """

    meter: Meter = field(default_factory=Meter)
    dropped: int = 0
    controls: Controls = field(default_factory=Controls)
    style: Style | None = None
    size_px: tuple[int, int] | None = None


def run_pipeline(
    source: Source,
    stylizers: Sequence[StagedStylizer],
    sinks: Sequence[Sink],
    options: PipelineOptions | None = None,
    *,
    result: Result | None = None,
    on_frame: Callable[[int], None] | None = None,
    steadier: Steadier | None = None,
    rate: RateController | None = None,
    on_end: Callable[[], None] | None = None,
) -> Result:
    """Run until the source ends, a limit is reached, or a user at a sink quits.

    Args:
        source: open; it stays so.
        stylizers: one or more; commands of sinks switch between their styles.
        sinks: open; they stay so. Frames go to each in turn.
        options: `PipelineOptions()` if None.
        result: filled while running, for callers that want the figures after an error.
        on_frame: called in the caller's thread with the number of frames delivered so far.
        steadier: takes flicker out of the pictures.
        rate: hears what frames take, and chooses the networks' size.
        on_end: called when no more frames are delivered, before threads are waited for.

    Raises:
        BaseException: whatever the source, a stylizer or a sink raised first; KeyboardInterrupt
            after Ctrl-C.
        SourceError: a live source stalled.
        UsageError: no stylizer was given.
    """
    if not stylizers:
        raise UsageError("expected at least one stylizer, got none")
    result = result or Result()
    options = options or PipelineOptions()
    styles = list_styles(stylizers)
    renderer = Renderer(stylizers, styles, result.meter, steadier=steadier, rate=rate)
    return _Run(source, renderer, styles, sinks, options, result).run(on_frame, on_end)


@dataclass(frozen=True, slots=True)
class _Task:
    """A captured frame on its way into the network; prepared already where nothing is dropped."""

    frame: Frame
    prepared: Prepared | None = None
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class _Done:
    """A finished picture on its way to the sinks."""

    frame: Frame
    rendered: Rendered
    title: str
    is_repeat: bool


class _Run:
    """The state of one run, shared by its three threads."""

    def __init__(
        self,
        source: Source,
        renderer: Renderer,
        styles: tuple[Style, ...],
        sinks: Sequence[Sink],
        options: PipelineOptions,
        result: Result,
    ) -> None:
        self._source = source
        self._renderer = renderer
        self._styles = styles
        self._sinks = sinks
        self._options = options
        self._result = result
        self._meter = result.meter
        # Replaced as a whole by the caller's thread, read by the others.
        self._controls = result.controls = options.controls
        result.style = styles[self._controls.style]
        # A source that neither is live nor is played as if it were has no frames to miss.
        self._drops = options.drop and (options.pace or source.live)
        self._playback = Playback(source, is_paced=options.pace)
        self._tasks: Slot[_Task] = Slot()
        self._done: Slot[_Done] = Slot()
        self._drop_lock = threading.Lock()
        self._errors: list[BaseException] = []
        self._stop_at_s: float | None = None
        self._trouble = ""
        self._shown: Frame | None = None
        self._felt_ms = 0.0

    def run(
        self, on_frame: Callable[[int], None] | None, on_end: Callable[[], None] | None
    ) -> Result:
        threads = [
            NativeThread(partial(self._guard, step), name)
            for name, step in (("capture", self._capture), ("inference", self._infer))
        ]
        try:
            if self._controls.is_paused:
                self._playback.toggle_pause()
            self._announce()
            for thread in threads:
                thread.start()
            self._deliver_all(on_frame)
        except BaseException as error:
            self._errors.append(error)
        finally:
            if on_end is not None:
                on_end()
            self._playback.stop()
            self._tasks.close()
            self._done.close()
        for thread in threads:
            if thread.ident is not None:
                thread.join(_JOIN_S)
        if self._errors:
            raise self._errors[0]
        return self._result

    def _guard(self, step: Callable[[], None]) -> None:
        """Do a thread's work; an error is kept for the caller and ends the whole run."""
        try:
            step()
        except SlotClosed:
            pass
        except BaseException as error:
            self._errors.append(error)
            self._done.close()
            self._tasks.close()

    # In the capture thread

    def _capture(self) -> None:
        for frame in self._playback:
            self._meter.spent("capture", frame.capture_ms)
            self._meter.arrived()
            # Preparing a frame that is then dropped would take time away from the network.
            prepared = None if self._drops else self._renderer.prepare(frame, self._controls)
            if self._tasks.put(_Task(frame, prepared), overwrite=self._drops):
                self._count_drop()
        self._tasks.end()

    def _count_drop(self) -> None:
        with self._drop_lock:
            self._result.dropped += 1

    # In the inference thread

    def _infer(self) -> None:
        try:
            while True:
                task = self._tasks.take()
                # A picture that an output had no time for is overtaken, or it would be shown late.
                if task is not None and self._done.put(self._render(task), overwrite=self._drops):
                    self._count_drop()
        except SlotClosed:
            self._done.end()

    def _render(self, task: _Task) -> _Done:
        controls = self._controls
        prepared = task.prepared or self._renderer.prepare(task.frame, controls)
        rendered = self._renderer.render(prepared, controls, is_repeat=task.is_repeat)
        return _Done(task.frame, rendered, title_of(controls, self._styles), task.is_repeat)

    # In the caller's thread

    def _deliver_all(self, on_frame: Callable[[int], None] | None) -> None:
        while not self._is_over():
            try:
                done = self._done.take(self._patience_s())
            except SlotClosed:
                return
            if done is None:
                self._check_stall()
            else:
                self._deliver(done)
                if on_frame is not None and not done.is_repeat:
                    on_frame(self._meter.frames)
            if not self._hear_sinks():
                return
            if done is not None and not done.is_repeat:
                # A window paints while it is asked for keys.
                self._felt_ms = (time.perf_counter() - done.frame.captured_s) * 1000
                self._meter.shown(self._felt_ms)
            if self._source.trouble != self._trouble:
                self._trouble = self._source.trouble
                self._announce()

    def _patience_s(self) -> float:
        if self._stop_at_s is None:
            return _POLL_S
        return max(0.0, min(_POLL_S, self._stop_at_s - time.perf_counter()))

    def _is_over(self) -> bool:
        limit = self._options.max_frames
        if limit is not None and self._meter.frames >= limit:
            return True
        return self._stop_at_s is not None and time.perf_counter() >= self._stop_at_s

    def _deliver(self, done: _Done) -> None:
        now_s = time.perf_counter()
        latency_ms = (now_s - done.frame.captured_s) * 1000
        if self._stop_at_s is None and self._options.duration_s is not None:
            self._stop_at_s = now_s + self._options.duration_s
        rendered = done.rendered
        self._result.size_px = (rendered.image.shape[1], rendered.image.shape[0])
        self._result.style = rendered.style
        styled = StyledFrame(
            image=rendered.image,
            time_s=done.frame.time_s,
            latency_ms=self._felt_ms or latency_ms,
            fps=self._meter.recent_fps,
            style=rendered.style.name,
            provider=rendered.provider,
            title=done.title,
            network_px=rendered.network_px,
            arrived_fps=self._meter.arrived_fps,
            is_repeat=done.is_repeat,
        )
        for sink in self._sinks:
            sink.write(styled)
        self._shown = done.frame
        if done.is_repeat:
            return
        # Counted last, so that a frame that could not be written is not among them.
        self._meter.delivered(latency_ms)
        self._meter.spent("output", (time.perf_counter() - now_s) * 1000)

    def _hear_sinks(self) -> bool:
        """Do what users at the sinks want; False if that is the end."""
        for sink in self._sinks:
            for wish in sink.poll():
                if isinstance(wish, Notice):
                    self._announce(wish.text)
                elif wish.name == "quit":
                    return False
                else:
                    self._obey(wish)
        return True

    def _obey(self, command: Command) -> None:
        before = self._controls
        after = obey(before, command, self._styles)
        self._controls = self._result.controls = after
        self._result.style = self._styles[after.style]
        if after.is_paused != before.is_paused:
            pause_s = self._playback.toggle_pause()
            self._meter.resumed_after(pause_s)
            if self._stop_at_s is not None:
                self._stop_at_s += pause_s
        elif after.is_paused and after != before:
            self._show_again()
        self._announce(notice_of(command, after, self._styles))

    def _show_again(self) -> None:
        """Render the picture of a pause anew."""
        if self._shown is not None and self._drops:
            self._tasks.put(_Task(self._shown, is_repeat=True), overwrite=True)

    def _announce(self, notice: str = "") -> None:
        state = ShowState(self._controls, self._styles, notice, self._trouble)
        for sink in self._sinks:
            sink.apply(state)

    def _check_stall(self) -> None:
        # Where the reader waits for the writer, the source's silence says nothing.
        is_watched = self._source.live and self._drops and not self._source.trouble
        if is_watched and self._playback.silence_s > self._options.stall_s:
            raise SourceError(
                f"{self._source.description}: no frames for {self._options.stall_s:g} seconds, "
                "is it still connected?"
            )
