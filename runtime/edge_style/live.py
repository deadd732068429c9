"""What `cam` and `video` do: put source, stylizers, sinks and pipeline together."""

import hashlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_style import __version__
from edge_style.batch import BatchSize
from edge_style.controls import Command, Controls, find_style, obey
from edge_style.errors import SourceError, UsageError
from edge_style.photo import NO_PAINTING
from edge_style.photo.wrapped import NoPainting, open_look
from edge_style.pipeline import (
    PipelineOptions,
    RateController,
    Result,
    ScaledStylizer,
    StagedStylizer,
    Steadier,
    list_styles,
    run_pipeline,
    size_steps,
)
from edge_style.sinks import ConversionSink, KeeperSink, Sink, StreamInfo, open_sink
from edge_style.sources import Source, open_source
from edge_style.stylizer import Stylizer

_STATED_SHARE = 0.8  # of the frame rate that a camera states; less than that is worth a word


@dataclass(frozen=True)
class ShowOptions:
    """What was asked for.

    Attributes:
        models: names or paths; keys switch between them.
        source: as `open_source` takes it; for a conversion the path of a clip.
        outputs: as `open_sink` takes them.
        provider: execution provider, or auto.
        size: `640x480`, or `640` for the longer side; None: the source's own size.
        is_conversion: every frame of a clip, with its sound, and no file unless it is complete.
        snapshots: folder for the snapshots and recordings that are asked for while it runs.
        style: name of the style to begin with, the first if None.
        partner: name of the style that is blended in.
        look: a reference whose light all pictures get, or a .cube table; None for none.
        stabilize: take flicker out of the pictures.
        reconnect: open a camera or stream again when it breaks down.
        token: what viewers of an http:// output must know.
        target_fps: frames per second to hold by choosing the network's size, None for one size.
        pipeline: pace, drops, limits, and what else is wanted at the start.
    """

    models: Sequence[str]
    source: str
    outputs: Sequence[str]
    provider: str = "auto"
    size: str | None = None
    is_conversion: bool = False
    snapshots: Path = field(default_factory=Path)
    style: str | None = None
    partner: str | None = None
    target_fps: float | None = None
    look: Path | None = None
    stabilize: bool = False
    reconnect: bool = True
    token: str | None = None
    pipeline: PipelineOptions = field(default_factory=PipelineOptions)


