"""`train --from`: another painting begins with what a network knows already."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge_style import cli
from edge_style.errors import CheckpointError, WeightsError
from edge_style_training.base import (
    BASE_NAME,
    BASE_STYLE,
    checkpoint_folders,
    find_base,
    settings_from,
)
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import find_photos
from edge_style_training.networks import build_network
from edge_style_training.networks.lean import LeanConfig, LeanNet
from edge_style_training.validation import hold_out, read_crops

NETWORK = {"width": 8, "blocks": 1, "coarse_blocks": 0}


@pytest.fixture
def base_file(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    network = build_network("lean", NETWORK)
    training = TrainingConfig(style_px=80, style_weight=11.0, steps=9000, learning_rate=0.5)
    path = tmp_path / "base.pth"
    save_checkpoint(
        Checkpoint("lean", network.state_dict(), NETWORK, training=training.as_dict()), path
    )
    return path


def test_base_has_weights_for_any_painting_and_a_checkpoint_its_own(base_file: Path) -> None:
    own = load_checkpoint(base_file)
    own = replace(own, training={**own.training, "grid_weight": 7.0, "consistency_weight": 3.0})
    taken = TrainingConfig(**settings_from(own, str(base_file)))
    assert (taken.style_weight, taken.consistency_weight, taken.grid_weight) == (11.0, 3.0, 7.0)
    for_any = TrainingConfig(**settings_from(own, BASE_NAME))
    assert (for_any.style_weight, for_any.consistency_weight, for_any.grid_weight) == (12, 100, 7)


def test_what_is_begun_with_a_guess_is_short_and_looks_at_each_photo_once() -> None:
    base = load_checkpoint(find_base("any"))
    assert base.training["consistency_weight"] > 0
    config = TrainingConfig(**settings_from(base, "any"))
    assert (config.architecture, config.network["styles"]) == ("lean", 1)
    assert (config.steps, config.consistency_weight, config.grid_weight) == (200, 0.0, 0.0)
    assert config.style_weight == base.training["style_weight"]
    several = TrainingConfig(**settings_from(base, "any", 3))
    assert (several.network["styles"], several.steps, several.validate_every) == (3, 600, 300)


def train(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_shipped_base_can_be_begun_with() -> None:
    path = find_base("base")
    assert path == checkpoint_folders()[0] / f"{BASE_STYLE}.pth"
    base = load_checkpoint(path)
    config = TrainingConfig(**settings_from(base, BASE_NAME))
    assert (config.style_px, config.steps) == (base.training["style_px"], 1500)
    assert (config.batch_size, config.crop_px) == (1, 320)
    assert base.build()(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)


def test_network_and_objective_are_taken_over_and_the_pace_is_not(
    base_file: Path, painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "new.pth"
    options = ["--content", photo_folder, "--vgg", vgg_file, "--output", output, "--workers", 0]
    few = ["--steps", 1, "--batch-size", 1, "--crop", 32, "--validation-photos", 1]
    few += ["--style-weight", 3, "--lr", 1e-6]
    assert train(painting_file, *options, *few, "--from", base_file) == 0
    made, base = load_checkpoint(output), load_checkpoint(base_file)
    assert NETWORK.items() <= made.network.items()
    # What was said on the command line goes first.
    assert (made.training["style_px"], made.training["style_weight"]) == (80, 3.0)
    assert made.training["learning_rate"] == 1e-6
    for key, value in base.weights.items():
        torch.testing.assert_close(made.weights[key], value, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("known", "many"), [(1, False), (1, True), (2, False)])
def test_a_base_without_a_norm_in_front_of_the_head_can_be_given_one(
    painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path, known: int, many: bool
) -> None:
    torch.manual_seed(1)
    without = {**NETWORK, "head_norm": False}
    begun = Checkpoint("lean", build_network("lean", without).state_dict(), without)
    base = begun
    if known > 1:
        network = LeanNet(LeanConfig(**without))
        network.load_state_dict(dict(begun.weights))
        weights = network.with_styles(known).state_dict()
        styles = [{"name": f"style-{number}"} for number in range(known)]
        base = Checkpoint("lean", weights, {**without, "styles": known}, styles=styles)
    save_checkpoint(base, tmp_path / "base.pth")
    recipe, output = tmp_path / "recipe.toml", tmp_path / "new.pth"
    recipe.write_text("[network]\nhead_norm = true\n")
    options = ["--content", photo_folder, "--vgg", vgg_file, "--output", output, "--workers", 0]
    few = ["--steps", 1, "--batch-size", 1, "--crop", 64, "--validation-photos", 1, "--lr", 1e-9]

    if many:
        (tmp_path / "other.png").write_bytes(painting_file.read_bytes())
        few += ["--many", tmp_path / "other.png"]
    arguments = [*options, *few, "--config", recipe, "--from", tmp_path / "base.pth"]
    assert train(painting_file, *arguments) == 0

    made = load_checkpoint(output)
    made = made.single_style("other") if many else made
    assert (begun.network["head_norm"], made.network["head_norm"]) == (False, True)
    # Untouched, a normalization would have brought every feature to deviation one.
    held_out, _ = hold_out(find_photos(photo_folder), 1)
    photo = read_crops(held_out, 64)
    with torch.no_grad():
        torch.testing.assert_close(made.build()(photo), begun.build()(photo), rtol=0, atol=0.5)


@pytest.mark.parametrize("many", [False, True])
def test_a_base_can_get_further_coarse_blocks_and_detail(
    painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path, many: bool
) -> None:
    torch.manual_seed(2)
    network = {**NETWORK, "coarse_blocks": 1, "coarse_width": 8}
    begun = Checkpoint("lean", build_network("lean", network).state_dict(), network)
    save_checkpoint(begun, tmp_path / "base.pth")
    recipe, output = tmp_path / "recipe.toml", tmp_path / "new.pth"
    recipe.write_text("[network]\ncoarse_blocks = 3\ndetail = 4\n")
    options = ["--content", photo_folder, "--vgg", vgg_file, "--output", output, "--workers", 0]
    options += ["--steps", 1, "--batch-size", 1, "--crop", 64, "--validation-photos", 1]
    if many:
        (tmp_path / "other.png").write_bytes(painting_file.read_bytes())
        options += ["--many", tmp_path / "other.png"]
    arguments = [*options, "--lr", 1e-9, "--config", recipe, "--from", tmp_path / "base.pth"]
    assert train(painting_file, *arguments) == 0

    made = load_checkpoint(output)
    made = made.single_style("other") if many else made
    assert (made.network["coarse_blocks"], made.network["detail"]) == (3, 4)
    photo = 255 * torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(made.build()(photo), begun.build()(photo), rtol=0, atol=0.5)

    recipe.write_text("[network]\ncoarse_blocks = 3\nwidth = 16\n")
    assert train(painting_file, *arguments, "--force") == 2


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("width = 16", "(width)"),
        ("blocks = 2", "(blocks)"),
        ('norm = "instance"\ninstance_at = []', "(instance_at, norm)"),
    ],
)
def test_a_base_of_another_network_is_refused_in_a_line(
    base_file: Path,
    painting_file: Path,
    photo_folder: Path,
    vgg_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    network: str,
    said: str,
    many: bool,
) -> None:
    recipe, output = tmp_path / "recipe.toml", tmp_path / "new.pth"
    recipe.write_text(f"[network]\n{network}\n")
    options = ["--content", photo_folder, "--vgg", vgg_file, "--output", output, "--workers", 0]
    options += ["--config", recipe, "--from", base_file]
    other = painting_file.with_name("other.png")
    other.write_bytes(painting_file.read_bytes())
    paintings = [painting_file, other, "--many"] if many else [painting_file]
    assert train(*paintings, *options) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: the network to begin with has other settings")
    assert said in error


def test_a_base_for_many_need_not_be_styled_everywhere(
    base_file: Path, painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.png").write_bytes(painting_file.read_bytes())
    recipe, output = tmp_path / "recipe.toml", tmp_path / "new.pth"
    recipe.write_text("[network]\nstyled_at = [0]\n")
    options = ["--content", photo_folder, "--vgg", vgg_file, "--output", output, "--workers", 0]
    options += ["--steps", 1, "--batch-size", 1, "--crop", 32, "--validation-photos", 1]
    options += ["--lr", 1e-6, "--config", recipe, "--from", base_file, "--many"]
    assert train(painting_file, tmp_path / "other.png", *options) == 0
    made = load_checkpoint(output)
    assert made.network["styled_at"] == [0]
    assert made.weights["stem.1.weight"].shape == (2, 8)
    assert made.weights["body.0.norm1.weight"].shape == (8,)
    # What is styled where means nothing to a single one.
    alone = made.single_style("other")
    assert (alone.network["styles"], alone.network["styled_at"]) == (1, None)
    for key, value in load_checkpoint(base_file).weights.items():
        torch.testing.assert_close(alone.weights[key], value, atol=1e-4, rtol=0)


def test_a_base_for_any_style_of_settings_unknown_here_is_an_error_of_its_own(
    base_file: Path,
) -> None:
    later = replace(load_checkpoint(base_file), architecture="any", network={"later": 1})
    with pytest.raises(WeightsError, match="unexpected keyword argument 'later'"):
        settings_from(later, "later.pth")


def test_an_unknown_base_is_named(
    painting_file: Path,
    photo_folder: Path,
    vgg_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--content", photo_folder, "--vgg", vgg_file, "--output", tmp_path / "new.pth"]
    assert train(painting_file, *options, "--from", "bse") == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: --from: there is no checkpoint 'bse'")
    assert BASE_NAME in error
    with pytest.raises(CheckpointError):
        find_base("missing/folder/base.pth")
