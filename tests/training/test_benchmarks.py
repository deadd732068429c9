"""The benchmark scripts run to their end and report what they should, whatever the figures."""

import json
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from edge_style.images import read_image
from edge_style_training.checkpoint import Checkpoint, save_checkpoint
from edge_style_training.networks import build_network
from edge_style_training.paint import gatys_objective
from edge_style_training.vgg import LossNetwork

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def run(script: str, *arguments: object) -> dict[str, object]:
    command = [sys.executable, str(TOOLS / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report: dict[str, object] = json.loads(done.stdout)
    return report


def test_training_speed(painting_file: Path, photo_folder: Path, vgg_file: Path) -> None:
    report = run(
        "bench_training.py",
        *(painting_file, "--content", photo_folder, "--vgg", vgg_file, "--architecture", "lean"),
        *("--turns", 2, "--crop", 32, "--batch-size", 1, "--workers", 0),
    )
    assert report["steps"] == 20
    ours, plain = report["photos_per_second"], report["plain_photos_per_second"]
    assert report["ratio"] == round(ours / plain, 3) or abs(report["ratio"] - ours / plain) < 0.01
    # Same weights, crops and rates: both loops train the same network.
    assert abs(report["validation_total"] / report["plain_validation_total"] - 1) < 0.05


def test_both_methods(tmp_path: Path, painting_file: Path) -> None:
    torch.manual_seed(7)
    vgg_file = tmp_path / "vgg16.safetensors"
    deepest = gatys_objective().layers[-1]
    save_file({k: v.half() for k, v in LossNetwork([deepest]).state_dict().items()}, vgg_file)
    network = build_network("lean", {"width": 8, "blocks": 1})
    checkpoint = Checkpoint("lean", network.state_dict(), {"width": 8, "blocks": 1}, name="tiny")
    save_checkpoint(checkpoint, tmp_path / "tiny.pth")
    report = run(
        "bench_methods.py",
        *(painting_file, painting_file, "--vgg", vgg_file, "--checkpoint", tmp_path / "tiny.pth"),
        *("--iterations", 2, "--size", 80, "--output", tmp_path / "sheet.png"),
    )
    assert report["size"] == "80x60"
    assert report["optimization"]["iterations"] == 2
    assert set(report["networks"]) == {"tiny"}
    assert read_image(tmp_path / "sheet.png").shape[1] > 1200


def test_flicker(photo_folder: Path, tmp_path: Path) -> None:
    negative = TOOLS.parent / "tests" / "data" / "models" / "negative.onnx"
    photo = photo_folder / "a.jpg"
    report = run("bench_flicker.py", negative, "--photos", photo)
    (rows,) = report.values()
    assert list(rows) == ["still", "pan", "zoom"]
    # A negative changes as much as the picture itself.
    assert all(abs(row["ratio"] - 1) < 0.05 for row in rows.values())
