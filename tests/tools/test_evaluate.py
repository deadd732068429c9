"""`evaluate`: scores that mean the same for networks, models and pictures, and cached curves."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edge_style.cli import main
from edge_style.images import read_image, resize_short_side, write_image
from edge_style_tools import curves
from edge_style_tools.curves import Curve, optimization_curve
from edge_style_tools.scores import Evaluation, Score, Yardstick
from edge_style_tools.sources import read_checkpoint
from edge_style_tools.subjects import photo_itself
from edge_style_training.checkpoint import load_checkpoint, save_checkpoint
from edge_style_training.data import centre_crop, to_tensor
from edge_style_training.losses import Objective, PerceptualLoss
from edge_style_training.vgg import LossNetwork, load_loss_network

NEGATIVE = Path(__file__).parents[1] / "data" / "models" / "negative.onnx"
SHIPPED = Path(__file__).parents[2] / "exported" / "checkpoints"
SIZES = ("--size", 48, "--style-size", 64)


def textured(height: int, width: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3))
    return cv2.resize(noise.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="session")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(LossNetwork(Objective().layers).state_dict(), path)
    return path


@pytest.fixture
def place(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photos and a broken one in `photos`, a painting, an empty cache."""
    (workplace / "photos").mkdir()
    write_image(workplace / "photos" / "cat.png", textured(64, 96, 1))
    write_image(workplace / "photos" / "dog.png", textured(80, 64, 2))
    (workplace / "photos" / "broken.jpg").write_text("no picture")
    write_image(workplace / "painting.png", textured(72, 80, 3))
    monkeypatch.setattr(curves, "default_folder", lambda: workplace / "cache")
    return workplace


@pytest.fixture
def evaluate(place, vgg, capsys):
    """Run the command: its status, what it printed as JSON (or its error)."""

    def run(*arguments: object, content: str = "photos", curve_photos: int = 0):
        given = ("evaluate", *arguments, "--style", "painting.png", "--content", content)
        options = ("--vgg", vgg, "--curve-photos", curve_photos, "--json")
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in (*given, *options)])
        captured = capsys.readouterr()
        if exit_info.value.code:
            assert len(captured.err.splitlines()) == 1
            return exit_info.value.code, captured.err
        return 0, json.loads(captured.out)

    return run


def test_models_pictures_and_checkpoints_score_alike(place, evaluate, tiny) -> None:
    checkpoint = tiny.write(place / "tiny.pth")
    network = read_checkpoint(checkpoint).network
    for photo in ("cat", "dog"):
        crop = centre_crop(read_image(place / "photos" / f"{photo}.png"), 48)
        frame = to_tensor(crop).unsqueeze(0)
        with torch.no_grad():
            stylized = network(frame)[..., :48, :48].clamp(0, 255).round().byte()
        write_image(place / f"{photo}_tiny.png", stylized[0].permute(1, 2, 0).numpy().copy())
        negative = 255 - read_image(place / "photos" / f"{photo}.png")
        write_image(place / f"{photo}_negative.png", negative)
    pictures = [f"{photo}_{kind}.png" for photo in ("cat", "dog") for kind in ("tiny", "negative")]
    status, report = evaluate(checkpoint, NEGATIVE, *pictures, "--sheet", "sheet.png", *SIZES)
    assert status == 0
    assert (report["photos"], report["skipped"]) == (2, 1)
    found = {result["name"]: result for result in report["results"]}
    assert found["(the photo itself)"]["mean"]["content"] == 0
    for name, kind, tolerance in (("tiny.pth", "tiny", 0.02), ("negative.onnx", "negative", 0.02)):
        of_model = {Path(s["photo"]).stem: s["total"] for s in found[name]["photos"]}
        for photo in ("cat", "dog"):
            (of_picture,) = found[f"{photo}_{kind}.png"]["photos"]
            assert Path(of_picture["photo"]).stem == photo
            assert of_model[photo] == pytest.approx(of_picture["total"], rel=tolerance)
    mean = found["tiny.pth"]["mean"]
    assert mean["total"] == pytest.approx(mean["content"] + 5 * mean["style"])
    sheet = read_image(place / "sheet.png")
    assert sheet.shape[1] > 7 * 48  # the photo and six subjects
    assert sheet.shape[0] > 2 * 48


def test_scores_are_those_of_the_losses(place, evaluate, vgg) -> None:
    _, report = evaluate(NEGATIVE, *SIZES, "--style-weight", 7, "--tv-weight", 2, "--photos", 3)
    objective = Objective(style_weight=7, tv_weight=2)
    painting = to_tensor(resize_short_side(read_image(place / "painting.png"), 64))
    loss = PerceptualLoss(load_loss_network(vgg, objective.layers), [painting], objective)
    crop = to_tensor(centre_crop(read_image(place / "photos" / "cat.png"), 48)).unsqueeze(0)
    expected = loss(255 - crop, loss.content_targets(crop))
    score = report["results"][1]["photos"][0]
    assert score["photo"].endswith("cat.png")
    for name in ("content", "style", "tv", "total"):
        assert score[name] == pytest.approx(getattr(expected, name).item(), rel=1e-4)


