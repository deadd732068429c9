"""The networks of a show, each loaded for the size at which it is to run."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_style.any_style import AnyStylizer
from edge_style.batch import BatchSize
from edge_style.errors import UsageError
from edge_style.live.options import ShowOptions
from edge_style.photo import NO_PAINTING
from edge_style.photo.wrapped import NoPainting, open_look
from edge_style.pipeline import RateController, ScaledStylizer, StagedStylizer, size_steps
from edge_style.sources import Source
from edge_style.stylizer import Stylizer


class Networks:
    """The networks that `--model` names.

    Attributes:
        stylizers: those that are loaded so far.
        staged: as a pipeline runs them; empty until they are ready.
        rate: chooses the size to hold a frame rate, None for one size.
        with_pictures: number of the network whose styles are the pictures of `--style`, if any.
    """

    def __init__(
        self,
        options: ShowOptions,
        *,
        note: Callable[[str], None],
        note_start: Callable[[Any], None],
    ) -> None:
        self._options = options
        self._note = note
        self._note_start = note_start
        self.stylizers: list[Stylizer | NoPainting | AnyStylizer] = []
        self.with_pictures: int | None = None
        self.staged: Sequence[StagedStylizer] = ()
        self.rate: RateController | None = None

    @property
    def are_loaded(self) -> bool:
        """Whether all are."""
        return len(self.stylizers) == len(self._options.models)

    def load(self, source: Source) -> None:
        """Load all networks for the source's frames, and run each once; a look is put over them.

        Raises:
            EdgeStyleError: there is no such model, or it does not run here or at that size.
        """
        self._load(source)
        look = self._options.look
        if look is not None:
            in_background = not self._options.is_conversion
            self.staged = open_look(look, self.staged, in_background=in_background)

    def close(self) -> None:
        """Let go of what they hold beside their files: cameras that are styles."""
        for stylizer in self.stylizers:
            if isinstance(stylizer, AnyStylizer):
                stylizer.close()

    def _load(self, source: Source) -> None:
        size_px = _network_size(BatchSize.parse(self._options.size), source)
        is_adaptive = self._options.target_fps is not None
        if NO_PAINTING in self._options.models:
            if is_adaptive:
                raise UsageError("--fps sizes a network: give a --model, or leave it out")
            nothing = NoPainting.instead_of_network(
                size_px, style=self._options.style, provider=self._options.provider
            )
            self.stylizers.append(nothing)
            self.staged = self.stylizers
            return
        for model in self._options.models:
            loaded: Stylizer | AnyStylizer = Stylizer.load(
                model,
                provider=self._options.provider,
                size=None if is_adaptive else size_px,
                frame_px=None if is_adaptive else source.size_px,
                tell=self._note,
            )
            if isinstance(loaded, Stylizer) and loaded.takes_code:
                loaded = AnyStylizer.open(
                    loaded,
                    self._options.style,
                    is_live=True,
                    in_background=not self._options.is_conversion,
                )
                if self.with_pictures is None:
                    self.with_pictures = len(self.stylizers)
            self._note_start(loaded)
            self.stylizers.append(loaded)
        warm_px = size_px or source.size_px
        if is_adaptive:
            self._make_adaptive(warm_px, source)
            return
        for stylizer in self.stylizers:
            if warm_px is not None:
                stylizer.warm_up(warm_px[1], warm_px[0])
        self.staged = self.stylizers

    def _make_adaptive(self, output_px: tuple[int, int] | None, source: Source) -> None:
        """Run every network once at every size that may be wanted, and begin at the right one."""
        if output_px is None:
            raise UsageError(f"--fps needs frames of one size, {source.description} has several")
        for stylizer in self.stylizers:
            if stylizer.fixed_size_px is not None:
                raise UsageError(f"'{stylizer.path.name}' runs at one size only: leave --fps out")
        steps = size_steps(output_px)
        costs_ms = [max(_cost_ms(stylizer, step) for stylizer in self.stylizers) for step in steps]
        for stylizer in self.stylizers:
            if isinstance(stylizer, AnyStylizer):
                stylizer.forget_frames()  # they were grey
        rate = self.rate = RateController(self._options.target_fps or 0.0, steps, costs_ms)
        self.staged = [ScaledStylizer(stylizer, output_px, rate) for stylizer in self.stylizers]


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


def _cost_ms(stylizer: Stylizer | NoPainting | AnyStylizer, size_px: tuple[int, int]) -> float:
    """What a frame of this size takes, the second time."""
    frame = np.full((size_px[1], size_px[0], 3), 128, np.uint8)
    stylizer(frame)
    start_s = time.perf_counter()
    stylizer(frame)
    return (time.perf_counter() - start_s) * 1000
