"""The caller's part of a run: pictures go to the sinks, and what their users want is done."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_style.controls import Command, Notice, ShowState, Style, notice_of, obey
from edge_style.errors import SourceError
from edge_style.pipeline.options import PipelineOptions, Result
from edge_style.pipeline.playback import Playback
from edge_style.pipeline.render import Rendered
from edge_style.pipeline.slot import Slot, SlotClosed
from edge_style.sinks import Sink, StyledFrame
from edge_style.sources import Frame, Source

_POLL_S = 0.02  # how soon a key is heard while no frames come


@dataclass(frozen=True, slots=True)
class Done:
    """A finished picture on its way to the sinks."""

    frame: Frame
    rendered: Rendered
    title: str
    is_repeat: bool


class Delivery:
    """Delivers until the pictures end, a limit is reached or a user quits.

    Args:
        source: where the frames come from; what troubles it is shown.
        styles: what there is to choose from.
        sinks: open.
        options: limits, and what is wanted at the start.
        result: learns what was delivered.
        playback: is paused and goes on.
        drops: frames that nobody has time for are dropped.
        show_again: renders a frame anew, for a pause whose picture is to change.

    Attributes:
        controls: what is wanted now. Replaced as a whole in the caller's thread, read by others.
    """

    def __init__(
        self,
        source: Source,
        styles: tuple[Style, ...],
        sinks: Sequence[Sink],
        options: PipelineOptions,
        result: Result,
        playback: Playback,
        *,
        drops: bool,
        show_again: Callable[[Frame], None],
    ) -> None:
        self._source = source
        self._styles = styles
        self._sinks = sinks
        self._options = options
        self._result = result
        self._meter = result.meter
        self._playback = playback
        self._drops = drops
        self._show_again = show_again
        self.controls = result.controls = options.controls
        result.style = styles[self.controls.style]
        self._stop_at_s: float | None = None
        self._trouble = ""
        self._shown: Frame | None = None
        self._felt_ms = 0.0

    def begin(self) -> None:
        """Tell the sinks what is wanted at the start."""
        if self.controls.is_paused:
            self._playback.toggle_pause()
        self._announce()

    def run(self, pictures: Slot[Done], on_frame: Callable[[int], None] | None) -> None:
        """Deliver all pictures.

        Args:
            pictures: where they come from.
            on_frame: called with the number of frames delivered so far.
        """
        while not self._is_over():
            try:
                done = pictures.take(self._patience_s())
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
        if self._stop_at_s is None or self.controls.is_paused:
            return _POLL_S
        return max(0.0, min(_POLL_S, self._stop_at_s - time.perf_counter()))

    def _is_over(self) -> bool:
        limit = self._options.max_frames
        if limit is not None and self._meter.frames >= limit:
            return True
        if self._stop_at_s is None or self.controls.is_paused:  # a pause moves the end when it ends
            return False
        return time.perf_counter() >= self._stop_at_s

    def _deliver(self, done: Done) -> None:
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
        before = self.controls
        after = obey(before, command, self._styles)
        self.controls = self._result.controls = after
        self._result.style = self._styles[after.style]
        if after.is_paused != before.is_paused:
            pause_s = self._playback.toggle_pause()
            self._meter.resumed_after(pause_s)
            if self._stop_at_s is not None:
                self._stop_at_s += pause_s
        elif after.is_paused and after != before and self._shown is not None and self._drops:
            self._show_again(self._shown)
        self._announce(notice_of(command, after, self._styles))

    def _announce(self, notice: str = "") -> None:
        state = ShowState(self.controls, self._styles, notice, self._trouble)
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
