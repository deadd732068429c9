"""One run of the pipeline: its threads, and how they end."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from edge_style.controls import Style, title_of
from edge_style.errors import UsageError
from edge_style.pipeline.delivery import Delivery, Done
from edge_style.pipeline.options import PipelineOptions, Result
from edge_style.pipeline.playback import Playback
from edge_style.pipeline.rate import RateController
from edge_style.pipeline.render import Prepared, Renderer
from edge_style.pipeline.slot import Slot, SlotClosed
from edge_style.shutdown import NativeThread
from edge_style.sinks import Sink
from edge_style.sources import Frame, Source
from edge_style.stages import StagedStylizer, list_styles

_JOIN_S = 2.0  # a camera driver may hang; the process does not wait for it for ever


def run_pipeline(
    source: Source,
    stylizers: Sequence[StagedStylizer],
    sinks: Sequence[Sink],
    options: PipelineOptions | None = None,
    *,
    result: Result | None = None,
    on_frame: Callable[[int], None] | None = None,
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
    renderer = Renderer(stylizers, styles, result.meter, rate=rate)
    return _Run(source, renderer, styles, sinks, options, result).run(on_frame, on_end)


@dataclass(frozen=True, slots=True)
class _Task:
    """A captured frame on its way into the network; prepared already where nothing is dropped."""

    frame: Frame
    prepared: Prepared | None = None
    is_repeat: bool = False


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
        self._renderer = renderer
        self._styles = styles
        self._result = result
        self._meter = result.meter
        # A source that neither is live nor is played as if it were has no frames to miss.
        self._drops = options.drop and (options.pace or source.live)
        self._playback = Playback(source, is_paced=options.pace)
        self._tasks: Slot[_Task] = Slot()
        self._done: Slot[Done] = Slot()
        self._drop_lock = threading.Lock()
        self._errors: list[BaseException] = []
        self._delivery = Delivery(
            source,
            styles,
            sinks,
            options,
            result,
            self._playback,
            drops=self._drops,
            show_again=self._show_again,
        )

    def run(
        self, on_frame: Callable[[int], None] | None, on_end: Callable[[], None] | None
    ) -> Result:
        threads = [
            NativeThread(partial(self._guard, step), name)
            for name, step in (("capture", self._capture), ("inference", self._infer))
        ]
        try:
            self._delivery.begin()
            for thread in threads:
                thread.start()
            self._delivery.run(self._done, on_frame)
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
            prepared = (
                None if self._drops else self._renderer.prepare(frame, self._delivery.controls)
            )
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

    def _render(self, task: _Task) -> Done:
        controls = self._delivery.controls
        prepared = task.prepared or self._renderer.prepare(task.frame, controls)
        rendered = self._renderer.render(prepared, controls, is_repeat=task.is_repeat)
        return Done(task.frame, rendered, title_of(controls, self._styles), task.is_repeat)

    # In the caller's thread

    def _show_again(self, frame: Frame) -> None:
        self._tasks.put(_Task(frame, is_repeat=True), overwrite=True)
