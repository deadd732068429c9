"""The mean of the weights of several trainings that began from one another.

    python tools/average.py any.pth any-further.pth --output any.pth

Weights before and after a training that went on lie close enough together that what lies between
them paints as well as both or better ("Model soups", Wortsman et al. 2022, arXiv 2203.05482). What
the file says of itself is the last one's, without its scores: those are to be measured anew. So is
the feedback of a network for any style, which is learned of one transformer and holds for no other.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from edge_style.errors import UsageError
from edge_style_tools.script import run_script
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_style_training.networks import complete_settings


def average(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The last one, with the mean of all weights, and without scores and feedback.

    Raises:
        UsageError: they are not of one network.
        WeightsError: one of them is of a network that cannot be.
    """
    guessing = [one.without_feedback() for one in checkpoints]
    last = guessing[-1]
    network = complete_settings(last.architecture, last.network)
    for one in guessing:
        settings = complete_settings(one.architecture, one.network)
        if (one.architecture, settings) != (last.architecture, network):
            raise UsageError(f"'{one.name}' and '{last.name}' are of different networks")
    weights = {
        name: _mean([one.weights[name] for one in guessing], weight)
        for name, weight in last.weights.items()
    }
    training = {key: value for key, value in last.training.items() if key != "feedback_styles"}
    return replace(last, network=network, weights=weights, training=training, scores={})


def _mean(weights: Sequence[Tensor], like: Tensor) -> Tensor:
    if not like.is_floating_point():
        return like
    return torch.stack([weight.float() for weight in weights]).mean(dim=0).to(like.dtype)


def main() -> None:
    """Read the command line, write the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    mean = average([load_checkpoint(path) for path in options.checkpoints])
    save_checkpoint(mean, options.output)
    if mean.architecture == "any":
        print(
            f"{options.output}: codes are as guessed, train-any --from {options.output} "
            "--only-feedback learns how they are off",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run_script(main)
