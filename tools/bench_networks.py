"""What a network costs and what it is worth: candidates, trained alike, timed in one run.

    python tools/bench_networks.py PAINTING --content DIR --vgg vgg16.safetensors --output FOLDER

Every candidate is trained from nothing with the same recipe, photos and seeds by `edge-style
train`, exported by `edge-style export` and timed by `edge-style bench`: int8 and fp32, in turn.
FOLDER keeps checkpoints and files, and what is there already is not made again; so trainings can be
done one by one (`--only NAME`, `--no-timing`), and the timing later, when nothing else runs.
The table goes to the standard output, in Markdown.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_style.contract import ModelSpec
from edge_style.errors import EdgeStyleError, UsageError
from edge_style.images import read_image
from edge_style.onnx_file import summarize
from edge_style_tools.script import at_least, run_script
from edge_style_training.checkpoint import load_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import find_photos
from edge_style_training.vgg import load_loss_network

SIZE = "640x480"
PRECISIONS = ("int8", "fp32")
YARDSTICK = "full-size"

RECIPE = """\
architecture = "{architecture}"
steps = {steps}
batch_size = 1
crop_px = 320
style_px = 384
style_layers = ["relu1_2", "relu2_2", "relu3_3"]
style_weight = 12.0
learning_rate = 1e-3
warmup_steps = 20
validate_every = {steps}
checkpoint_every = 100
validation_photos = 8

[network]
{network}
"""


@dataclass(frozen=True)
class Candidate:
    """A network and what is tried with it."""

    what: str
    network: Mapping[str, Any] = field(default_factory=dict)
    architecture: str = "lean"


# Each is the default in one thing otherwise.
CANDIDATES: Mapping[str, Candidate] = {
    "lean": Candidate("the default: 2 blocks of 32 channels, 3 of 48 at an eighth"),
    "narrow": Candidate("width: 24 channels, 32 at an eighth", {"width": 24, "coarse_width": 32}),
    "medium": Candidate("width: 48 channels, 64 at an eighth", {"width": 48, "coarse_width": 64}),
    "wide": Candidate("width: 64 channels, 96 at an eighth", {"width": 64, "coarse_width": 96}),
    "one-stage": Candidate(
        "depth: 5 blocks, nothing at an eighth",
        {"blocks": 5, "coarse_blocks": 0, "instance_at": (0, 1, 3, 5, 7)},
    ),
    "one-block": Candidate(
        "depth: 1 block, 3 at an eighth", {"blocks": 1, "instance_at": (0, 1, 2, 4, 6)}
    ),
    "coarse-only": Candidate(
        "depth: no block, 3 at an eighth", {"blocks": 0, "instance_at": (0, 1, 2, 4, 6)}
    ),
    "deep": Candidate(
        "depth: 2 blocks, 5 at an eighth",
        {"coarse_blocks": 5, "instance_at": (0, 3, 4, 6, 8, 10, 12)},
    ),
    "all-instance": Candidate("normalization: instance everywhere", {"norm": "instance"}),
    "no-head-norm": Candidate("normalization: none in front of the head", {"head_norm": False}),
    "plain-stem": Candidate(
        "normalization: the stem's a scale and shift", {"instance_at": (3, 4, 6, 8)}
    ),
    "no-instance": Candidate(
        "normalization: scales and shifts only", {"instance_at": (), "head_norm": False}
    ),
    "contrast": Candidate(
        "normalization: the frame's contrast, else scales and shifts",
        {"instance_at": (), "head_norm": False, "contrast_norm": True},
    ),
    "double-stem": Candidate(
        "stem: two 3x3 convolutions of stride 2",
        {"stem": "double", "instance_at": (1, 4, 5, 7, 9)},
    ),
    "detail": Candidate("head: 32 channels of detail beside the 32 features", {"detail": 32}),
    "shuffle": Candidate("head: a plain convolution and pixel shuffle", {"head": "shuffle"}),
    YARDSTICK: Candidate("the full-size network of Johnson et al.", architecture="johnson"),
}


def main() -> None:
    """Train what is missing, then time, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("painting", type=Path)
    parser.add_argument("--content", type=Path, required=True, help="folder of photos")
    parser.add_argument("--vgg", type=Path, required=True, help="weights of VGG16")
    parser.add_argument("--output", type=Path, required=True, help="folder of checkpoints, files")
    parser.add_argument("--steps", type=at_least(1), default=300)
    parser.add_argument("--only", action="append", choices=list(CANDIDATES), help="repeatable")
    parser.add_argument("--no-timing", action="store_true", help="losses only")
    options = parser.parse_args()
    _check(options)
    names = options.only or list(CANDIDATES)
    for name in names:
        train(name, options)
    trained = [name for name in names if (options.output / f"{name}.pth").is_file()]
    if not trained:
        raise EdgeStyleError("no candidate came to an end, see above")
    for name in trained:
        for precision in PRECISIONS:
            export(options.output / f"{name}.pth", precision, options.content)
    times_ms = {} if options.no_timing else time(trained, options.output)
    print(table(trained, options.output, times_ms))
    for name in sorted(set(names) - set(trained)):
        print(f"\n`{name}` ({CANDIDATES[name].what}) did not come to an end, see above.")


