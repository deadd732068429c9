"""The scripts of `tools/` that open the page: they run to their end and report what they should."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from .conftest import MODELS, ROOT

pytestmark = pytest.mark.usefixtures("built_page")


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def bench(chromium: str, *arguments: object) -> str:
    done = run_script("bench_web.py", "--chromium", chromium, "--seconds", 1, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_benchmark_counts_frames_that_were_shown(chromium: str) -> None:
    out = bench(chromium, MODELS / "negative.onnx", "--size", "64x48", "--json")
    (result,) = json.loads(out)["results"]
    assert (result["model"], result["size"]) == ("negative", "64x48")
    assert result["backend"].startswith("WebAssembly fp32")
    assert result["file"].startswith("models/negative-")
    assert result["frames"] >= 3
    # A second was watched, or as long as three frames take; the clip has 60 frames a second.
    assert 0 < result["fps"] < 66
    assert (result["frames"] - 1) / result["fps"] >= 1 - 0.05
    assert 0 < result["infer_ms"] < 1000 / result["fps"]


def test_its_table_compares_networks_at_each_size(chromium: str) -> None:
    models = MODELS / "negative.onnx", MODELS / "negative16.onnx"
    lines = bench(chromium, *models, "--size", "64x48", "--size", "96x72").splitlines()
    rows = [line.split() for line in lines if "negative" in line]
    assert [(row[1], row[3]) for row in rows] == [
        (name, size) for name in ("negative", "negative16") for size in ("64x48", "96x72")
    ]
    for size in ("64x48", "96x72"):
        times = [float(row[-2]) for row in rows if row[3] == size]
        assert min(times) == 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--size", "64x64"), "the clip is 4:3"),
        (("--chromium", "nowhere"), "name one with --chromium"),
    ],
)
def test_what_it_cannot_measure(arguments: tuple[str, ...], words: str) -> None:
    done = run_script("bench_web.py", MODELS / "negative.onnx", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr


def test_pictures_for_the_readmes(chromium: str, tmp_path: Path) -> None:
    models = MODELS / "negative.onnx", MODELS / "many.onnx"
    done = run_script("shots_web.py", *models, "--chromium", chromium, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    light_levels = {}
    for device, size_px in (("desktop", (1280, 800)), ("phone", (585, 1266))):
        for scheme in ("light", "dark"):
            path = tmp_path / f"web-{device}-{scheme}.jpg"
            picture = cv2.imread(str(path))
            assert (picture.shape[1], picture.shape[0]) == size_px
            assert path.stat().st_size <= 120_000
            light_levels[scheme] = picture[-20:].mean()  # below the picture that is painted
        assert light_levels["light"] > 128 > light_levels["dark"]
