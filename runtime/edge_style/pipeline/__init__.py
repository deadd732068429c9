"""Frames from a source through a network to sinks, with capture, inference and output overlapped.

    capture thread --slot--> inference thread --slot--> caller's thread: sinks and their commands

Each slot holds one frame, so no queue grows. The first slot of a live show is overwritten by newer
frames, and those that were lost are counted; in a conversion the reader waits instead, and nothing
is dropped. The sinks run in the caller's thread, because windows belong to the main one.

Whatever ends a run - the source's end, a limit, a command, Ctrl-C, an error in any thread - closes
both slots, which ends both threads. `run_pipeline` raises the first error.
"""

from edge_style.pipeline.run import PipelineOptions, Result, run_pipeline
from edge_style.pipeline.stages import PlainStylizer, StagedStylizer

__all__ = ["PipelineOptions", "PlainStylizer", "Result", "StagedStylizer", "run_pipeline"]
