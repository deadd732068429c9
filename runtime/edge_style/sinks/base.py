"""What every sink is and takes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.controls import Command, Notice, ShowState
from edge_style.errors import SinkError

Image: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class StyledFrame:
    """A finished picture and what there is to say about it.

    Attributes:
        image: uint8 [H, W, 3], RGB, 0..255. Sinks share it and must not write to it.
        time_s: its place in the stream.
        latency_ms: from capture to the screen, as the frame before this one had it.
        fps: frames per second lately, None before there is a rate.
        style: name of the style, as in file names.
        provider: where the network ran.
        title: style and painter, for people.
        network_px: (width, height) at which the network ran, None where that is not known.
        arrived_fps: frames per second that the source gave lately, dropped ones too.
        is_repeat: the same moment as before, drawn anew in a pause because the controls changed.
    """

    image: Image
    time_s: float
    latency_ms: float = 0.0
    fps: float | None = None
    style: str = ""
    provider: str = ""
    title: str = ""
    network_px: tuple[int, int] | None = None
    arrived_fps: float | None = None
    is_repeat: bool = False


@dataclass(frozen=True)
class StreamInfo:
    """What a sink may want to know before the first frame.

    Attributes:
        fps: nominal frame rate.
        recording: frames come from something that happens now. They keep the moments they came
            at, and what was recorded is kept whatever ends it. Otherwise an output is a
            conversion: every frame once, and no file unless it is complete.
        clip: file that the frames come from. It is not overwritten, and its sound is kept.
        pictures: files that the frames come from. They are not overwritten either.
        job: what a conversion is, all that its frames depend on; a broken one goes on only with
            parts of the same job.
    """

    fps: float = 30.0
    recording: bool = True
    clip: Path | None = None
    pictures: tuple[Path, ...] = ()
    job: str = ""


class Sink(ABC):
    """Takes frames inside a `with` block; what can be checked before is checked on construction.

    Attributes:
        greeting: what the user should hear of when it is open, a line.
        notes: what the user should hear of when all is done, one line each.
    """

    greeting: str = ""
    notes: tuple[str, ...] = ()

    def open(self) -> None:  # noqa: B027 - most sinks have nothing to get ready
        """Get ready for frames.

        Raises:
            SinkError: frames cannot be delivered.
        """

    @abstractmethod
    def write(self, frame: StyledFrame) -> None:
        """Deliver one frame.

        Raises:
            SinkError: it cannot be delivered, for example because the disk is full.
        """

    def meet(self, greetings: Sequence[str]) -> None:  # noqa: B027 - most sinks show no words
        """All outputs are open: what they greet the user with, for sinks that cover a terminal."""

    def apply(self, state: ShowState) -> None:  # noqa: B027 - most sinks look the same whatever is wanted
        """Something changed. Called before the first frame, and then between frames."""

    def poll(self) -> list[Command | Notice]:
        """What the user wants since the last call. Called often, also while no frames come."""
        return []

    def close(self, *, failed: bool) -> None:  # noqa: B027 - most sinks have nothing to finish
        """Finish the output, or tidy it away after a failure.

        Raises:
            SinkError: the output cannot be finished.
        """

    def __enter__(self) -> "Sink":
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close(failed=error is not None)
        except SinkError:
            # What went wrong first is what the user has to hear.
            if error is None:
                raise


class NullSink(Sink):
    """Takes frames and forgets them: for measuring."""

    def write(self, frame: StyledFrame) -> None:
        """Do nothing."""
