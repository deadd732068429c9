"""What a pipeline asks of a stylizer."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.controls import Style

Image: TypeAlias = npt.NDArray[np.uint8]


class StagedStylizer(Protocol):
    """What `Stylizer` offers a pipeline that times its stages: `finish(infer(prepare(x)), x)`."""

    @property
    def name(self) -> str:
        """The network's name."""

    @property
    def title(self) -> str:
        """Painting and painter, for people."""

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles of a many-style network; empty for others."""

    provider: str

    def prepare(self, frame: Image) -> Any:
        """First step, for the frame: resizing, conversion."""

    def infer(self, prepared: Any, style: Sequence[float] | None = None) -> Any:
        """Second step: the network, with weights over the styles of a many-style one."""

    def finish(self, inferred: Any, frame: Image) -> Image:
        """Last step: back to a picture."""


class AdoptingStylizer(StagedStylizer, Protocol):
    """One whose style may be a frame's; its `frame_style` then names that style."""

    def adopt(self, picture: Image) -> None:
        """Let the style be that of `picture` from now on."""


class PlainStylizer:
    """Makes a stylizer with stages of any function from a picture to a picture."""

    def __init__(self, function: Callable[[Image], Image], name: str = "") -> None:
        self._function = function
        self.name = self.title = name
        self.styles: tuple[str, ...] = ()
        self.provider = ""

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
        frame_style = getattr(stylizer, "frame_style", "")
        if len(names) < 2 and not frame_style:
            listed.append(Style(stylizer.name, stylizer.title, network))
            continue
        listed += [
            Style(name, name, network, index, len(names), adopts=name == frame_style)
            for index, name in enumerate(names)
        ]
    return tuple(listed)
