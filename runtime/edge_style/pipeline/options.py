"""What a run is told beforehand, and what it tells in the end."""

from dataclasses import dataclass, field

from edge_style.controls import Controls, Style
from edge_style.meter import Meter


@dataclass(frozen=True)
class PipelineOptions:
    """How a run goes.

    Attributes:
        pace: play sources that are not live at their own speed.
        drop: take the newest frame and drop those that came in between; else take every one.
        max_frames: end after so many delivered frames.
        duration_s: end so long after the first delivered frame, pauses not counted.
        stall_s: a live source that gives nothing for so long has failed.
        controls: what is wanted at the start.
    """

    pace: bool = True
    drop: bool = True
    max_frames: int | None = None
    duration_s: float | None = None
    stall_s: float = 15.0
    controls: Controls = field(default_factory=Controls)


@dataclass
class Result:
    """What a run was like, also one that an error or Ctrl-C ended.

    Attributes:
        meter: its figures.
        dropped: frames that were captured and overtaken by newer ones.
        controls: what was wanted in the end.
        style: what was painted in the end, None before the run.
        size_px: (width, height) of the last delivered frame.
    """

    meter: Meter = field(default_factory=Meter)
    dropped: int = 0
    controls: Controls = field(default_factory=Controls)
    style: Style | None = None
    size_px: tuple[int, int] | None = None
