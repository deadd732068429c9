"""The built wheel in an empty environment: the runtime without torch and without onnx."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


class Installation:
    """An environment that holds the wheel and what `[cpu]` brings."""

    def __init__(self, folder: Path) -> None:
        wheels = folder / "wheels"
        self._run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(ROOT)], ROOT
        )
        (self.wheel,) = wheels.glob("*.whl")
        venv.create(folder / "env", with_pip=True)
        self.programs = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin")
        self._run(
            [str(self.programs / "python"), "-m", "pip", "install", "-q", f"{self.wheel}[cpu]"],
            folder,
        )

    @staticmethod
    def _run(command: list[str], folder: Path) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        assert done.returncode == 0, done.stderr[-2000:]

    def edge_style(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program in `folder`, where no checkout can be mistaken for the wheel."""
        return subprocess.run(
            [str(self.programs / "edge-style"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    source = ROOT / "exported" / "gallery" / "astronaut.jpg"
    small = cv2.resize(cv2.imread(str(source)), (120, 90), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "photo.png"), small)
    return tmp_path / "photo.png"


def test_image_with_the_shipped_style(
    installation: Installation, tmp_path: Path, photo: Path
) -> None:
    done = installation.edge_style(
        tmp_path, "image", str(photo), "--model", "starry", "--output", "out.png"
    )
    assert done.returncode == 0, done.stderr
    stylized, original = cv2.imread(str(tmp_path / "out.png")), cv2.imread(str(photo))
    assert stylized.shape == original.shape
    # The Starry Night is blue, an orange space suit is not.
    blue_share = [picture[..., 0].mean() / picture.mean() for picture in (original, stylized)]
    assert blue_share[1] > blue_share[0] + 0.1
    assert np.abs(stylized.astype(int) - original).mean() > 15


def test_cam_and_video(installation: Installation, tmp_path: Path) -> None:
    cam = installation.edge_style(
        tmp_path,
        *("cam", "--model", "starry", "--source", "test", "--size", "96x64", "--max-frames", "5"),
        *("--no-pace", "--output", "cam.mp4", "--json"),
    )
    assert cam.returncode == 0, cam.stderr
    assert json.loads(cam.stdout)["frames"] == 5
    video = installation.edge_style(
        tmp_path, "video", "cam.mp4", "--model", "starry", "--output", "video.mp4", "--json"
    )
    assert video.returncode == 0, video.stderr
    assert json.loads(video.stdout)["frames"] == 5
    clip = cv2.VideoCapture(str(tmp_path / "video.mp4"))
    assert clip.read()[1].shape == (64, 96, 3)


def test_models_and_info(installation: Installation, tmp_path: Path) -> None:
    listed = json.loads(installation.edge_style(tmp_path, "models", "--json").stdout)
    starry = next(model for model in listed["models"] if model["name"] == "starry")
    assert starry["metadata"]["artist"] == "Vincent van Gogh"
    info = installation.edge_style(tmp_path, "info", "starry")
    assert info.returncode == 0
    assert "The Starry Night" in info.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "starry.pth"],
        ["train", "painting.jpg", "--content", ".", "--output", "starry.pth"],
    ],
)
def test_workstation_commands_name_the_extra(
    installation: Installation, tmp_path: Path, arguments: list[str]
) -> None:
    done = installation.edge_style(tmp_path, *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "edge-style[train" in line


def test_the_wheel_holds_what_it_should(installation: Installation) -> None:
    from zipfile import ZipFile

    names = ZipFile(installation.wheel).namelist()
    for name in (
        "edge_style/exported/starry.onnx",
        "edge_style/exported/checkpoints/starry.pth",  # for `train --from base`
        "edge_style/py.typed",
        "edge_style_training/py.typed",
        "edge_style_tools/py.typed",
    ):
        assert name in names
    assert not [name for name in names if name.endswith("-johnson.pth")]
