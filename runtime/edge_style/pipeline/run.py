"""One run of the pipeline: its threads, and how they end."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_style.errors import SourceError, UsageError
from edge_style.meter import Meter
from edge_style.pipeline.playback import Playback
from edge_style.pipeline.slot import Slot, SlotClosed
from edge_style.pipeline.stages import Image, StagedStylizer
from edge_style.sinks import Command, Sink, StyledFrame
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
    """

    pace: bool = True
    drop: bool = True
    max_frames: int | None = None
    duration_s: float | None = None
    stall_s: float = 15.0


@dataclass
class Result:
    """What a run was like, also one that an error or Ctrl-C ended.

    Attributes:
        meter: its figures.
        dropped: frames that were captured and overwritten by newer ones.
        style: index of the stylizer that was chosen in the end.
        size_px: (width, height) of the last delivered frame.
    """

    meter: Meter = field(default_factory=Meter)
    dropped: int = 0
    style: int = 0
    size_px: tuple[int, int] | None = None


def run_pipeline(
    source: Source,
    stylizers: Sequence[StagedStylizer],
    sinks: Sequence[Sink],
    options: PipelineOptions | None = None,
    *,
    result: Result | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> Result:
    """Run until the source ends, a limit is reached, or a user at a sink quits.

    Args:
        source: open; it stays so.
        stylizers: one or more; commands of sinks switch between them.
        sinks: open; they stay so. Frames go to each in turn.
        options: `PipelineOptions()` if None.
        result: filled while running, for callers that want the figures after an error.
        on_frame: called in the caller's thread with the number of frames delivered so far.

    Raises:
        BaseException: whatever the source, a stylizer or a sink raised first; KeyboardInterrupt
            after Ctrl-C.
        SourceError: a live source stalled.
        UsageError: no stylizer was given.
    """
    if not stylizers:
        raise UsageError("expected at least one stylizer, got none")
    run = _Run(source, stylizers, sinks, options or PipelineOptions(), result or Result())
    return run.run(on_frame)


@dataclass(frozen=True, slots=True)
class _Task:
    """A captured frame on its way into the network; prepared already where nothing is dropped."""

    frame: Frame
    stylizer: StagedStylizer
    prepared: Any = None


@dataclass(frozen=True, slots=True)
class _Done:
    """A finished picture on its way to the sinks."""

    frame: Frame
    image: Image
    stylizer: StagedStylizer


class _Run:
    """The state of one run, shared by its three threads."""

    def __init__(
        self,
        source: Source,
        stylizers: Sequence[StagedStylizer],
        sinks: Sequence[Sink],
        options: PipelineOptions,
        result: Result,
    ) -> None:
        self._source = source
        self._stylizers = stylizers
        self._sinks = sinks
        self._options = options
        self._result = result
        self._meter = result.meter
        # A source that neither is live nor is played as if it were has no frames to miss.
        self._drops = options.drop and (options.pace or source.live)
        self._playback = Playback(source, is_paced=options.pace)
        self._tasks: Slot[_Task] = Slot()
        self._done: Slot[_Done] = Slot()
        self._errors: list[BaseException] = []
        self._stop_at_s: float | None = None

    def run(self, on_frame: Callable[[int], None] | None) -> Result:
        threads = [
            threading.Thread(target=self._guard, args=(step,), name=name, daemon=True)
            for name, step in (("capture", self._capture), ("inference", self._infer))
        ]
        try:
            for thread in threads:
                thread.start()
            self._deliver_all(on_frame)
        except BaseException as error:
            self._errors.append(error)
        finally:
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
            stylizer = self._stylizers[self._result.style]
            # Preparing a frame that is then dropped would take time away from the network.
            prepared = None if self._drops else self._prepare(stylizer, frame)
            if self._tasks.put(_Task(frame, stylizer, prepared), overwrite=self._drops):
                self._result.dropped += 1
        self._tasks.end()

    def _prepare(self, stylizer: StagedStylizer, frame: Frame) -> Any:
        start_s = time.perf_counter()
        prepared = stylizer.prepare(frame.image)
        self._meter.spent("pre", _ms_since(start_s))
        return prepared

    # In the inference thread

    def _infer(self) -> None:
        try:
            while True:
                task = self._tasks.take()
                if task is not None:
                    self._done.put(self._stylize(task))
        except SlotClosed:
            self._done.end()

    def _stylize(self, task: _Task) -> _Done:
        frame, stylizer, prepared = task.frame, task.stylizer, task.prepared
        if prepared is None:
            prepared = self._prepare(stylizer, frame)
        start_s = time.perf_counter()
        inferred = stylizer.infer(prepared)
        self._meter.spent("infer", _ms_since(start_s))
        start_s = time.perf_counter()
        image = stylizer.finish(inferred, frame.image)
        self._meter.spent("post", _ms_since(start_s))
        return _Done(frame, image, stylizer)

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
                if on_frame is not None:
                    on_frame(self._meter.frames)
            for sink in self._sinks:
                for command in sink.poll():
                    if command == "quit":
                        return
                    self._obey(command)

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
        self._result.size_px = (done.image.shape[1], done.image.shape[0])
        styled = StyledFrame(
            image=done.image,
            time_s=done.frame.time_s,
            latency_ms=latency_ms,
            fps=self._meter.recent_fps,
            style=done.stylizer.name,
            provider=done.stylizer.provider,
        )
        for sink in self._sinks:
            sink.write(styled)
        # Counted last, so that a frame that could not be written is not among them.
        self._meter.delivered(latency_ms)
        self._meter.spent("output", _ms_since(now_s))

    def _obey(self, command: Command) -> None:
        count = len(self._stylizers)
        if command == "pause":
            pause_s = self._playback.toggle_pause()
            self._meter.resumed_after(pause_s)
            if self._stop_at_s is not None:
                self._stop_at_s += pause_s
        elif command == "next":
            self._result.style = (self._result.style + 1) % count
        elif command == "previous":
            self._result.style = (self._result.style - 1) % count
        elif isinstance(command, int) and 0 <= command < count:
            self._result.style = command

    def _check_stall(self) -> None:
        # Where the reader waits for the writer, the source's silence says nothing.
        if self._source.live and self._drops and self._playback.silence_s > self._options.stall_s:
            raise SourceError(
                f"{self._source.description}: no frames for {self._options.stall_s:g} seconds, "
                "is it still connected?"
            )


def _ms_since(start_s: float) -> float:
    return (time.perf_counter() - start_s) * 1000
