"""What can be exported: files of several kinds, recognized by what is in them."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edge_style.contract import ModelSpec
from edge_style_training.checkpoint import Checkpoint, load_checkpoint


@dataclass(frozen=True)
class NetworkSource:
    """A network that was read from a file.

    Attributes:
        network: RGB float frames [1, 3, H, W], 0..255, to stylized frames of the same scale.
        spec: what is known about it; precision and figures are filled in at export.
        found: what the file was, in words for the user.
    """

    network: nn.Module
    spec: ModelSpec
    found: str


def read_source(path: Path) -> NetworkSource:
    """Recognize and read a checkpoint.

    Raises:
        CheckpointError: no such file, damaged, or of no known kind.
    """
    return from_checkpoint(load_checkpoint(path), path)


def from_checkpoint(checkpoint: Checkpoint, path: Path) -> NetworkSource:
    """A checkpoint of this project."""
    network = checkpoint.build()
    stride_px = getattr(network, "stride_px", 1)
    spec = ModelSpec(
        name=checkpoint.name or path.stem,
        architecture=checkpoint.architecture,
        precision="fp32",
        painting=checkpoint.painting,
        artist=checkpoint.artist,
        year=checkpoint.year,
        licence=checkpoint.licence,
        source=checkpoint.source,
        stride_px=stride_px if isinstance(stride_px, int) else 1,
        training=dict(checkpoint.training) | {"step": checkpoint.step},
        scores=dict(checkpoint.scores),
        checkpoint_sha256=checkpoint.sha256,
    )
    return NetworkSource(network, spec, f"a checkpoint of edge-style, {checkpoint.architecture}")
