"""Does `--provider auto` take the quickest one? What it chose, beside what `bench` says.

    python tools/bench_auto.py exported/*.onnx [--size 640x480] [--rounds 3]

`auto` chooses in this process, with nothing remembered; then every provider that is here is
measured as `edge-style bench` does it, each in processes of its own. The last line is JSON.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# An environment with another onnxruntime has no edge-style.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime"))

from edge_style.bench.plan import Request, plan
from edge_style.bench.rounds import Effort, run_rounds
from edge_style.catalog import is_encoder
from edge_style.images import parse_size
from edge_style.providers import package_versions
from edge_style.stylizer import Stylizer
from edge_style_tools.script import at_least, run_script

# Two that are so near are equally good, as far as a measurement can tell.
_NOISE_SHARE = 0.05


def choose(model: str, size_px: tuple[int, int]) -> str:
    """The provider that `auto` takes, and prints why."""
    stylizer = Stylizer.load(model, size=size_px)
    for line in stylizer.notes:
        print(f"{Path(model).name}: {line}", flush=True)
    return stylizer.provider


def measure(models: Sequence[str], size: str, rounds: int) -> dict[str, dict[str, float]]:
    """Model -> provider -> median time of the network in ms; of those that ran."""
    effort = Effort(rounds=rounds, min_rounds=rounds, warmup=3, runs=10 * rounds, seconds=4)
    found: dict[str, dict[str, float]] = {}
    for track in run_rounds(plan(Request(models, sizes=[size])), effort):
        if track.error:
            print(f"{track.candidate.label} on {track.candidate.provider}: {track.error}")
            continue
        times_ms = [time_ms for answer in track.answers for time_ms in answer.infer_ms]
        found.setdefault(track.candidate.model, {})[track.candidate.provider] = round(
            statistics.median(times_ms), 2
        )
    return found


def is_right(chosen: str, infer_ms: Mapping[str, float]) -> bool:
    """Whether no other provider is quicker by more than noise."""
    return infer_ms[chosen] <= min(infer_ms.values()) * (1 + _NOISE_SHARE)


def main() -> None:
    """Choose, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rounds", type=at_least(1), default=3)
    options = parser.parse_args()
    options.models = [model for model in options.models if not is_encoder(Path(model))]
    places = filter(None, (sys.path[0], os.environ.get("PYTHONPATH")))
    os.environ["PYTHONPATH"] = os.pathsep.join(places)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGE_STYLE_CACHE"] = folder
        size_px = parse_size(options.size)
        chosen = {model: choose(model, size_px) for model in options.models}
    measured = measure(options.models, options.size, options.rounds)
    rows: list[dict[str, Any]] = [
        {
            "model": Path(model).name,
            "chosen": chosen[model],
            "infer_ms": measured[model],
            "is_right": is_right(chosen[model], measured[model]),
        }
        for model in options.models
    ]
    print(json.dumps({"size": options.size, "versions": package_versions(), "rows": rows}))


if __name__ == "__main__":
    run_script(main)
