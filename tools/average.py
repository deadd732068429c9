"""The mean of the weights of several trainings that began from one another.

    python tools/average.py any.pth any-further.pth --output any.pth

Weights before and after a training that went on lie close enough together that what lies between
them paints as well as both or better ("Model soups", Wortsman et al. 2022, arXiv 2203.05482). What
the file says of itself is the last one's, without its scores: those are to be measured anew.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from edge_style.errors import EdgeStyleError, UsageError
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def average(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """The last one, with the mean of all weights and without scores.

    Raises:
        UsageError: they are not of one network.
    """
    *_, last = checkpoints
    for one in checkpoints:
        if (one.architecture, one.network) != (last.architecture, last.network):
            raise UsageError(f"'{one.name}' and '{last.name}' are of different networks")
    weights = {
        name: _mean([one.weights[name] for one in checkpoints], weight)
        for name, weight in last.weights.items()
    }
    return replace(last, weights=weights, scores={})


def _mean(weights: Sequence[Tensor], like: Tensor) -> Tensor:
    if not like.is_floating_point():
        return like
    return torch.stack([weight.float() for weight in weights]).mean(dim=0).to(like.dtype)


def main() -> int:
    """Read the command line; status 2 after a mistake."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        save_checkpoint(
            average([load_checkpoint(path) for path in options.checkpoints]), options.output
        )
    except EdgeStyleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
