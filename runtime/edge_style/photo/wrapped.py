"""Stylizers whose pictures get a look: what a pipeline runs for `--look`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_style.errors import UsageError
from edge_style.images import Rgb, ensure_min_side, resize_to_cover
from edge_style.photo import NO_PAINTING
from edge_style.photo.look import Look, LookChoice
from edge_style.providers import AUTO
from edge_style.stages import OTHER_STYLE, StagedStylizer, moved


class NoPainting(StagedStylizer):
    """In a stylizer's place where a look is all that is wanted: frames stay as they are.

    Attributes:
        size_px: (width, height) that frames are scaled to cover and cut to; None: their own.
    """

    name = title = NO_PAINTING
    styles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provider = "none"
    precision = "none"
    description = "no painting"
    path = None
    fixed_size_px = None

    def __init__(self, size_px: tuple[int, int] | None = None) -> None:
        self.size_px = size_px

    @classmethod
    def instead_of_network(
        cls, size_px: tuple[int, int] | None, *, style: str | None, provider: str
    ) -> "NoPainting":
        """Where a command was given no network.

        Raises:
            UsageError: it was given a style, or a provider to run a network.
        """
        if style is not None or provider != AUTO:
            raise UsageError("--style and --provider are for networks: give a --model too")
        return cls(size_px)

    def prepare(self, frame: Rgb) -> Rgb:
        """Scaled, where a size was asked for. Raises ImageError for a frame that is too small."""
        ensure_min_side(frame, "the frame")
        return frame if self.size_px is None else resize_to_cover(frame, *self.size_px)

    def infer(self, prepared: Rgb, style: object = None) -> Rgb:  # noqa: ARG002 - as of stylizers
        """Nothing."""
        return prepared

    def finish(self, inferred: Rgb, frame: Rgb) -> Rgb:  # noqa: ARG002 - as of stylizers
        """Nothing."""
        return inferred

    def __call__(self, frame: Rgb) -> Rgb:
        """All steps."""
        return self.prepare(frame)

    def warm_up(self, height_px: int, width_px: int) -> None:
        """Nothing."""


class WithLook:
    """A stylizer that gives its pictures a look; steps and all else are the stylizer's own."""

    def __init__(self, stylizer: Any, look: Look) -> None:
        self._stylizer = stylizer
        self._look = look
        self._weights: list[float] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stylizer, name)

    def adopt(self, picture: Rgb) -> None:
        """Paint like a picture, whose colours are others."""
        self._stylizer.adopt(picture)
        self._look.restart()

    def infer(self, prepared: Any, style: Sequence[float] | None = None) -> Any:
        """Second step. Other styles have other colours, which the look is matched with."""
        weights = None if style is None else [float(weight) for weight in style]
        if weights is not None and self._weights is not None:
            change = moved(weights, self._weights)
            if change > OTHER_STYLE:
                self._look.restart()
            elif change > 0:
                self._look.follow()
        self._weights = weights
        return self._stylizer.infer(prepared, style)

    def finish(self, inferred: Any, frame: Rgb) -> Rgb:
        """Last step: the stylizer's, and the look."""
        return self._look.apply(self._stylizer.finish(inferred, frame))


def open_look(path: Path, stylizers: Sequence[Any], *, in_background: bool) -> list[Any]:
    """The stylizers with the look that `--look` names; each has a table of its own.

    Raises:
        ImageError, UsageError: the reference cannot be used.
    """
    choice = LookChoice.read(path)
    return [WithLook(stylizer, Look(choice, in_background=in_background)) for stylizer in stylizers]
