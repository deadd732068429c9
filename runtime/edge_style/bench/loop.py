"""How runs are timed: a plain loop. Standard library only, for use in any environment.

A process prints two lines of JSON: `{"first_frame": true}` as soon as its first frame is done, by
which the cold start is measured from outside, and its answer.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from edge_style.bench.energy import EnergyMeter
from edge_style.bench.job import Answer, Job

# One frame: gives the time of the network alone and of the whole, in seconds.
Step: TypeAlias = Callable[[Any], tuple[float, float]]

_SLOW_S = 1.0  # of frames that take longer, the first one was warm-up enough
_REFERENCE_STEPS = 200_000


def measure(
    step: Step, first: Any, make_frames: Callable[[], Sequence[Any]], job: Job, about: Answer
) -> Answer:
    """Do one round: the first frame, the warm-up, the timed runs.

    Args:
        step: does one frame and times it.
        first: the first frame, cheaply made since that counts as start-up.
        make_frames: makes different frames, which are taken in turn.
        job: how many runs.
        about: what is known beforehand: names and notes.

    Returns:
        `about` with the figures.
    """
    _, first_s = step(first)
    print(json.dumps({"first_frame": True}), flush=True)
    stream = itertools.cycle(make_frames())
    for _ in range(job.warmup):
        if first_s > _SLOW_S:
            break
        step(next(stream))
    infer_s: list[float] = []
    whole_s: list[float] = []
    with EnergyMeter() as energy:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        while len(whole_s) < job.runs:
            infer, whole = step(next(stream))
            infer_s.append(infer)
            whole_s.append(whole)
            energy.tick()
            if time.perf_counter() - start_s >= job.seconds:
                break
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    figures: dict[str, Any] = {
        "infer_ms": tuple(round(duration_s * 1000, 4) for duration_s in infer_s),
        "end_to_end_ms": tuple(round(duration_s * 1000, 4) for duration_s in whole_s),
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_rss_mb": peak_rss_mb(),
        "energy_j": energy.joules,
        "energy_source": energy.source,
        "reference_ms": reference_ms(),
    }
    return Answer(**(asdict(about) | figures))


def answer(result: Answer) -> None:
    """Print the answer, the last line of the process."""
    print(json.dumps(asdict(result)), flush=True)


def peak_rss_mb(status: Path = Path("/proc/self/status")) -> float | None:
    """Most memory that this process ever held, in 10^6 bytes; None where the system does not say.

    On Linux `getrusage` would count what the parent held when it started this process.
    """
    with suppress(OSError, ValueError, IndexError):
        for line in status.read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "darwin":
        import resource  # noqa: PLC0415 - not on Windows

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return None


def reference_ms() -> float:
    """Quickest of some runs of a fixed piece of work in the interpreter."""
    best_s = float("inf")
    for _ in range(5):
        start_s = time.perf_counter()
        sum(range(_REFERENCE_STEPS))
        best_s = min(best_s, time.perf_counter() - start_s)
    return best_s * 1000
