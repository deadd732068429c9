"""Shared by the runtime's tests: tiny models, pictures made on the spot, the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_style.cli import main

MODELS = Path(__file__).parents[1] / "data" / "models"


@dataclass(frozen=True)
class CliResult:
    """What a user sees of one run."""

    status: int
    out: str
    err: str


def make_rgb(width_px: int, height_px: int) -> np.ndarray:
    """Smooth colours that survive JPEG: red grows to the right, green downwards."""
    x = np.linspace(0, 255, width_px)[np.newaxis, :]
    y = np.linspace(0, 255, height_px)[:, np.newaxis]
    planes = np.stack([x + 0 * y, y + 0 * x, np.full((height_px, width_px), 60)], axis=-1)
    return np.rint(planes).astype(np.uint8)


def encode(rgb: np.ndarray, suffix: str) -> bytes:
    """An RGB, RGBA or grey picture as a file's bytes, by OpenCV alone."""
    if rgb.ndim == 3:
        rgb = cv2.cvtColor(rgb, cv2.COLOR_RGBA2BGRA if rgb.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(suffix, rgb)
    assert done
    return data.tobytes()


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of the test's own, also in the processes that it starts."""
    folder = tmp_path_factory.mktemp("cache")
    for variable in ("XDG_CACHE_HOME", "EDGE_STYLE_CACHE"):
        monkeypatch.setenv(variable, str(folder))
    return folder


@pytest.fixture
def models() -> Path:
    """The folder of tiny models that tests/make_models.py writes."""
    return MODELS


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo of 64x48 pixels."""
    path = tmp_path / "photo.png"
    path.write_bytes(encode(make_rgb(64, 48), ".png"))
    return path


@pytest.fixture
def cli(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., CliResult]:
    """Runs the command line in an empty folder; what C libraries print is caught too."""
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))

    def run(*arguments: object) -> CliResult:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        code = exit_info.value.code
        assert isinstance(code, int)
        return CliResult(code, out, err)

    return run


def assert_error(result: CliResult, *words: str) -> None:
    """One line that begins `error:` and holds all the words, status 2, nothing else."""
    assert result.status == 2, result
    assert result.out == ""
    assert result.err.startswith("error: "), result.err
    assert result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err