def test_recorded_settings_count_unless_the_default_is_asked_for(place, evaluate, tiny) -> None:
    checkpoint = load_checkpoint(tiny.write(place / "tiny.pth"))
    training = {"style_weight": 9.0, "style_px": 72, "seed": 1}
    save_checkpoint(replace(checkpoint, training=training), place / "tiny.pth")
    _, report = evaluate("tiny.pth", "--size", 48)
    assert report["results"][-1]["objective"]["style_weight"] == 9
    assert report["results"][-1]["objective"]["style_px"] == 72
    _, report = evaluate("tiny.pth", "--size", 48, "--style-weight", 3)
    assert report["results"][-1]["objective"]["style_weight"] == 3
    assert report["results"][-1]["objective"]["style_px"] == 72
    _, report = evaluate("tiny.pth", "--size", 48, "--default-objective")
    assert report["results"][-1]["objective"]["style_weight"] == 5
    assert report["results"][-1]["objective"]["style_px"] == 256


def test_curves_are_run_once_and_give_iterations(place, evaluate) -> None:
    arguments = (NEGATIVE, *SIZES, "--max-iterations", 6)
    _, first = evaluate(*arguments, curve_photos=1)
    _, second = evaluate(*arguments, curve_photos=1)
    (curve,), (again,) = first["curves"], second["curves"]
    assert (curve["was_cached"], again["was_cached"]) == (False, True)
    assert curve["totals"] == again["totals"]
    assert len(curve["totals"]) == 7
    assert sorted(curve["totals"], reverse=True) == curve["totals"]
    on_cat, on_dog = first["results"][1]["photos"]
    assert (on_cat["has_curve"], on_dog["has_curve"]) == (True, False)
    reached = [i for i, total in enumerate(curve["totals"]) if total <= on_cat["total"]]
    assert on_cat["iterations"] == (reached[0] if reached else None)
    _, longer = evaluate(NEGATIVE, *SIZES, "--max-iterations", 9, curve_photos=1)
    assert longer["curves"][0]["was_cached"] is False
    assert longer["curves"][0]["totals"][:7] == pytest.approx(curve["totals"])
    _, other = evaluate(*arguments, "--style-weight", 6, curve_photos=1)
    assert other["curves"][0]["was_cached"] is False


def test_a_damaged_or_unwritable_cache_costs_time_only(vgg, tmp_path) -> None:
    objective = Objective()
    network = load_loss_network(vgg, objective.layers)
    photo, painting = to_tensor(textured(32, 32, 1)), to_tensor(textured(64, 64, 2))

    def curve(folder: Path) -> Curve:
        return optimization_curve(network, objective, photo, [painting], 2, folder=folder)

    first = curve(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text('{"totals": [1, ')
    assert curve(tmp_path) == first
    (tmp_path / "file").write_text("")
    assert curve(tmp_path / "file" / "folder") == first


def test_iterations_are_the_first_that_reach_the_total() -> None:
    curve = Curve((100.0, 50.0, 50.0, 20.0), was_cached=True)
    assert [curve.iterations_to_reach(total) for total in (200, 100, 50, 30, 20, 19)] == [
        0, 0, 1, 3, 3, None,
    ]  # fmt: skip

    def median(*iterations: int | None) -> int | None:
        scores = [Score(Path(), 0, 0, 0, 0, count, True) for count in iterations]
        return Evaluation(photo_itself(), Yardstick(), tuple(scores)).iterations()

    assert median(3, 9, 5) == 5
    assert median(3, None, 5) == 5
    assert median(3, None, None) is None
    assert median() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.pth"], "there is no checkpoint missing.pth"),
        (["photos/cat.png", "--style", "tiny.png"], "16x16 pixels"),
        (["painting.png"], "which photo is painting.png of"),
        (["cat_wide.png"], "expected the same shape"),
        ([str(NEGATIVE), "--sheet", "nowhere/sheet.png"], "'nowhere' does not exist"),
        ([str(NEGATIVE), "--photos", "0"], "--photos"),
        ([str(NEGATIVE.with_name("many.onnx"))], "knows 3 styles: take one out"),
        ([str(NEGATIVE.with_name("any.onnx"))], "in the style of any picture"),
        ([str(SHIPPED / "any.pth")], "in the style of any picture"),
        ([str(SHIPPED / "styles.pth")], "knows 8 styles: take one out"),
    ],
)
def test_mistakes_are_one_line(place, evaluate, arguments, message) -> None:
    write_image(place / "tiny.png", np.zeros((16, 16, 3), np.uint8))
    write_image(place / "cat_wide.png", textured(64, 160, 1))
    status, error = evaluate(*arguments, *SIZES)
    assert status == 2
    assert message in error


def test_no_readable_photo_is_an_error(place, evaluate) -> None:
    status, error = evaluate(NEGATIVE, content="photos/broken.jpg")
    assert status == 2
    assert "none of the 1 photos can be read" in error
    (place / "empty").mkdir()
    status, error = evaluate(NEGATIVE, content="empty")
    assert "holds no picture" in error
