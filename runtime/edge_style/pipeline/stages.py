"""What a pipeline asks of a stylizer."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]


class StagedStylizer(Protocol):
    """What `Stylizer` offers a pipeline that times its stages: `finish(infer(prepare(x)), x)`."""

    @property
    def name(self) -> str:
        """The style's name."""

    provider: str

    def prepare(self, frame: Image) -> Any:
        """First step, for the frame: resizing, conversion."""

    def infer(self, prepared: Any) -> Any:
        """Second step: the network."""

    def finish(self, inferred: Any, frame: Image) -> Image:
        """Last step: back to a picture."""


class PlainStylizer:
    """Makes a stylizer with stages of any function from a picture to a picture."""

    def __init__(self, function: Callable[[Image], Image], name: str = "") -> None:
        self._function = function
        self.name = name
        self.provider = ""

    def prepare(self, frame: Image) -> Image:
        """Nothing to do."""
        return frame

    def infer(self, prepared: Image) -> Image:
        """All of it."""
        return self._function(prepared)

    def finish(self, inferred: Image, frame: Image) -> Image:  # noqa: ARG002 - as the protocol says
        """Nothing to do."""
        return inferred
