"""What threads that spin while they wait gain and cost: `cam` with the three ways to wait.

    python tools/bench_threads.py MODEL [--rounds 8]

Each way runs flat out at 640x480 and paced at 320x240, in processes of its own, in turn. Prints
medians: the network's time and the processor time of the whole program, per frame.
"""

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import time
from dataclasses import replace

from edge_style.cli import main as edge_style
from edge_style.errors import UsageError
from edge_style.providers import table
from edge_style_tools.script import at_least, run_script

WAYS = {
    "spin": {"session.intra_op.allow_spinning": "1"},
    "do not": {"session.intra_op.allow_spinning": "0"},
    "spin, stops": {"session.force_spinning_stop": "1"},
}
RUNS = {
    "640x480 flat out": ["--no-pace", "--max-frames", "100"],
    "320x240 at 30 frames/s": ["--size", "320x240", "--duration", "4"],
}


def once(model: str, way: str, run: str) -> tuple[float, float]:
    """In this process: the network's median time, and processor time per frame, in ms."""
    table.PROVIDERS = tuple(
        replace(each, session_entries=WAYS[way]) if each.name == "cpu" else each
        for each in table.PROVIDERS
    )
    printed = io.StringIO()
    start_s = time.process_time()
    arguments = ["cam", "--model", model, "--provider", "cpu", "--source", "test"]
    try:
        with contextlib.redirect_stdout(printed):
            edge_style([*arguments, "--output", "null", "--json", *RUNS[run]])
    except SystemExit as end:
        if end.code:
            raise
    report = json.loads(printed.getvalue())
    cpu_ms = (time.process_time() - start_s) * 1000 / report["frames"]
    return report["stage_ms"]["infer"], cpu_ms


def main() -> None:
    """All rounds, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=at_least(1), default=8)
    parser.add_argument("--once", nargs=2, metavar=("WAY", "RUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        print(json.dumps(once(options.model, *options.once)))
        return
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for run in RUNS:
            for way in WAYS:
                command = [sys.executable, __file__, options.model, "--once", way, run]
                done = subprocess.run(command, check=False, capture_output=True, text=True)
                if done.returncode:
                    raise UsageError(done.stderr.strip().splitlines()[-1].removeprefix("error: "))
                times.setdefault((run, way), []).append(json.loads(done.stdout))
    for (run, way), each in times.items():
        infer_ms, cpu_ms = (statistics.median(values) for values in zip(*each, strict=True))
        print(f"{run:24}{way:14}network {infer_ms:6.1f} ms, processors {cpu_ms:6.1f} ms a frame")


if __name__ == "__main__":
    run_script(main)
