"""The measure of a network's grid: it sees one, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_style.images import write_image
from edge_style_tools.grid import grid_ratios
from edge_style_tools.photos import made_photo

REPOSITORY = Path(__file__).resolve().parents[2]


def strokes(seed: int, side_px: int = 256) -> np.ndarray:
    """Noise with wavelengths of 6 to 12 pixels in all directions, as brush strokes have."""
    noise = np.random.default_rng(seed).normal(size=(side_px, side_px))
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.fftfreq(side_px)[None])
    band = (frequency > 1 / 12) & (frequency < 1 / 5)
    wave = np.fft.ifft2(np.fft.fft2(noise) * band).real
    return np.asarray(wave / wave.std())


def picture(luma: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(luma, 0, 255).round().astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("period_px", [8, 4])
def test_a_faint_comb_between_strokes_is_seen(period_px: int) -> None:
    dark = picture(np.full((256, 256), 30.0))
    painted = 60 + 6 * strokes(1)
    comb = 3.0 * np.cos(2 * np.pi * np.arange(256) / period_px)[None]
    without = float(np.median(grid_ratios(picture(painted), dark, period_px)))
    with_comb = float(np.median(grid_ratios(picture(painted + comb), dark, period_px)))
    down = float(np.median(grid_ratios(picture(painted + comb.T), dark, period_px)))
    assert without < 2
    assert with_comb > 5 * without
    assert down > 5 * without


def test_only_dark_areas_are_judged_and_flat_ones_have_no_grid() -> None:
    bright, dark = picture(np.full((128, 128), 200.0)), picture(np.full((128, 128), 20.0))
    assert len(grid_ratios(dark, bright)) == 0
    assert grid_ratios(dark, dark) == pytest.approx(1.0)


def test_the_script_prints_a_line_for_each_model(tmp_path: Path) -> None:
    write_image(tmp_path / "dark.png", made_photo(1, 96, 128) // 4)
    model = str(REPOSITORY / "tests/data/models/negative.onnx")
    script = REPOSITORY / "tools/bench_grid.py"
    run = [sys.executable, str(script), model, model, "--content", str(tmp_path)]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    first, second = (json.loads(line) for line in lines)
    assert first == second
    assert first["windows"] > 0
    assert set(first) == {"model", "windows", "8 px", "4 px"}