def _check(options: argparse.Namespace) -> None:
    """Find mistakes once, before each candidate stumbles over them."""
    read_image(options.painting)
    find_photos(options.content)
    load_loss_network(options.vgg, TrainingConfig().objective.layers)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder '{options.output}': {error.strerror}") from error


def train(name: str, options: argparse.Namespace) -> None:
    """Train one candidate, unless FOLDER has it; a training that diverges leaves nothing."""
    target = options.output / f"{name}.pth"
    if target.is_file():
        return
    candidate = CANDIDATES[name]
    recipe = options.output / f"{name}.toml"
    network = "\n".join(f"{key} = {_toml(value)}" for key, value in candidate.network.items())
    recipe.write_text(
        RECIPE.format(
            architecture=candidate.architecture,
            steps=options.steps,
            network=network,
        ),
        "utf-8",
    )
    run("train", str(options.painting), "--config", str(recipe), "--content", str(options.content),
        "--vgg", str(options.vgg), "--output", str(target), "--force", check=False)  # fmt: skip


def _toml(value: object) -> str:
    # Of numbers, strings, truth values and lists, JSON is TOML.
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def model_file(checkpoint: Path, precision: str) -> Path:
    """Where `export` puts a file."""
    return checkpoint.with_suffix(f".{precision}.onnx")


def export(checkpoint: Path, precision: str, content: Path) -> None:
    """A model file of a checkpoint, unless there is one."""
    target = model_file(checkpoint, precision)
    if not target.is_file():
        calibration = ["--calibration", str(content)] if precision == "int8" else []
        run("export", str(checkpoint), "--precision", precision, "--output", str(target),
            *calibration)  # fmt: skip


def time(names: Sequence[str], folder: Path) -> dict[str, float]:
    """Milliseconds a frame, median, by the stem of the file."""
    target = folder / "report.json"
    target.unlink(missing_ok=True)
    files = [model_file(folder / f"{name}.pth", each) for name in names for each in PRECISIONS]
    effort = ["--rounds=3", "--runs=45", "--seconds=3", "--warmup=3"]
    models = [f"--model={file}" for file in files]
    run("bench", *models, f"--size={SIZE}", "--provider=cpu", *effort, "--output", str(target))
    results = json.loads(target.read_text("utf-8"))["results"]
    return {each["model"]: each["infer_ms"]["p50"] for each in results if not each["error"]}


def run(*arguments: str, check: bool = True) -> None:
    """One command of edge-style."""
    done = subprocess.run([sys.executable, "-m", "edge_style", *arguments], check=False)
    if check and done.returncode != 0:
        raise EdgeStyleError(f"'edge-style {arguments[0]}' failed, see above")


def table(names: Sequence[str], folder: Path, times_ms: Mapping[str, float]) -> str:
    """Markdown: cost and loss of each, and both beside the full-size network's if it is there."""
    lines = [
        "| candidate | int8 ms | fp32 ms | MAC/pixel | weights | content | style | total | beside "
        "the default |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    scores = {name: load_checkpoint(folder / f"{name}.pth").scores for name in names}
    first = scores[names[0]]["total"]
    for name in names:
        spec = ModelSpec.from_metadata(
            summarize(model_file(folder / f"{name}.pth", "fp32")).metadata
        )
        assert spec is not None  # `export` wrote it
        content, style, total = (scores[name][key] for key in ("content", "style", "total"))
        int8_ms, fp32_ms = (_time(times_ms, f"{name}.{each}") for each in PRECISIONS)
        lines.append(
            f"| `{name}`: {CANDIDATES[name].what} | {int8_ms} | {fp32_ms} | "
            f"{spec.macs_per_pixel:,.0f} | {spec.parameters:,} | {content / 1000:,.0f}k | "
            f"{style / 1000:,.1f}k | {total / 1000:,.0f}k | {total / first:.2f} |"
        )
    return "\n".join(lines)


def _time(times_ms: Mapping[str, float], stem: str) -> str:
    return f"{times_ms[stem]:.1f}" if stem in times_ms else ""


if __name__ == "__main__":
    run_script(main)
