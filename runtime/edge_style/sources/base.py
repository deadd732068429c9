"""What every source is and gives."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.errors import SourceError

Image: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a stream.

    Attributes:
        image: uint8 [H, W, 3], RGB, 0..255; the receiver's own, nobody writes to it any more.
        time_s: its place in the stream: in a clip the time at which it is to be shown, from a
            camera the time since the first frame.
        captured_s: `time.perf_counter()` when it was captured, before it was decoded.
        capture_ms: what decoding and converting it took, without the wait for the camera.
    """

    image: Image
    time_s: float
    captured_s: float
    capture_ms: float = 0.0


class Source(ABC):
    """An iterable of frames, and a context manager that lets go of what it holds.

    Attributes:
        description: what was opened, for people: "camera 0, 640x480 MJPG".
        live: frames come in their own time and are lost if nobody takes them (a camera). Others
            wait to be read, and say in `time_s` when they are to be shown.
        fps: frames per second as the source states it, None if it does not.
        size_px: (width, height) of the frames, None where they differ or it is not known yet.
        frame_count: number of frames as far as it is known beforehand, None if it is not.
        states_count: the file itself says so; else it follows from duration and frame rate, and
            may be wrong.
        clip: the file that the frames come from, whose sound goes with them.
        pictures: the files that the frames come from, where they are many.
        trouble: why no frames come for now, for people; empty while they do.
    """

    description: str
    live: bool = False
    fps: float | None = None
    size_px: tuple[int, int] | None = None
    frame_count: int | None = None
    states_count: bool = False
    clip: Path | None = None
    pictures: tuple[Path, ...] = ()
    trouble: str = ""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Give the frames in turn.

        Raises:
            SourceError: the source broke down half-way, for example was unplugged.
        """

    def skip(self, frames: int) -> None:
        """Leave out so many frames at the start; the others keep their times. Before reading.

        Raises:
            SourceError: this source cannot.
        """
        if frames:
            raise SourceError(f"{self.description} can only be read from its start")

    def interrupt(self) -> None:  # noqa: B027 - most sources never wait by themselves
        """Give up waiting, for the run is over. Called from another thread than reads."""

    def close(self) -> None:  # noqa: B027 - most sources have nothing to let go of
        """Let go of the device or file. Harmless when repeated; not while another thread reads."""

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
