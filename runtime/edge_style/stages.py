"""The steps of a stylizer that a pipeline times, and what else it asks of one."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.controls import Style

Image: TypeAlias = npt.NDArray[np.uint8]


# Weights over styles that have `moved` by more from a frame to the next are another style's; by
# less, they are the next step of a fade.
OTHER_STYLE = 0.5


class StagedStylizer(Protocol):
    """What a pipeline runs, step by step: `finish(infer(prepare(x)), x)`.

    Classes that name it as their base inherit what most have in common.

    Attributes:
        provider: where it runs.
        takes_strength: the weights over the styles say how strong the effect is, nothing need be
            mixed afterwards.
        frame_style: name of the style that is a frame's, see `adopt`; empty if there is none.
        network_px: (width, height) at which the network ran last, None where that is the frame's.
    """

    provider: str
    takes_strength: bool = False
    frame_style: str = ""
    network_px: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The network's name."""

    @property
    def title(self) -> str:
        """Painting and painter, for people."""

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles of a many-style network; empty for others."""

    def prepare(self, frame: Image) -> Any:
        """First step, for the frame: resizing, conversion."""

    def infer(self, prepared: Any, style: Sequence[float] | None = None) -> Any:
        """Second step: the network, with weights over the styles of a many-style one."""

    def finish(self, inferred: Any, frame: Image) -> Image:
        """Last step: back to a picture."""

    def adopt(self, picture: Image) -> None:  # noqa: ARG002 - one that can has use for it
        """Let the frame's style be that of `picture`; asked where `frame_style` names one."""
        raise TypeError(f"none of the styles of '{self.name}' is a frame's")


class PlainStylizer(StagedStylizer):
    """Makes a stylizer with stages of any function from a picture to a picture."""

    def __init__(self, function: Callable[[Image], Image], name: str = "") -> None:
        self._function = function
        self._name = name
        self.provider = ""

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    @property
    def title(self) -> str:
        """The name."""
        return self._name

    @property
    def styles(self) -> tuple[str, ...]:
        """None."""
        return ()

    def prepare(self, frame: Image) -> Image:
        """Nothing to do."""
        return frame

    def infer(
        self,
        prepared: Image,
        style: Sequence[float] | None = None,  # noqa: ARG002 - as the protocol says
    ) -> Image:
        """All of it."""
        return self._function(prepared)

    def finish(self, inferred: Image, frame: Image) -> Image:  # noqa: ARG002 - as the protocol says
        """Nothing to do."""
        return inferred


def list_styles(stylizers: Sequence[StagedStylizer]) -> tuple[Style, ...]:
    """All styles of all networks, as a user chooses from them."""
    listed: list[Style] = []
    for network, stylizer in enumerate(stylizers):
        names = stylizer.styles
        if len(names) < 2 and not stylizer.frame_style:
            listed.append(Style(stylizer.name, stylizer.title, network))
            continue
        listed += [
            Style(name, name, network, index, len(names), adopts=name == stylizer.frame_style)
            for index, name in enumerate(names)
        ]
    return tuple(listed)


def moved(weights: Sequence[float], before: Sequence[float]) -> float:
    """How far weights over styles are from what they were, in sum; 2 from one style to another."""
    return sum(abs(a - b) for a, b in zip(weights, before, strict=True))
