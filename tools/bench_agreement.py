"""Do the figures of `edge-style bench` agree with a plain loop around onnxruntime?

    python tools/bench_agreement.py MODEL [--size 640x480] [--rounds 5]

`plain_loop.py` and a process of `bench` take turns, so that drift of the machine hits both alike.
The last line is JSON: the median in ms of every turn.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from edge_style.bench.job import Job
from edge_style.bench.rounds import run_own_job
from edge_style.catalog import resolve
from edge_style.errors import EdgeStyleError
from edge_style.images import parse_size
from edge_style_tools.script import at_least, run_script

PLAIN_LOOP = Path(__file__).with_name("plain_loop.py")
_RUNS = 40
_TIMEOUT_S = 600.0


def main() -> None:
    """Take turns, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rounds", type=at_least(1), default=5)
    options = parser.parse_args()
    width_px, height_px = parse_size(options.size)
    model = str(resolve(options.model, "cpu"))  # both are to run the same file
    loop = [sys.executable, str(PLAIN_LOOP), model, str(width_px), str(height_px)]
    job = Job(model, "cpu", width_px, height_px, warmup=10, runs=_RUNS, seconds=60)
    plain_ms, bench_ms = [], []
    for _ in range(options.rounds):
        answer = run_own_job(job, _TIMEOUT_S)
        if answer.error:
            raise EdgeStyleError(answer.error)
        done = subprocess.run(loop, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EdgeStyleError(f"the plain loop cannot run '{model}': {reason}")
        plain_ms.append(float(done.stdout))
        bench_ms.append(round(statistics.median(answer.infer_ms), 2))
        print(f"plain loop {plain_ms[-1]:.2f} ms, bench {bench_ms[-1]:.2f} ms", flush=True)
    print(json.dumps({"plain_ms": plain_ms, "bench_ms": bench_ms}))


if __name__ == "__main__":
    run_script(main)
