"""`--look` of image, video and cam, with and without a painting."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_style.cli import main
from edge_style.images import read_image

MODELS = Path(__file__).parents[2] / "data" / "models"


def smooth(seed: int, high: int, width_px: int = 80, height_px: int = 60) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, high, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width_px, height_px), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Runs a command in a folder that holds a bright photo and a dark reference."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_STYLE_CACHE", str(tmp_path))
    cv2.imwrite("photo.png", 255 - smooth(0, 120))
    cv2.imwrite("light.png", smooth(1, 90))

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return caught.value.code, out, err

    return call


def test_image_takes_a_look_without_a_painting(run):
    status, _, err = run("image", "photo.png", "--look", "light.png", "-o", "out.png")
    assert status == 0, err
    assert read_image("photo.png").mean() > 150
    assert abs(read_image("out.png").mean() - read_image("light.png").mean()) < 12


def test_image_gives_a_painting_the_look(run):
    command = ("image", "photo.png", "-m", MODELS / "negative.onnx", "-o")
    assert run(*command, "plain.png")[0] == 0
    assert run(*command, "looked.png", "--look", "light.png")[0] == 0
    plain, looked = read_image("plain.png"), read_image("looked.png")
    goal = read_image("light.png").mean()
    assert abs(looked.mean() - goal) < 12
    # The negative's structure, not the photo's.
    assert np.corrcoef(plain.mean(2).ravel(), looked.mean(2).ravel())[0, 1] > 0.5


@pytest.mark.parametrize("model", [(), ("--model", MODELS / "negative.onnx")])
def test_cam_takes_a_look(run, model):
    status, out, err = run(
        "cam", *model, "--source", "test", "--size", "64x48", "--no-pace", "--max-frames", 5,
        "--output", "shot_%02d.png", "--look", "light.png", "--json",
    )  # fmt: skip
    assert status == 0, err
    assert json.loads(out)["frames"] == 5
    shots = sorted(Path().glob("shot_*.png"))
    assert abs(read_image(shots[-1]).mean() - read_image("light.png").mean()) < 25


def test_video_takes_a_look_and_is_repeatable(run):
    made = ("cam", "--source", "pan:photo.png", "--look", "light.png", "--no-pace")
    assert run(*made, "--max-frames", 12, "--output", "clip.mp4")[0] == 0
    for name in ("a.mp4", "b.mp4"):
        status, _, err = run("video", "clip.mp4", "--look", "light.png", "-o", name)
        assert status == 0, err
    frames = [cv2.VideoCapture(name).read()[1] for name in ("a.mp4", "b.mp4")]
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "--look REFERENCE"),
        (("--look", "nobody.png"), "no picture 'nobody.png'"),
        (("--look", "x.cube"), "no colour table 'x.cube'"),
        (("--look", "light.png", "--fps", "30"), "--fps"),
        (("--look", "light.png", "--provider", "cpu"), "--provider"),
        (("--look", "light.png", "--style", "light.png"), "--style"),
    ],
)
def test_mistakes_are_one_line(run, more, words):
    status, out, err = run(
        "cam", "--source", "test", "--output", "null", "--max-frames", "2", *more
    )
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert status == 2
    assert out == ""
    assert len(lines) == 1
    assert words in lines[0]
