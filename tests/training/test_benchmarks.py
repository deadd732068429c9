"""The benchmark scripts run to their end and report what they should, whatever the figures."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from edge_style.images import read_image
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
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
    report = run("bench_flicker.py", negative, "--photos", photo, "--stabilize")
    rows, steadied = report.values()
    assert list(rows) == list(steadied) == ["still", "pan", "zoom"]
    # A negative changes as much as the picture itself.
    assert all(abs(row["ratio"] - 1) < 0.05 for row in rows.values())
    assert all(row["ratio"] < 0.7 for row in steadied.values())


def test_candidates_of_networks(
    tmp_path: Path, painting_file: Path, photo_folder: Path, vgg_file: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.png", "g.jpg"):
        shutil.copy(photo_folder / name, photos)
    command = [sys.executable, str(TOOLS / "bench_networks.py"), str(painting_file), "--content"]
    command += [str(photos), "--vgg", str(vgg_file), "--output", str(tmp_path), "--steps"]
    command += ["1", "--only", "no-instance", "--no-timing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list(tmp_path.glob("*.onnx"))) == 2
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "step" not in again.stderr, "what is there is not trained again"

    spec = importlib.util.spec_from_file_location("bench_networks", TOOLS / "bench_networks.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules["bench_networks"] = script
    spec.loader.exec_module(script)
    lines = script.table(["no-instance"], tmp_path, {"no-instance.int8": 9.04}).splitlines()
    assert len(lines) == 3
    assert "| 9.0 |  |" in lines[2]
    assert lines[2].endswith("| 1.00 |")
    checkpoint = load_checkpoint(tmp_path / "no-instance.pth")
    assert checkpoint.network["instance_at"] == []
    assert f"{checkpoint.scores['total'] / 1000:,.0f}k" in lines[2]
    assert checkpoint.build().config.border_px == 16  # as the default has it


def test_a_contact_sheet_of_models(tmp_path: Path, painting_file: Path, photo_folder: Path) -> None:
    model = TOOLS.parent / "tests" / "data" / "models" / "negative.onnx"
    command = [sys.executable, str(TOOLS / "sheet.py"), str(model), "--photo", str(painting_file)]
    command += ["--output", str(tmp_path / "sheet.png"), "--size", "64x48", "--cell", "64"]
    subprocess.run([*command, "--with-photos"], check=True)
    sheet = read_image(tmp_path / "sheet.png").astype(int)
    # Labels of the columns; then, for the photo and for the model, a label, a picture, a gap.
    label_px, gap_px = 22, 8
    row_px = (sheet.shape[0] - label_px) // 2
    pictures = [
        sheet[label_px + top : top + row_px + label_px - gap_px][label_px:, gap_px:-gap_px]
        for top in (0, row_px)
    ]
    assert abs(pictures[0] + pictures[1] - 255).mean() < 12
    subprocess.run([*command, "--with-photos", "--across"], check=True)
    across = read_image(tmp_path / "sheet.png").astype(int)[label_px:-gap_px, gap_px:-gap_px]
    width_px = (across.shape[1] - gap_px) // 2
    beside = across[:, :width_px], across[:, -width_px:]
    assert np.array_equal(np.stack(beside), np.stack(pictures))
    missing = subprocess.run(
        [*command, "--photo", "no.jpg"], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert "no.jpg" in missing.stderr
