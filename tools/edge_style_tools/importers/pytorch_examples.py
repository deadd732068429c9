"""Checkpoints of pytorch/examples' `fast_neural_style`, in all the ways people saved them."""

from collections.abc import Mapping

from torch import Tensor, nn

from edge_style.errors import CheckpointError
from edge_style_training.checkpoint import shape_of
from edge_style_training.networks import build_network

ARCHITECTURE = "johnson"

# What PyTorch before 0.4 kept for instance normalization, and later versions refuse.
_DEPRECATED = ("running_mean", "running_var", "num_batches_tracked")


def recognizes(state: Mapping[str, Tensor]) -> bool:
    """Whether the first and the last layer have the names of `TransformerNet`."""
    return {"conv1.conv2d.weight", "deconv3.conv2d.weight"} <= state.keys()


def read(state: Mapping[str, Tensor]) -> nn.Module:
    """Johnson's network with these weights.

    Raises:
        CheckpointError: keys or shapes are not those of `TransformerNet`.
    """
    network = build_network(ARCHITECTURE)
    kept = {key: value for key, value in state.items() if not key.endswith(_DEPRECATED)}
    load(network, kept, "a checkpoint of pytorch/examples")
    return network


def load(network: nn.Module, state: Mapping[str, Tensor], kind: str) -> None:
    """Put `state` into `network`, with a message that names what does not fit.

    Raises:
        CheckpointError: keys or shapes differ.
    """
    wanted = network.state_dict()
    for key, value in wanted.items():
        if key not in state:
            raise CheckpointError(f"this looks like {kind}, but lacks '{key}'")
        expected, got = list(value.shape), shape_of(state[key])
        if got != expected:
            raise CheckpointError(
                f"this looks like {kind}, but '{key}' is {got}, expected {expected}"
            )
    unknown = sorted(state.keys() - wanted.keys())
    if unknown:
        raise CheckpointError(f"this looks like {kind}, but has '{unknown[0]}' too")
    network.load_state_dict({key: value.float() for key, value in state.items()})
    network.eval()
