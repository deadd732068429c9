"""Distillation: a small network comes to paint what its teachers paint."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_style import cli
from edge_style.errors import CheckpointError
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import find_photos
from edge_style_training.distillation import Distillation, distance
from edge_style_training.networks import build_network
from edge_style_training.training_loop import Progress

from .conftest import ensure_validated_at

LARGE: dict[str, Any] = {"width": 12, "blocks": 1, "coarse_blocks": 1, "coarse_width": 12}
LARGE["instance_at"] = [0, 1, 2]
SMALL = {**LARGE, "width": 8, "coarse_width": 8}
TINY = TrainingConfig(
    network=SMALL,
    steps=6,
    batch_size=2,
    crop_px=48,
    learning_rate=5e-3,
    warmup_steps=2,
    validate_every=3,
    checkpoint_every=3,
    validation_photos=2,
    precision="fp32",
)


def teacher(seed: int, name: str, colour: float = 0.0) -> Checkpoint:
    """A network that paints something, which `colour` makes lighter or darker."""
    torch.manual_seed(seed)
    network = build_network("lean", LARGE)
    with torch.no_grad():
        network.get_parameter("head.bias").add_(colour)
    training = {"style_px": 200, "style_weight": 7.0, "steps": 9999}
    return Checkpoint(
        "lean", network.state_dict(), LARGE, name=name, artist="A. Painter", training=training
    )


class Log(list[Progress]):
    def __call__(self, progress: Progress) -> None:
        self.append(progress)


@pytest.fixture
def make(photo_folder: Path, tmp_path: Path) -> Any:
    def distillation(
        config: TrainingConfig, *teachers: Checkpoint, name: str = "small.pth"
    ) -> Distillation:
        photos = find_photos(photo_folder)  # broken ones among them
        return Distillation(config, teachers, photos, tmp_path / name, workers=0)

    return distillation


def test_distance_counts_levels_of_pixels_and_of_slopes() -> None:
    picture = torch.rand(1, 3, 8, 8) * 255
    assert float(distance(picture, picture)) == pytest.approx(0, abs=1e-5)
    lighter = picture + 100
    # sqrt(100² + 2²) - 2 for the pixels; slopes are the same.
    assert float(distance(lighter, picture)) == pytest.approx(98.02, abs=0.01)
    columns = picture + 100 * (torch.arange(8) % 2)
    # Half of the pixels are 100 off, every slope to the right is, none downwards.
    assert float(distance(columns, picture)) == pytest.approx(98.02 / 2 + 98.02, abs=0.01)


def test_the_student_comes_nearer_to_its_teacher(make: Any, tmp_path: Path) -> None:
    log = Log()
    config = replace(TINY, steps=60, validate_every=15)
    best = make(config, teacher(1, "starry", 0.8)).run(log)
    totals = [progress.validation["total"] for progress in log if progress.validation]
    assert min(totals) < 0.7 * log[0].losses["total"]
    assert best.scores["total"] == min(totals)
    written = load_checkpoint(tmp_path / "small.pth")
    assert (written.name, written.artist) == ("starry", "A. Painter")
    assert SMALL.items() <= written.network.items()


def test_each_style_of_a_student_of_many_is_its_teachers(make: Any, tmp_path: Path) -> None:
    config = replace(TINY, steps=80, validate_every=40, network={**SMALL, "styles": 2})
    light = teacher(1, "light", 1.5)
    light = replace(light, training={**light.training, "style_weight": 12.0})
    make(config, teacher(1, "dark", -1.5), light).run(Log())
    written = load_checkpoint(tmp_path / "small.pth")
    assert written.style_names == ("dark", "light")
    assert [style["style_weight"] for style in written.styles] == [7.0, 12.0]
    photo = torch.full((1, 3, 48, 48), 128.0)
    with torch.no_grad():
        painted = [written.single_style(name).build()(photo) for name in ("dark", "light")]
    assert float((painted[1] - painted[0]).mean()) > 50


def test_crops_of_several_sizes_are_validated_on_too(make: Any) -> None:
    training = make(replace(TINY, crop_px=64, crop_spread=1.5), teacher(1, "starry"))
    ensure_validated_at(training, (64, 32, 96))


def test_a_resumed_distillation_repeats_an_uninterrupted_one(make: Any) -> None:
    master = teacher(1, "starry")
    expected = make(TINY, master, name="whole.pth").run(Log())

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(TINY, master).run(stop)
    second = make(TINY, master)
    second.resume()
    assert second.step == 3
    got = second.run(Log())
    for name, value in expected.weights.items():
        torch.testing.assert_close(got.weights[name], value)


def test_it_begins_with_a_network_of_the_students_kind_only(make: Any) -> None:
    student = make(TINY, teacher(1, "starry"))
    small = build_network("lean", SMALL)
    student.begin(Checkpoint("lean", small.state_dict(), SMALL))
    for name, value in small.state_dict().items():
        assert torch.equal(student.network.state_dict()[name], value)
    with pytest.raises(CheckpointError):
        student.begin(teacher(2, "large"))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_command(
    photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large, other, recipe = (tmp_path / name for name in ("large.pth", "other.pth", "small.toml"))
    save_checkpoint(teacher(1, "starry"), large)
    save_checkpoint(teacher(2, "scream"), other)
    lines = [f"{key} = {value}" for key, value in SMALL.items()]
    recipe.write_text("\n".join(["validation_photos = 1", "[network]", *lines]))
    few = ["--steps", 2, "--batch-size", 1, "--crop", 48, "--workers", 0, "--config", recipe]
    options = ["--content", photo_folder, *few]

    output = tmp_path / "small.pth"
    assert run("distill", large, *options, "--output", output) == 0
    assert "taught by starry" in capsys.readouterr().err
    made = load_checkpoint(output)
    assert (made.name, made.step) == ("starry", 2)
    assert SMALL.items() <= made.network.items()
    # So that `train --from small.pth` goes on with what the teacher was trained for.
    assert (made.training["style_px"], made.training["style_weight"]) == (200, 7.0)
    assert made.training["steps"] == 2

    assert run("distill", large, *options, "--output", output) == 2
    assert "exists" in capsys.readouterr().err
    left = tmp_path / "new.resume.pth"
    left.write_bytes(b"hours of work")
    assert run("distill", large, *options, "--output", tmp_path / "new.pth") == 2
    assert "--resume goes on with it" in capsys.readouterr().err

    many = tmp_path / "many.pth"
    begun = ["--from", output, "--output", many, "--lr", 1e-9]
    assert run("distill", large, other, *options, *begun) == 0
    taught = load_checkpoint(many)
    assert taught.style_names == ("starry", "scream")
    for name, value in taught.single_style("scream").weights.items():
        torch.testing.assert_close(value, made.weights[name], msg=f"{name} is not what it began as")
    capsys.readouterr()
    assert run("distill", many, *options, "--output", tmp_path / "wrong.pth") == 2
    assert "a teacher should paint in one" in capsys.readouterr().err
    assert run("distill", "nothing", *options, "--output", tmp_path / "wrong.pth") == 2
    assert "TEACHER: there is no checkpoint 'nothing'" in capsys.readouterr().err
    assert run("distill", large, large, *options, "--output", tmp_path / "wrong.pth") == 2
    assert "two of the teachers are called 'starry'" in capsys.readouterr().err
    johnson = tmp_path / "johnson.pth"
    save_checkpoint(Checkpoint("johnson", build_network("johnson").state_dict()), johnson)
    begun = ["--from", johnson, "--output", tmp_path / "wrong.pth"]
    assert run("distill", large, *options, *begun) == 2
    assert "it is of architecture johnson" in capsys.readouterr().err
    recipe.write_text('architecture = "any"\n')
    assert run("distill", large, *options, "--output", tmp_path / "wrong.pth") == 2
    assert "architecture any cannot be taught 1 style" in capsys.readouterr().err
    assert not (tmp_path / "wrong.pth").exists()
