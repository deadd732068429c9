"""The command `paint`: what it writes, what it says, what it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edge_style.cli import main
from edge_style.images import read_image, write_image
from edge_style_training.vgg import LossNetwork

LAYERS = ("--content-layers", "relu2_2", "--style-layers", "relu1_1,relu2_1:0.5")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_info:
        main([str(argument) for argument in arguments])
    return int(exit_info.value.code or 0)


@pytest.fixture
def folder(painting_file: Path, vgg_file: Path, tmp_path: Path) -> Path:
    """A photo to paint and a folder for what comes of it."""
    write_image(tmp_path / "photo.png", read_image(painting_file)[:, ::-1].copy())
    (tmp_path / "out").mkdir()
    return tmp_path


def command(folder: Path, painting: Path, vgg: Path, *options: object) -> tuple[object, ...]:
    output = folder / "out" / "painted.png"
    given = ("paint", folder / "photo.png", painting, "--vgg", vgg, "--size", 64, *LAYERS)
    return (*given, "-n", 4, "--output", output, *options)


def test_paints_with_previews_and_numbers(folder, painting_file, vgg_file, capsys) -> None:
    preview = folder / "out" / "preview.jpg"
    options = ("--preview", preview, "--preview-every", 3, "--save-every", 2, "--json")
    assert run(*command(folder, painting_file, vgg_file, *options)) == 0
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["painted.png", "painted_0002.png", "painted_0004.png", "preview.jpg"]
    painted = read_image(folder / "out" / "painted.png")
    assert painted.shape == (48, 64, 3)
    assert np.array_equal(painted, read_image(folder / "out" / "painted_0004.png"))
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["size"] == "64x48"
    assert report["iterations"] == 4
    assert report["losses"]["total"] == pytest.approx(
        report["losses"]["content"] + 20 * report["losses"]["style"]
    )
    assert "total loss" in captured.err


def test_vgg19_from_a_file_and_two_paintings(folder, painting_file, capsys) -> None:
    torch.manual_seed(3)
    vgg = folder / "vgg19.safetensors"
    save_file(LossNetwork(["conv3_4"], variant="vgg19").state_dict(), vgg)
    options = (
        *(painting_file, "--painting-weights", "2,1", "--network", "vgg19", "--start", "noise"),
        *("--optimizer", "adam", "--lr", 10, "--pooling", "average", "--style-layers", "relu3_4"),
        *("--original-colours", "luminance"),
    )
    assert run(*command(folder, painting_file, vgg, *options)) == 0
    assert read_image(folder / "out" / "painted.png").shape == (48, 64, 3)


def test_grid_has_a_picture_for_every_pair_of_weights(
    folder, painting_file, vgg_file, capsys
) -> None:
    options = ("--grid", "--grid-content-weights", "0.5,1", "--grid-style-weights", "1,20,400")
    assert run(*command(folder, painting_file, vgg_file, *options)) == 0
    sheet = read_image(folder / "out" / "painted.png")
    assert sheet.shape[1] > 3 * 64
    assert sheet.shape[0] > 2 * 48
    assert run(*command(folder, painting_file, vgg_file, *options, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["size"] == f"{sheet.shape[1]}x{sheet.shape[0]}"
    weights = [(cell["content_weight"], cell["style_weight"]) for cell in report["cells"]]
    assert weights == [(c, s) for c in (0.5, 1) for s in (1, 20, 400)]
    totals = [cell["losses"]["total"] for cell in report["cells"]]
    assert totals[2] > totals[1] > totals[0]
    inked = (sheet < 250).all(axis=2)
    assert 0.5 * 6 * 48 * 64 < inked.sum() < sheet[..., 0].size


def test_a_mistake_in_a_grid_costs_no_painting(
    folder, painting_file, vgg_file, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(
        "edge_style_training.paint_run.paint", lambda *_, **__: pytest.fail("painted")
    )
    options = ("--grid", "--grid-content-weights", "1,0", "--grid-style-weights", "1,0")
    assert run(*command(folder, painting_file, vgg_file, *options)) == 2
    assert "nothing to paint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--optimizer", "newton"], "lbfgs or adam"),
        (["--lr", "1"], "for adam"),
        (["--network", "vgg13"], "vgg16 or vgg19"),
        (["--network", "vgg19", "--style-layers", "relu3_4"], "no vgg19 weights"),
        (["--style-layers", "relu9_9"], "vgg16 has no layer relu9_9"),
        (["--content-layers", "relu2_2:much"], "numbers such as"),
        (["--painting-weights", "1,2"], "1 paintings need as many weights, not 2"),
        (["--grid", "--save-every", "2"], "--grid writes one table"),
        (["--seed", "-9223372036854775809"], "seed should be at least"),
        (["--grid-style-weights", "2"], "go with --grid"),
        (["--device", "abacus"], "auto, cpu, cuda or mps"),
        (["--preview", "nowhere/preview.png"], "'nowhere' does not exist"),
        (["--original-colours", "sepia"], "luminance or histogram"),
        (["--iterations", "0"], "iterations"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    folder, painting_file, vgg_file, capsys, options, message
) -> None:
    status = run(*command(folder, painting_file, vgg_file, *options))
    error = capsys.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error
    assert list((folder / "out").iterdir()) == []


def test_sizes_too_small_for_a_deep_layer_are_one_line(folder, painting_file, capsys) -> None:
    vgg = folder / "deep.safetensors"
    save_file({k: v.half() for k, v in LossNetwork(["pool5"]).state_dict().items()}, vgg)
    options = ("--style-layers", "pool5", "--levels", 3)
    assert run(*command(folder, painting_file, vgg, *options)) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: a picture of 16x16 pixels is too small for the layer pool5")
    assert list((folder / "out").iterdir()) == []


def test_a_tiny_painting_is_refused(folder, painting_file, vgg_file, capsys) -> None:
    tiny = folder / "tiny.png"
    write_image(tiny, np.zeros((20, 20, 3), np.uint8))
    assert run(*command(folder, tiny, vgg_file)) == 2
    assert "a painting is 20x20 pixels" in capsys.readouterr().err
