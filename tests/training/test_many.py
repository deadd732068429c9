"""`train --many`: one network for many paintings, and each of its styles alone."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import nn

from edge_style import cli
from edge_style.errors import CheckpointError
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_style_training.networks import build_network
from edge_style_training.networks.lean import LeanNet, StyleNorm
from edge_style_training.schedule import styles_in_turn

from .conftest import textured

NETWORK = {"width": 8, "blocks": 1, "coarse_blocks": 1, "coarse_width": 8, "instance_at": [0, 2]}
RECIPE = """
steps = 6
batch_size = 2
crop_px = 48
style_px = 64
style_weight = 2.0
consistency_weight = 1.0
grid_weight = 1.0
validation_photos = 1
validate_every = 3
checkpoint_every = 3

[network]
width = 8
blocks = 1
coarse_blocks = 1
coarse_width = 8
instance_at = [0, 2]

[credits.dark]
name = "night"
painting = "At Night"
artist = "Somebody"
year = "1901"
"""


@pytest.fixture
def paintings(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in ("dark", "pale", "third")]
    for seed, path in enumerate(paths):
        cv2.imwrite(str(path), textured(90, 120, 50 + seed) // (1 + seed))
    return paths


def train(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", *map(str, arguments)])
    return int(ended.value.code or 0)


def many_network() -> LeanNet:
    torch.manual_seed(2)
    network = build_network("lean", {**NETWORK, "styles": 3})
    assert isinstance(network, LeanNet)
    for layer in network.modules():
        if isinstance(layer, StyleNorm):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
    return network.eval()


def test_each_style_alone_paints_as_in_the_network_of_many() -> None:
    many = many_network()
    photo = 255 * torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        pictures = [many(photo, F.one_hot(torch.tensor([n]), 3).float()) for n in range(3)]
        for number, picture in enumerate(pictures):
            torch.testing.assert_close(many.single_style(number)(photo), picture)
    assert float((pictures[0] - pictures[1]).abs().mean()) > 1


def test_a_network_of_many_begins_as_the_single_one_it_was_made_from() -> None:
    single = many_network().single_style(1)
    many = single.with_styles(4)
    photo = 255 * torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(many(photo, torch.tensor([[0.0, 0, 0, 1]])), single(photo))
        some = single.with_styles(4, (0, 2))
        torch.testing.assert_close(some(photo, torch.tensor([[0.0, 0, 0, 1]])), single(photo))
    assert len(list(some.normalizations())) < len(list(many.normalizations()))
    with pytest.raises(ValueError, match="4 styles"):
        many.with_styles(2)


@pytest.mark.parametrize(("styles", "batch"), [(3, 2), (4, 4), (2, 5)])
def test_every_round_has_each_style_once_however_batches_cut_it(styles: int, batch: int) -> None:
    turns = torch.cat([styles_in_turn(n * batch, batch, styles, seed=1) for n in range(2 * styles)])
    whole = styles_in_turn(0, 2 * styles * batch, styles, seed=1)
    assert torch.equal(turns, whole)
    rounds = turns.view(-1, styles)
    assert torch.equal(rounds.sort(dim=1).values, torch.arange(styles).expand_as(rounds))
    assert len(rounds.unique(dim=0)) > 1, "not always in one order"


def test_two_paintings_of_one_name_are_refused(
    paintings: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more").mkdir()
    again = tmp_path / "more" / "dark.png"
    again.write_bytes(paintings[1].read_bytes())
    options = ["--content", tmp_path, "--output", tmp_path / "many.pth", "--many"]
    assert train(paintings[0], again, *options) == 2
    assert "two of the paintings are called 'dark'" in capsys.readouterr().err


def test_paintings_are_trained_together_and_credited(
    paintings: list[Path], photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    recipe, output = tmp_path / "recipe.toml", tmp_path / "many.pth"
    recipe.write_text(RECIPE)
    options: list[Any] = ["--content", photo_folder, "--vgg", vgg_file, "--workers", 0]
    options += ["--config", recipe, "--output", output]
    assert train(*paintings, *options, "--many") == 0
    made = load_checkpoint(output)
    assert made.style_names == ("night", "pale", "third")
    assert made.styles[0]["artist"] == "Somebody"
    # The first painting's weight is what was said; the others are balanced against it.
    weights = [style["style_weight"] for style in made.styles]
    assert weights[0] == 2.0
    assert len(set(weights)) == 3
    network = made.build()
    norms = [layer for layer in network.modules() if isinstance(layer, StyleNorm)]
    assert norms
    for norm in norms:
        assert len(norm.weight.unique(dim=0)) == 3, "each is trained"

    alone = made.single_style("night")
    assert (alone.name, alone.painting, alone.year) == ("night", "At Night", "1901")
    assert alone.network["styles"] == 1
    assert alone.training["style_weight"] == 2.0
    photo = 255 * torch.rand(1, 3, 40, 56)
    with torch.no_grad():
        torch.testing.assert_close(
            alone.build()(photo), network(photo, torch.tensor([[1.0, 0, 0]]))
        )
    with pytest.raises(CheckpointError, match="night, pale, third"):
        made.single_style("dark")


def test_many_begin_with_one_and_one_with_the_nearest_of_many(
    paintings: list[Path],
    photo_folder: Path,
    vgg_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two, many, new = (tmp_path / f"{name}.pth" for name in ("one", "two", "many", "new"))
    single = many_network().single_style(0)
    save_checkpoint(Checkpoint("lean", single.state_dict(), NETWORK), one)
    options: list[Any] = ["--content", photo_folder, "--vgg", vgg_file, "--workers", 0]
    few = ["--steps", 1, "--batch-size", 1, "--crop", 48, "--validation-photos", 1, "--lr", 1e-6]
    few += ["--style-size", 64, "--style-weight", 5]
    assert train(*paintings, *options, *few, "--many", "--from", one, "--output", many) == 0
    made = load_checkpoint(many)
    for name, value in made.single_style("third").weights.items():
        torch.testing.assert_close(value, single.state_dict()[name], atol=1e-4, rtol=0)

    # Styles that differ, unlike those that have just begun alike.
    made = replace(made, weights=many_network().state_dict())
    save_checkpoint(made, many)
    totals = {}
    for name in made.style_names:
        save_checkpoint(made.single_style(name), tmp_path / f"{name}.pth")
        start = ["--from", tmp_path / f"{name}.pth", "--output", tmp_path / f"{name}-on.pth"]
        assert train(paintings[1], *options, *few, *start) == 0
        totals[load_checkpoint(tmp_path / f"{name}-on.pth").scores["total"]] = name
    capsys.readouterr()
    assert train(paintings[1], *options, *few, "--from", many, "--output", new) == 0
    assert f"begins with {totals[min(totals)]}:" in capsys.readouterr().err
    assert load_checkpoint(new).network["styles"] == 1
    assert train(*paintings[:2], *options, *few, "--many", "--from", many, "--output", two) == 2
    assert "knows 3 styles" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("[credits.dark]\npainter = 'x'\n", r"\[credits.dark\] should hold artist"),
        ("credits = 3\n", "should be tables"),
    ],
)
def test_wrong_credits_are_refused(
    recipe: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe)
    arguments = [tmp_path / "p.png", "--content", tmp_path, "--output", tmp_path / "o.pth"]
    assert train(*arguments, "--config", path) == 2
    assert re.search(said, capsys.readouterr().err)
