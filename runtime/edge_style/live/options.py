"""What `cam` and `video` were asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_style.pipeline import PipelineOptions


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
        every_s: go to the next style every so many seconds, None for never.
        look: a reference whose light all pictures get, or a .cube table; None for none.
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
    every_s: float | None = None
    target_fps: float | None = None
    look: Path | None = None
    reconnect: bool = True
    token: str | None = None
    pipeline: PipelineOptions = field(default_factory=PipelineOptions)
