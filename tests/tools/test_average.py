"""`tools/average.py`: the mean of the weights of several trainings."""

import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_style_training.networks import build_network

SCRIPT = Path(__file__).parents[2] / "tools" / "average.py"
NETWORK = {"width": 8, "blocks": 1}


ANY = {"code": 16, "directions": 2, "hidden": 8, "transformer": {"width": 8, "coarse_width": 8}}


def trained(path: Path, seed: int, **network: int) -> Checkpoint:
    torch.manual_seed(seed)
    settings = {**NETWORK, **network}
    weights = build_network("lean", settings).state_dict()
    made = Checkpoint("lean", weights, settings, name=path.stem, step=seed, scores={"total": 1.0})
    save_checkpoint(made, path)
    return made


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_weights_are_the_mean_and_scores_are_gone(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.pth" for number in (1, 2)]
    one, other = (trained(path, number) for number, path in enumerate(paths, 1))
    done = run(*paths, "--output", tmp_path / "mean.pth")
    assert done.returncode == 0, done.stderr
    mean = load_checkpoint(tmp_path / "mean.pth")
    assert (mean.name, mean.step, mean.scores) == ("2", 2, {})
    for name, weight in mean.weights.items():
        expected = (one.weights[name].float() + other.weights[name].float()) / 2
        torch.testing.assert_close(weight.float(), expected)
    frame = torch.rand(1, 3, 48, 48) * 255
    assert mean.build()(frame).shape[:2] == (1, 3)


def test_a_mean_for_any_style_has_feedback_yet_to_learn(tmp_path: Path) -> None:
    one, other, output = (tmp_path / f"{name}.pth" for name in ("one", "other", "mean"))
    for path, feedback in ((one, False), (other, True)):
        settings = {**ANY, "feedback": feedback}
        weights = build_network("any", settings).state_dict()
        training = {"seed": 3, "feedback_styles": 9}
        save_checkpoint(Checkpoint("any", weights, settings, training=training), path)
    for paths in ([one, other], [other, other]):
        done = run(*paths, "--output", output)
        assert done.returncode == 0, done.stderr
        assert f"train-any --from {output} --only-feedback" in done.stderr
        mean = load_checkpoint(output)
        assert mean.network["feedback"] is False
        assert mean.training == {"seed": 3}
        assert not [name for name in mean.weights if name.startswith("feedback.")]
        mean.build()


@pytest.mark.parametrize(
    ("architecture", "settings", "later"),
    [("any", ANY, "feedback"), ("lean", {**NETWORK, "head_norm": True}, "instance_at")],
)
def test_a_file_from_before_a_setting_was_is_of_the_same_network(
    architecture: str, settings: dict[str, Any], later: str, tmp_path: Path
) -> None:
    before, now, output = (tmp_path / f"{name}.pth" for name in ("before", "now", "mean"))
    weights = OrderedDict(build_network(architecture, settings).state_dict())
    save_checkpoint(Checkpoint(architecture, weights, settings), now)
    said = {key: value for key, value in load_checkpoint(now).network.items() if key != later}
    weights._metadata = {"edge_style": {"architecture": architecture, "network": said}}  # type: ignore[attr-defined] # PyTorch's own
    torch.save(weights, before)
    assert later not in load_checkpoint(before).network
    done = run(before, now, "--output", output)
    assert done.returncode == 0, done.stderr
    for name, weight in weights.items():
        torch.testing.assert_close(load_checkpoint(output).weights[name], weight)


def test_networks_that_differ_have_no_mean(tmp_path: Path) -> None:
    trained(tmp_path / "a.pth", 1)
    trained(tmp_path / "b.pth", 2, width=16)
    done = run(tmp_path / "a.pth", tmp_path / "b.pth", "--output", tmp_path / "mean.pth")
    assert (done.returncode, done.stderr) == (2, "error: 'a' and 'b' are of different networks\n")
    assert not (tmp_path / "mean.pth").exists()


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    done = run(tmp_path / "missing.pth", "--output", tmp_path / "mean.pth")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
