"""What a frame costs beside the network: `cam --source test --no-pace --output null`, taken apart.

    python tools/bench_overhead.py MODEL [--size 640x480] [--frames 300] [--profile]

Prints the median of each stage, and of what is left between two networks' runs in the thread that
runs them: the hand-over from thread to thread. With --profile also where Python's time goes.
"""

import argparse
import cProfile
import itertools
import json
import pstats
import statistics
import threading
import time
from typing import Any, cast

import cv2

from edge_style.images import parse_size
from edge_style.pipeline import PipelineOptions, run_pipeline
from edge_style.sinks import open_sink
from edge_style.sources import open_source
from edge_style.stylizer import Stylizer
from edge_style_tools.script import at_least, run_script


class Watched:
    """A stylizer that notes when its network runs; in all else it is the one inside."""

    def __init__(self, stylizer: Stylizer) -> None:
        self._stylizer = stylizer
        self.runs_s: list[tuple[float, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stylizer, name)

    def infer(self, *arguments: Any) -> Any:
        """Run the network."""
        start_s = time.perf_counter()
        result = self._stylizer.infer(*arguments)
        self.runs_s.append((start_s, time.perf_counter()))
        return result


def measure(model: str, size_px: tuple[int, int], frames: int) -> dict[str, float]:
    """Medians per frame in ms."""
    cv2.setNumThreads(1)  # as `cam` does
    stylizer = Stylizer.load(model, provider="cpu", size=size_px)
    stylizer.warm_up(size_px[1], size_px[0])
    watched = Watched(stylizer)
    options = PipelineOptions(pace=False, max_frames=frames)
    with open_source("test", size_px=size_px) as source, open_sink("null") as sink:
        result = run_pipeline(source, cast(Any, [watched]), [sink], options)
    stages = {name: value or 0.0 for name, value in result.meter.summary().stage_ms.items()}
    runs = watched.runs_s[5:]
    gaps_ms = [(start_s - end_s) * 1000 for (_, end_s), (start_s, _) in itertools.pairwise(runs)]
    # In the thread of the network lie `post` of one frame and the hand-over; `capture` and `pre`
    # are done meanwhile in the thread of the camera, `output` in the caller's.
    handover_ms = max(0.0, statistics.median(gaps_ms) - stages["post"])
    return stages | {"handover": handover_ms}


def main() -> None:
    """Print the figures as a table and as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--frames", type=at_least(1), default=300)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    profiles: list[cProfile.Profile] = []
    if options.profile:
        _profile_threads(profiles)
    figures = measure(options.model, parse_size(options.size), options.frames)
    overhead_ms = sum(value for name, value in figures.items() if name != "infer")
    for name, value in figures.items():
        print(f"{name:10}{value:8.3f} ms")
    print(f"{'overhead':10}{overhead_ms:8.3f} ms: all but infer")
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}
                     | {"overhead": round(overhead_ms, 4)}))  # fmt: skip
    for profile in profiles:
        pstats.Stats(profile).sort_stats("tottime").print_stats(12)


def _profile_threads(profiles: list[cProfile.Profile]) -> None:
    """Profile every thread that is started from now on."""
    run = threading.Thread.run

    def profiled(self: threading.Thread) -> None:
        profile = cProfile.Profile()
        profiles.append(profile)
        profile.runcall(run, self)

    threading.Thread.run = profiled  # type: ignore[method-assign]


if __name__ == "__main__":
    run_script(main)
