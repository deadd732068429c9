import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_style_tools import verify
from edge_style_training.checkpoint import Checkpoint, save_checkpoint
from edge_style_training.networks import build_network
from edge_style_training.networks.lapped import LappedUpsample

TINY = {"width": 8, "blocks": 1, "norm": "batch", "instance_at": []}


def seasoned(network: nn.Module) -> nn.Module:
    """As after some training: normalizations that change something, pictures with contrast."""
    generator = torch.Generator().manual_seed(5)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.normal_(0, 0.3, generator=generator)
        if isinstance(layer, nn.BatchNorm2d):
            layer.get_buffer("running_mean").normal_(0, 0.3, generator=generator)
            layer.get_buffer("running_var").uniform_(0.5, 2, generator=generator)
        if isinstance(layer, LappedUpsample):
            layer.weight.data *= 5
    return network.eval()


def tiny_network(**config: object) -> nn.Module:
    torch.manual_seed(3)
    return seasoned(build_network("lean", {**TINY, **config}))


def write_checkpoint(path: Path, **config: object) -> Path:
    save_checkpoint(
        Checkpoint(
            "lean",
            tiny_network(**config).state_dict(),
            {**TINY, **config},
            name="tiny",
            painting="A Painting",
            artist="A Painter",
            licence="public domain",
            step=7,
            training={"seed": 3},
            scores={"style_loss": 1.5},
        ),
        path,
    )
    return path


@dataclass(frozen=True)
class Tiny:
    """Small lean networks, the same at each call, and checkpoints of them."""

    network: Callable[..., nn.Module]
    write: Callable[..., Path]


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return Tiny(tiny_network, write_checkpoint)


@pytest.fixture(scope="session", autouse=True)
def _quick_verification() -> Iterator[None]:
    """Smaller photos than users get: these runs are many, and two cores are few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "SIZES_PX", ((16, 16), (17, 31), (130, 170)))
        yield


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    os.umask(0o022)
    return tmp_path
