"""The training loop: it learns, resumes exactly, survives being killed, and says when it fails."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from edge_style.errors import CheckpointError, ContentError, TrainingDivergedError, UsageError
from edge_style.images import read_image, write_image
from edge_style_training.checkpoint import load_checkpoint
from edge_style_training.config import TrainingConfig, check_settings, read_recipe
from edge_style_training.data import CropDataset, crop_loader, find_photos, to_tensor
from edge_style_training.muon import Muon
from edge_style_training.resuming import fingerprint, resume_file
from edge_style_training.run import console_of, told_of_broken
from edge_style_training.schedule import learning_rate_at, style_share_at
from edge_style_training.trainer import Trainer
from edge_style_training.training_loop import Progress, _said_plainly
from edge_style_training.validation import Validation, hold_out
from edge_style_training.vgg import LossNetwork

TINY = TrainingConfig(
    network={"width": 8, "blocks": 1},
    steps=8,
    batch_size=2,
    crop_px=48,
    style_px=64,
    warmup_steps=2,
    validate_every=4,
    checkpoint_every=4,
    validation_photos=1,
    consistency_weight=1.0,
)


class Log(list[Progress]):
    """Reports of a training, and its losses by step."""

    def __call__(self, progress: Progress) -> None:
        self.append(progress)


@pytest.fixture
def make_trainer(
    loss_network: LossNetwork, photo_folder: Path, painting_file: Path, tmp_path: Path
) -> object:
    def make(config: TrainingConfig, output: str = "out.pth") -> Trainer:
        return Trainer(
            config,
            loss_network,
            [to_tensor(read_image(painting_file))] * int(config.network.get("styles", 1)),
            find_photos(photo_folder),
            tmp_path / output,
            {"name": "test"},
            workers=0,
        )

    return make


def test_training_lowers_the_loss_and_keeps_the_best(make_trainer, tmp_path) -> None:
    config = replace(TINY, steps=40, validate_every=10, learning_rate=1e-2)
    log = Log()
    best = make_trainer(config).run(log)
    totals = [progress.validation["total"] for progress in log if progress.validation]
    assert len(totals) == 4
    assert min(totals) < 0.85 * totals[0]
    assert best.scores["total"] == min(totals)
    written = load_checkpoint(tmp_path / "out.pth")
    assert written.step == best.step
    assert written.training["learning_rate"] == 1e-2
    assert not (tmp_path / "out.resume.pth").exists()
    pictures = next(progress.pictures for progress in log if progress.pictures is not None)
    assert pictures.shape == (1, 3, 48, 48)


def test_convolutions_are_muons_and_what_each_style_has_of_its_own_is_adams(make_trainer) -> None:
    network = {**TINY.network, "styles": 5, "instance_at": [0]}
    trainer = make_trainer(replace(TINY, network=network), "many.pth")
    optimizer = trainer.optimizer.optimizer
    assert isinstance(optimizer, Muon)
    names = {id(weight): name for name, weight in trainer.unwrapped.named_parameters()}
    groups = {
        group["muon"]: {names[id(weight)] for weight in group["params"]}
        for group in optimizer.param_groups
    }
    assert {"stem.0.weight", "body.0.down.weight"} <= groups[True]
    assert {"stem.1.weight", "stem.1.bias", "head.bias", "head.weight"} <= groups[False]
    assert groups[True] | groups[False] == set(names.values())
    assert not [name for name in groups[True] if "norm" in name]


def test_resuming_repeats_the_uninterrupted_training(make_trainer) -> None:
    whole, first_half, second_half = Log(), Log(), Log()
    uninterrupted = make_trainer(TINY, "whole.pth").run(whole)

    class StoppedError(Exception):
        pass

    def stop_after_saving(progress: Progress) -> None:
        first_half(progress)
        if progress.step == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        make_trainer(TINY).run(stop_after_saving)
    resumed = make_trainer(TINY)
    resumed.resume()
    assert resumed.step == 4
    result = resumed.run(second_half)
    expected = [progress.losses for progress in whole]
    assert [p.losses for p in first_half] + [p.losses for p in second_half] == expected
    for key, value in uninterrupted.weights.items():
        assert torch.equal(value, result.weights[key]), key


def test_resuming_with_other_settings_names_the_first(make_trainer) -> None:
    trainer = make_trainer(TINY)
    trainer._save()
    changed = make_trainer(replace(TINY, learning_rate=0.5))
    with pytest.raises(CheckpointError, match=r"learning_rate = 0\.002, not 0\.5"):
        changed.resume()


def test_what_was_learned_from_other_pictures_is_not_resumed(make_trainer, photo_folder) -> None:
    make_trainer(TINY)._save()
    make_trainer(TINY).resume()
    other = make_trainer(TINY)
    other.material["paintings"] = fingerprint([b"another"])
    with pytest.raises(CheckpointError, match="trained with other paintings: give the same"):
        other.resume()
    photos = find_photos(photo_folder)
    names = fingerprint([photo.name.encode() for photo in photos])
    assert other.material["photos"] == names
    assert names != fingerprint([photo.name.encode() for photo in photos[1:]])


def test_a_broken_photo_is_not_held_out(make_trainer, photo_folder) -> None:
    photos = find_photos(photo_folder)
    whole = [photo for photo in photos if photo.stem not in {"broken", "truncated"}]
    for number in range(2, len(photos)):
        # As many as there are, in another order: each is last once.
        turned = [*photos[number:], *photos[:number]]
        held_out, rest = hold_out(turned, 1)
        assert held_out[0] in whole
        assert sorted([*held_out, *rest]) == sorted(photos)
    held_out, rest = hold_out(whole, 1)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0)).tolist()
    assert [*rest, *held_out] == [whole[place] for place in order]
    broken = [photo for photo in photos if photo not in whole]
    with pytest.raises(ContentError, match="none of the 2 photos can be read"):
        hold_out(broken, 1)


def test_too_many_broken_photos_are_said_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_text("not a picture")
    dataset = CropDataset(find_photos(tmp_path), 32, seed=1)
    options = {"first_step": 0, "last_step": 1, "batch_size": 1, "workers": 1}
    loader = crop_loader(dataset, rank=0, world=1, **options)
    with pytest.raises(ContentError) as caught:
        list(_said_plainly(loader))
    assert str(caught.value) == f"1 pictures in a row cannot be read, {tmp_path}/broken.jpg for one"


def test_a_batch_that_processes_cannot_share_is_refused(
    make_trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Accelerator, "num_processes", 3)
    with pytest.raises(UsageError, match="batch_size 2 cannot be shared by 3 processes"):
        make_trainer(TINY)


def test_nothing_to_resume_is_an_error(make_trainer) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        make_trainer(TINY).resume()


@pytest.mark.parametrize("value", [float("nan"), 1e4])
def test_divergence_stops_with_advice_and_keeps_the_checkpoint(
    make_trainer, tmp_path, value
) -> None:
    trainer = make_trainer(replace(TINY, steps=12))
    report = Log()

    def poison(progress: Progress) -> None:
        report(progress)
        if progress.step == 4:
            with torch.no_grad():
                trainer.network.head.bias.fill_(value)

    with pytest.raises(TrainingDivergedError, match="--learning-rate"):
        trainer.run(poison)
    saved = torch.load(tmp_path / "out.resume.pth", weights_only=True)
    assert saved["step"] == 4
    assert all(torch.isfinite(w).all() for w in saved["weights"].values())


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    config = TrainingConfig(steps=1000, warmup_steps=100, learning_rate=1.0)
    rates = [learning_rate_at(config, step) for step in range(1000)]
    assert rates[0] == 0.01
    assert max(rates) == rates[100] == 1.0
    assert rates[-1] < 1e-4
    assert sorted(rates[100:], reverse=True) == rates[100:]


def test_recipes_are_checked(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("steps = 9\nstyle_weight = 3\n[network]\nwidth = 8\n")
    assert read_recipe(recipe) == {"steps": 9, "style_weight": 3.0, "network": {"width": 8}}
    recipe.write_text("steps = 9", encoding="utf-8-sig")  # as Windows' editors write it
    assert read_recipe(recipe) == {"steps": 9}
    recipe.write_text("stepz = 9")
    with pytest.raises(UsageError, match="unknown setting 'stepz'"):
        read_recipe(recipe)
    recipe.write_text("steps = = 9")
    with pytest.raises(UsageError, match="no TOML"):
        read_recipe(recipe)
    with pytest.raises(UsageError, match="steps should be a int, not 'many'"):
        check_settings({"steps": "many"}, "here")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"steps": 0}, "steps should be at least 1"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"learning_rate": float("inf")}, "finite"),
        ({"crop_spread": 0.9}, "crop_spread should be at least 1"),
        ({"crop_spread": float("inf")}, "crop_spread should be finite"),
        ({"crop_spread": float("nan")}, "crop_spread should be at least 1"),
        ({"content_weight": 0.0, "style_weight": 0.0}, "nothing to learn"),
        ({"precision": "int4"}, "precision should be"),
        ({"seed": 20250712123456}, "seed should lie within"),
        ({"seed": -(10**20)}, "seed should lie within"),
    ],
)
def test_settings_that_cannot_work_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainingConfig(**setting)


def _train_command(
    paintings: Path, content: Path, vgg: Path, output: Path, *options: str
) -> list[str]:
    return [
        *(sys.executable, "-m", "edge_style", "train", str(paintings)),
        *("--content", str(content), "--vgg", str(vgg), "--output", str(output)),
        *("--crop", "32", "--style-size", "64", "--batch-size", "1", "--workers", "0"),
        *("--validation-photos", "1", "--architecture", "johnson"),
        *options,
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_kill_and_resume_loses_one_interval_at_most(
    painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.pth"
    options = ["--steps", "20", "--checkpoint-every", "3", "--validate-every", "10"]
    command = _train_command(painting_file, photo_folder, vgg_file, output, *options)
    resume_file = tmp_path / "out.resume.pth"
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not resume_file.exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    saved = torch.load(resume_file, weights_only=True)  # whole, at whatever moment it was killed
    assert saved["step"] > 0
    assert not output.exists()
    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert f"step {saved['step']} of 20" in resumed.stderr
    assert load_checkpoint(output).step in {10, 20}
    whole = [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert whole == ["out.pth"]  # a temporary file may be left where the kill struck


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "steps should be at least 1"),
        (["--resume", "--force"], "give one of them"),
        (["--resume"], "there is no checkpoint"),
        (["--architecture", "huge"], "unknown architecture 'huge'"),
        (["--architecture", "any"], "is made by train-any"),
        (["--from", "base", "--architecture", "johnson"], "it is of architecture lean"),
    ],
)
def test_bad_options_are_one_line(
    painting_file: Path,
    photo_folder: Path,
    vgg_file: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    command = _train_command(
        painting_file, photo_folder, vgg_file, tmp_path / "o.pth", "--steps", "1", *arguments
    )
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")
    assert len(run.stderr.splitlines()) == 1
    assert message in run.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("me.jpg", ["--force"], "call it me.pth"),
        ("out.onnx", [], "call it out.pth"),
        ("done.pth", ["--resume"], "done.pth is finished"),
    ],
)
def test_outputs_that_cannot_be_meant(
    painting_file: Path,
    photo_folder: Path,
    vgg_file: Path,
    tmp_path: Path,
    name: str,
    more: list[str],
    message: str,
) -> None:
    output = tmp_path / name
    output.write_bytes(b"dear to somebody")
    command = _train_command(painting_file, photo_folder, vgg_file, output, "--steps", "1", *more)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert message in run.stderr
    assert output.read_bytes() == b"dear to somebody"


def test_photos_may_have_names_that_are_not_unicode(
    painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    folder, name = tmp_path / "photos", os.fsdecode(b"caf\xe9.jpg")
    folder.mkdir()
    try:
        shutil.copy(photo_folder / "a.jpg", folder / name)
    except (OSError, UnicodeError):
        pytest.skip("this file system knows Unicode only")
    output = tmp_path / "o.pth"
    command = _train_command(painting_file, folder, vgg_file, output, "--steps", "1")
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_a_log_that_cannot_be_written_is_said_before_the_first_step(
    painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    options = ("--steps", "1", "--log-dir", __file__)
    command = _train_command(painting_file, photo_folder, vgg_file, tmp_path / "o.pth", *options)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    said = run.stderr.splitlines()[-1]
    assert said == f"error: --log-dir {__file__} cannot be written: File exists"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_training_is_not_begun_anew_by_mistake(
    painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    left = tmp_path / "o.resume.pth"
    left.write_bytes(b"hours of work")
    command = _train_command(
        painting_file, photo_folder, vgg_file, tmp_path / "o.pth", "--steps", "1"
    )
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "--resume goes on with it, --force starts anew" in run.stderr
    assert left.read_bytes() == b"hours of work"
    assert list(tmp_path.iterdir()) == [left]
    subprocess.run([*command, "--force"], check=True, capture_output=True)
    assert (tmp_path / "o.pth").exists()


def test_the_style_loss_comes_to_its_weight_slowly(make_trainer) -> None:
    """While it is held back, the total that is trained on has less of it."""
    config = replace(
        TINY, consistency_weight=0.0, style_weight=50.0, steps=16, style_warmup_steps=4
    )
    trainer = make_trainer(config)
    crops = trainer.dataset[0][0].unsqueeze(0)
    for weight in (12.5, 25.0, 37.5, 50.0, 50.0):
        losses = {name: float(value) for name, value in trainer._train_step(crops).items()}
        expected = losses["content"] + weight * losses["style"]
        assert losses["total"] == pytest.approx(expected, rel=1e-4)
        trainer.step += 1


@pytest.mark.parametrize(
    ("steps", "step", "share"), [(1500, 99, 0.5), (40, 4, 0.5), (40, 9, 1), (2, 0, 1)]
)
def test_short_trainings_have_their_style_weight_too(steps: int, step: int, share: float) -> None:
    config = replace(TINY, steps=steps, style_warmup_steps=200)
    assert style_share_at(config, step) == pytest.approx(share)


def test_names_with_dots_are_different_trainings() -> None:
    names = ["mine.pth", "style-0.5", "style-0.6", "a.b.pth"]
    files = [resume_file(Path("out") / name) for name in names]
    assert [file.name for file in files] == [
        "mine.resume.pth", "style-0.5.resume.pth", "style-0.6.resume.pth", "a.b.resume.pth",
    ]  # fmt: skip
    assert {file.parent for file in files} == {Path("out")}


def test_names_like_marks_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    training = SimpleNamespace(accelerator=SimpleNamespace(is_main_process=True))
    line = f"next: edge-style export x/[final]/{'long ' * 30}[/b].pth"
    console_of(cast("Any", training)).print(line)
    assert capsys.readouterr().err == f"{line}\n"


def test_the_only_photo_that_can_be_read_serves_for_both(tmp_path: Path) -> None:
    good, broken = tmp_path / "good.png", tmp_path / "broken.jpg"
    write_image(good, np.full((40, 40, 3), 90, np.uint8))
    broken.write_text("no picture")
    held_out, rest = hold_out([broken, good], 8)
    assert held_out == [good]
    assert set(rest) == {good, broken}


def test_every_weighted_loss_is_in_the_total_that_is_trained_on(make_trainer) -> None:
    config = replace(TINY, consistency_weight=3.0, grid_weight=7.0, tv_weight=0.5)
    trainer = make_trainer(config)
    # A network that paints by its place in the grid, so that there is a grid loss.
    with torch.no_grad():
        trainer.network.head.weight.mul_(20)
    crops = trainer.dataset[0][0].unsqueeze(0)
    losses = {name: float(value) for name, value in trainer._train_step(crops).items()}
    assert losses["grid"] > 0
    expected = sum(
        getattr(config, f"{name}_weight") * losses[name]
        for name in ("content", "style", "tv", "consistency", "grid")
    )
    assert losses["total"] == pytest.approx(expected, rel=1e-4)
    without = expected - 7.0 * losses["grid"]
    assert abs(without - expected) > 1e-3 * expected, "or the test would not see it missing"


@pytest.mark.parametrize("steady", [True, False])
def test_crops_of_the_size_that_was_asked_for_are_trained_on(make_trainer, steady: bool) -> None:
    config = replace(TINY, consistency_weight=float(steady), steps=1, validate_every=1)
    trainer = make_trainer(config)
    sizes = []
    trainer.network.register_forward_pre_hook(lambda _, frames: sizes.append(frames[0].shape[2:]))
    trainer.run(Log())
    assert set(sizes) == {(TINY.crop_px, TINY.crop_px)}


def test_a_training_on_crops_of_several_sizes_is_validated_on_them(make_trainer) -> None:
    trainer = make_trainer(replace(TINY, crop_px=64, crop_spread=1.5))
    scores, pictures = trainer.validate()
    assert pictures.shape == (1, 3, 64, 64)
    own = trainer.validation
    alone = [Validation(own.yardstick, own.photos, side) for side in (32, 64, 96)]
    totals = [one.run(trainer.network)[0]["total"] for one in alone]
    assert max(totals) > 1.001 * min(totals)
    assert scores["total"] == pytest.approx(sum(totals) / 3)


@pytest.mark.parametrize("layers", [("relu1_2",), ("relu1_2", "relu3_3")])
def test_only_the_layers_that_were_named_are_compared(layers: tuple[str, ...]) -> None:
    settings = check_settings({"style_layers": list(layers)}, "recipe")
    config = TrainingConfig(**settings)
    assert tuple(config.objective.style_layers) == layers
    assert TrainingConfig(**check_settings(config.as_dict(), "checkpoint")) == config
    with pytest.raises(UsageError, match="style_layers"):
        TrainingConfig(style_layers=())


def test_broken_photos_are_named_and_many_of_them_counted() -> None:
    said = told_of_broken({Path("photos/b.jpg"), Path("photos/a.jpg")})
    assert said == "2 of the photos cannot be read and were left out: a.jpg, b.jpg"
    assert "was left out: a.jpg" in told_of_broken({Path("a.jpg")})
    assert told_of_broken({Path(f"{i}.jpg") for i in range(9)}).endswith("4.jpg and 4 more")