class Show:
    """One run of `cam` or `video`.

    Attributes:
        total_frames: how many the source states, None if it does not; known when the run starts.
        resumed_frames: how many an earlier run of the same conversion had done.
    """

    def __init__(
        self,
        options: ShowOptions,
        *,
        note: Callable[[str], None],
        note_start: Callable[[Stylizer], None],
        more_sinks: Sequence[Sink] = (),
    ) -> None:
        self._options = options
        self._note = note
        self._note_start = note_start
        self._more_sinks = more_sinks
        self._rate: RateController | None = None
        self._result = Result()
        self._stylizers: list[Stylizer | NoPainting] = []
        self.total_frames: int | None = None
        self.resumed_frames = 0

    @property
    def frames(self) -> int:
        """Frames delivered so far."""
        return self._result.meter.frames

    @property
    def has_begun(self) -> bool:
        """Whether everything was opened, so that there is something to report."""
        return len(self._stylizers) == len(self._options.models)

    def run(self, on_frame: Callable[[int], None] | None = None) -> None:
        """Open everything, run to the end, close everything.

        Raises:
            EdgeStyleError: something cannot be opened, or broke down half-way.
            KeyboardInterrupt: Ctrl-C or SIGTERM; everything is closed all the same.
        """
        # OpenCV's helper threads would wait for processors that the network keeps busy.
        cv2.setNumThreads(1)
        with _termination_as_interrupt(), self._open_source() as source:
            self._note(source.description)
            self.total_frames = source.frame_count
            if self._options.is_conversion:
                networks = self._with_look(self._load(source))
                sinks = self._make_sinks(source)
                self._go_on(source, sinks)
            else:
                sinks = self._make_sinks(source)
                networks = self._with_look(self._load(source))
            try:
                with ExitStack() as stack:
                    for sink in sinks:
                        stack.enter_context(sink)
                        if sink.greeting:
                            self._note(sink.greeting)
                    run_pipeline(
                        source,
                        networks,
                        sinks,
                        replace(self._options.pipeline, controls=self._first_controls(networks)),
                        result=self._result,
                        on_frame=on_frame,
                        steadier=Steadier() if self._options.stabilize else None,
                        rate=self._rate,
                    )
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
            job=self._job(source),
        )
        sinks = [open_sink(output, stream, token=self._options.token) for output in outputs]
        if not self._options.is_conversion:
            sinks.append(KeeperSink(self._options.snapshots, stream))
        return [*sinks, *self._more_sinks]

    def _job(self, source: Source) -> str:
        """What a conversion's frames depend on, so that none goes on with another one's."""
        look = self._options.look
        files = [source.clip, *(stylizer.path for stylizer in self._stylizers)]
        files += [look] if look is not None and look.is_file() else []
        known = [
            (str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path
        ]
        options = self._options
        wanted = (
            options.size,
            options.stabilize,
            options.style,
            options.partner,
            options.pipeline.controls,
        )
        text = repr((known, wanted, _versions()))
        return hashlib.sha256(text.encode()).hexdigest()

    def _go_on(self, source: Source, sinks: Sequence[Sink]) -> None:
        """Leave out what an earlier run of the same conversion has done."""
        for sink in sinks:
            if isinstance(sink, ConversionSink) and sink.frames_done:
                source.skip(sink.frames_done)
                self.resumed_frames = sink.frames_done
                self._note(f"goes on behind {sink.frames_done} frames of an earlier run")

    def _load(self, source: Source) -> Sequence[StagedStylizer]:
        size_px = _network_size(BatchSize.parse(self._options.size), source)
        is_adaptive = self._options.target_fps is not None
        if NO_PAINTING in self._options.models:
            if is_adaptive:
                raise UsageError("--fps sizes a network: give a --model, or leave it out")
            self._stylizers.append(NoPainting(size_px))
            return self._stylizers
        for model in self._options.models:
            stylizer = Stylizer.load(
                model,
                provider=self._options.provider,
                size=None if is_adaptive else size_px,
                frame_px=None if is_adaptive else source.size_px,
                tell=self._note,
            )
            self._note_start(stylizer)
            self._stylizers.append(stylizer)
        warm_px = size_px or source.size_px
        if is_adaptive:
            return self._make_adaptive(warm_px, source)
        for loaded in self._stylizers:
            if warm_px is not None:
                loaded.warm_up(warm_px[1], warm_px[0])
        return self._stylizers

    def _with_look(self, networks: Sequence[StagedStylizer]) -> Sequence[StagedStylizer]:
        look = self._options.look
        if look is None:
            return networks
        return open_look(look, networks, in_background=not self._options.is_conversion)

    def _make_adaptive(
        self, output_px: tuple[int, int] | None, source: Source
    ) -> Sequence[StagedStylizer]:
        """Run every network once at every size that may be wanted, and begin at the right one."""
        if output_px is None:
            raise UsageError(f"--fps needs frames of one size, {source.description} has several")
        for stylizer in self._stylizers:
            if stylizer.fixed_size_px is not None:
                raise UsageError(f"'{stylizer.path.name}' runs at one size only: leave --fps out")
        steps = size_steps(output_px)
        costs_ms = [max(_cost_ms(stylizer, step) for stylizer in self._stylizers) for step in steps]
        rate = self._rate = RateController(self._options.target_fps or 0.0, steps, costs_ms)
        return [ScaledStylizer(stylizer, output_px, rate) for stylizer in self._stylizers]

    def _first_controls(self, networks: Sequence[StagedStylizer]) -> Controls:
        """What was asked for by options, with names of styles as numbers."""
        controls, styles = self._options.pipeline.controls, list_styles(networks)
        if self._options.style is not None:
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

    def _note_arrivals(self, source: Source) -> None:
        meter = self._result.meter
        if self._options.is_conversion:
            frames = meter.frames + self.resumed_frames
            if self.total_frames is not None and frames < self.total_frames:
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
        summary = self._result.meter.summary()
        style = self._result.style
        stylizer = self._stylizers[style.network if style else 0]
        return {
            "frames": summary.frames,
            "dropped": self._result.dropped,
            "fps": _rounded(summary.fps),
            "latency_ms": _rounded_all(summary.latency_ms),
            "stage_ms": _rounded_all(summary.stage_ms),
            "model": stylizer.name,
            "precision": stylizer.precision,
            "provider": stylizer.provider,
            "size": _size(self._result.size_px),
            "style": style.name if style else stylizer.name,
            "network_size": _size(self._rate.size_px if self._rate else self._result.size_px),
            "size_changes": self._rate.changes if self._rate else 0,
            "arrived_fps": _rounded(summary.arrived_fps),
            "display_latency_ms": _rounded_all(summary.display_latency_ms),
        }

    def summary_line(self) -> str:
        """The figures, for people."""
        summary = self._result.meter.summary()
        parts = [f"{summary.frames} frames", f"{self._result.dropped} dropped"]
        if summary.fps is not None:
            parts.append(f"{summary.fps:.1f} frames/s")
        latency_ms = summary.display_latency_ms
        median, late = latency_ms["p50"], latency_ms["p99"]
        if median is not None and late is not None:
            parts.append(f"latency {median:.1f} ms, 99% within {late:.1f} ms")
        return ", ".join(parts)


def _network_size(size: BatchSize, source: Source) -> tuple[int, int] | None:
    """The exact size at which the network runs, None for each frame's own."""
    if size.long_side_px is None:
        return size.exact_px
    if source.size_px is None:
        raise UsageError(
            f"--size {size.long_side_px} needs frames of one size, "
            f"{source.description} has several: expected WIDTHxHEIGHT"
        )
    scale = size.long_side_px / max(source.size_px)
    width, height = (max(1, round(side * scale)) for side in source.size_px)
    return width, height


def _versions() -> list[str]:
    """Of what encodes: another version's pictures may not fit to those there are."""
    found = [__version__]
    with suppress(PackageNotFoundError):
        found.append(version("av"))
    return found


def _cost_ms(stylizer: Stylizer | NoPainting, size_px: tuple[int, int]) -> float:
    """What a frame of this size takes, the second time."""
    frame = np.full((size_px[1], size_px[0], 3), 128, np.uint8)
    stylizer(frame)
    start_s = time.perf_counter()
    stylizer(frame)
    return (time.perf_counter() - start_s) * 1000


def _size(size_px: tuple[int, int] | None) -> str | None:
    return None if size_px is None else f"{size_px[0]}x{size_px[1]}"


def _rounded_all(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let `kill` and a service manager end a recording as cleanly as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
