"""One run of `cam` or `video`, from its options to its figures."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from edge_style.batch import BatchSize
from edge_style.controls import Command, Controls, Style, find_style, obey
from edge_style.errors import SourceError, UsageError
from edge_style.live.job import job_of
from edge_style.live.networks import Networks
from edge_style.live.options import ShowOptions
from edge_style.live.report import report_of, summary_line
from edge_style.pipeline import Result, StagedStylizer, list_styles, run_pipeline
from edge_style.shutdown import Interrupts
from edge_style.sinks import ConversionSink, KeeperSink, Sink, StreamInfo, TurnsSink, open_sink
from edge_style.sources import Image, Source, open_source

_STATED_SHARE = 0.8  # of the frame rate that a camera states; less than that is worth a word


class Show:
    """One run of `cam` or `video`.

    Attributes:
        total_frames: how many there will be as far as is known, from when the run starts.
        resumed_frames: how many an earlier run of the same conversion had done.
    """

    def __init__(
        self,
        options: ShowOptions,
        *,
        note: Callable[[str], None],
        note_start: Callable[[Any], None],
        more_sinks: Sequence[Sink] = (),
    ) -> None:
        self._options = options
        self._note = note
        self._more_sinks = more_sinks
        self._networks = Networks(options, note=note, note_start=note_start)
        self._result = Result()
        self._clip_fps: float | None = None
        self.total_frames: int | None = None
        self.resumed_frames = 0

    @property
    def frames(self) -> int:
        """Frames delivered so far."""
        return self._result.meter.frames

    @property
    def has_begun(self) -> bool:
        """Whether everything was opened, so that there is something to report."""
        return self._networks.are_loaded

    def run(
        self,
        on_frame: Callable[[int], None] | None = None,
        interrupts: Interrupts | None = None,
    ) -> None:
        """Open everything, run to the end, close everything.

        Args:
            on_frame: called with the number of frames delivered so far.
            interrupts: of the block that this runs in; held while outputs are closed.

        Raises:
            EdgeStyleError: something cannot be opened, or broke down half-way.
            KeyboardInterrupt: Ctrl-C; everything is closed all the same.
        """
        interrupts = interrupts or Interrupts()
        # OpenCV's helper threads would wait for processors that the network keeps busy.
        cv2.setNumThreads(1)
        with closing(self._networks), self._open_source() as source:
            self._note(source.description)
            self.total_frames = source.frame_count
            self._clip_fps = source.fps if self._options.is_conversion else None
            if self._options.is_conversion:
                self._networks.load(source)
                sinks = self._make_sinks(source)
                self._go_on(source, sinks)
            else:
                sinks = self._make_sinks(source)
                self._networks.load(source)
            networks = self._networks.staged
            self._check_turns(list_styles(networks))
            try:
                with ExitStack() as stack:
                    for sink in sinks:
                        stack.enter_context(sink)
                        if sink.greeting:
                            self._note(sink.greeting)
                    for sink in sinks:
                        sink.meet([one.greeting for one in sinks if one.greeting])
                    controls = self._first_controls(networks)
                    styles = list_styles(networks)
                    shown = {controls.style, controls.partner} - {None}
                    if self.resumed_frames and any(styles[number or 0].adopts for number in shown):
                        controls = replace(controls, adopted_picture=self._first_picture())
                    try:
                        run_pipeline(
                            source,
                            networks,
                            sinks,
                            replace(self._options.pipeline, controls=controls),
                            result=self._result,
                            on_frame=on_frame,
                            on_end=interrupts.hold,
                            rate=self._networks.rate,
                        )
                    finally:
                        interrupts.hold()
            finally:
                for sink in sinks:
                    for line in sink.notes:
                        self._note(f"note: {line}")
            self._note_arrivals(source)

    def _open_source(self) -> Source:
        name = self._options.source
        if not self._options.is_conversion:
            size_px = BatchSize.parse(self._options.size).exact_px
            return open_source(name, size_px=size_px, reconnect=self._options.reconnect)
        path = Path(name)
        if not path.is_file():
            raise SourceError(f"no such clip: '{name}'")
        # By its full path, since a file may be called `0` or `test`.
        return open_source(str(path.absolute()))

    def _make_sinks(self, source: Source) -> list[Sink]:
        outputs = self._options.outputs
        if len(set(outputs)) < len(outputs):
            raise UsageError(f"--output names the same output twice: {', '.join(outputs)}")
        stream = StreamInfo(
            fps=source.fps or StreamInfo.fps,
            recording=not self._options.is_conversion,
            clip=source.clip,
            pictures=source.pictures,
            job=job_of(self._options, source, self._networks.stylizers),
        )
        sinks = [open_sink(output, stream, token=self._options.token) for output in outputs]
        if not self._options.is_conversion:
            folder, controls = self._options.snapshots, self._options.pipeline.controls
            # Services run in folders that cannot be written to, and save nothing.
            is_needed = folder != Path() or controls.is_recording
            sinks.append(KeeperSink(folder, stream, is_needed=is_needed))
        if self._options.every_s is not None:
            sinks.append(TurnsSink(self._options.every_s))
        return [*sinks, *self._more_sinks]

    def _go_on(self, source: Source, sinks: Sequence[Sink]) -> None:
        """Leave out what an earlier run of the same conversion has done."""
        for sink in sinks:
            if isinstance(sink, ConversionSink) and sink.frames_done:
                source.skip(sink.frames_done)
                self.resumed_frames = sink.frames_done
                self._note(f"goes on behind {sink.frames_done} frames of an earlier run")

    def _first_picture(self) -> Image:
        """Of the clip, which an earlier run of the same conversion took for its style."""
        with self._open_source() as source:
            return next(iter(source)).image

    def _first_controls(self, networks: Sequence[StagedStylizer]) -> Controls:
        """What was asked for by options, with names of styles as numbers."""
        controls, styles = self._options.pipeline.controls, list_styles(networks)
        number = self._networks.with_pictures
        if number is not None:
            first = next(i for i, style in enumerate(styles) if style.network == number)
            controls = replace(controls, style=first)
        elif self._options.style is not None:
            controls = replace(controls, style=find_style(self._options.style, styles))
        if self._options.partner is not None:
            number = find_style(self._options.partner, styles)
            wanted = obey(controls, Command("partner", number), styles)
            if wanted.partner != number:
                raise UsageError(
                    f"'{styles[controls.style].name}' and '{styles[number].name}' cannot be "
                    "blended: that takes two styles of one network"
                )
            controls = replace(wanted, blend=controls.blend)
        return controls

    def _check_turns(self, styles: Sequence[Style]) -> None:
        if self._options.every_s is not None and sum(not style.adopts for style in styles) < 2:
            raise UsageError(
                "--every changes styles, and there is one only: name several, --model starry,wave, "
                "or a network that knows several"
            )

    def _note_arrivals(self, source: Source) -> None:
        meter = self._result.meter
        if self._options.is_conversion:
            frames = meter.frames + self.resumed_frames
            if source.states_count and frames < (self.total_frames or 0):
                self._note(
                    f"note: the clip states {self.total_frames} frames, {frames} could be decoded"
                )
        elif source.live and source.fps is not None:
            arrived_fps = meter.summary().arrived_fps
            if arrived_fps is not None and arrived_fps < _STATED_SHARE * source.fps:
                self._note(
                    f"note: {source.description} states {source.fps:.4g} frames/s, "
                    f"{arrived_fps:.3g} arrived"
                )

    def report(self) -> dict[str, Any]:
        """The figures, with the keys that `--json` prints."""
        return report_of(self._result, self._networks, self._clip_fps)

    def summary_line(self) -> str:
        """The figures, for people."""
        return summary_line(self._result, self._clip_fps)
