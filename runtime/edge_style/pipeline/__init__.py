"""Frames from a source through a network to sinks, with capture, inference and output overlapped.

    capture thread --slot--> inference thread --slot--> caller's thread: sinks and their commands

Each slot holds one frame, so no queue grows. In a live show newer frames overtake older ones in
both, and those that were lost are counted; in a conversion everyone waits instead, and nothing is
dropped. The sinks run in the caller's thread, because windows belong to the main one.

What is wanted - style, strength, split view - is one frozen `Controls`. Sinks ask for changes; the
caller's thread obeys, replaces it as a whole and tells all sinks; the other threads read it once
per frame.

Whatever ends a run - the source's end, a limit, a command, Ctrl-C, an error in any thread - closes
both slots, which ends both threads. `run_pipeline` raises the first error.
"""

from edge_style.pipeline.options import PipelineOptions, Result
from edge_style.pipeline.rate import RateController, ScaledStylizer, size_steps
from edge_style.pipeline.run import run_pipeline
from edge_style.pipeline.steady import Steadier
from edge_style.stages import PlainStylizer, StagedStylizer, list_styles

__all__ = [
    "PipelineOptions",
    "PlainStylizer",
    "RateController",
    "Result",
    "ScaledStylizer",
    "StagedStylizer",
    "Steadier",
    "list_styles",
    "run_pipeline",
    "size_steps",
]
