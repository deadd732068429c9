"""What can be exported: files of several kinds, recognized by what is in them."""

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import onnx
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from edge_style.catalog import MODEL_SUFFIX
from edge_style.contract import ModelSpec, Precision
from edge_style.errors import CheckpointError
from edge_style_tools.importers import deeplearnjs, lengstrom, onnx_model, pytorch_examples, rrmina
from edge_style_tools.onnx_export import network_to_onnx
from edge_style_tools.style_codes import codes_to_try
from edge_style_tools.verify import Floats, Reference, network_reference
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, load_tensors
from edge_style_training.networks.any_style import AnyEncoder, AnyStyleNet

# Where people put the weights when they save more than them.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
# What data-parallel training and torch.compile put before every key.
_PREFIXES = ("module.", "_orig_mod.")
_SAFETENSORS_SUFFIX = ".safetensors"
_LARGEST_CHECKPOINT_BYTES = 1 << 30


class Source(Protocol):
    """What `export` needs of a network, wherever it comes from.

    Attributes:
        spec: what is known about it; precision and figures are filled in at export.
        found: what the file was, in words for the user.
        parameters: number of weights.
    """

    @property
    def spec(self) -> ModelSpec: ...
    @property
    def found(self) -> str: ...
    @property
    def parameters(self) -> int: ...
    @property
    def codes(self) -> Sequence[Floats]:
        """Codes [S] of styles to try and to calibrate with, of a network that takes codes."""
        ...

    def to_onnx(self, *, precision: Precision, size: tuple[int, int] | None) -> onnx.ModelProto:
        """The network inside the model contract; see `onnx_export.network_to_onnx`."""
        ...

    def reference(self) -> Reference:
        """What the network itself makes of a photo, without anything that export does."""
        ...


@dataclass(frozen=True)
class NetworkSource:
    """A network that was read from a file.

    Attributes:
        network: RGB float frames [1, 3, H, W], 0..255, to stylized frames of the same scale.
        spec: what is known about it; precision and figures are filled in at export.
        found: what the file was, in words for the user.
        encoder: of a network that takes the codes of styles, what gives them.
    """

    network: nn.Module
    spec: ModelSpec
    found: str
    encoder: AnyEncoder | None = None

    @cached_property
    def codes(self) -> Sequence[Floats]:
        """See `style_codes.codes_to_try`."""
        return () if self.encoder is None else codes_to_try(self.encoder)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.network.parameters())

    def to_onnx(self, *, precision: Precision, size: tuple[int, int] | None) -> onnx.ModelProto:
        """See `onnx_export.network_to_onnx`."""
        return network_to_onnx(
            self.network,
            precision=precision,
            size=size,
            styles=self.spec.code_length or max(1, len(self.spec.styles)),
        )

    def reference(self) -> Reference:
        """See `verify.network_reference`."""
        return network_reference(self.network)


def read_source(path: Path, style: str = "") -> Source:
    """Recognize and read a network: a checkpoint, a folder of deeplearn.js, a foreign ONNX file.

    Args:
        path: the file or folder.
        style: one of those that a many-style checkpoint knows, to have it alone.

    Raises:
        CheckpointError: no such file, damaged, hostile, or of no known kind.
        ModelError: the same, of an `.onnx` file.
    """
    if path.suffix.lower() == MODEL_SUFFIX:
        if style:
            raise CheckpointError("--style is for many-style checkpoints, not for .onnx files")
        return onnx_model.read(path)
    return read_checkpoint(path, style)


def read_checkpoint(path: Path, style: str = "") -> NetworkSource:
    """Recognize and read a checkpoint: a file, or a folder of deeplearn.js.

    Args:
        path: the file or folder.
        style: one of those that a many-style checkpoint knows, to have it alone.

    Raises:
        CheckpointError: no such file, damaged, hostile, or of no known kind.
    """
    if path.is_dir():
        lengstrom_network, sha256 = deeplearnjs.read(path)
        source = _foreign(
            lengstrom_network, path.resolve(), lengstrom.ARCHITECTURE, "a deeplearn.js folder"
        )
        return replace(source, spec=replace(source.spec, checkpoint_sha256=sha256))
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    _refuse_bombs(path)
    is_safetensors = path.suffix.lower() == _SAFETENSORS_SUFFIX
    loaded = _load_safetensors(path) if is_safetensors else load_tensors(path)
    if "edge_style" in getattr(loaded, "_metadata", {}):
        checkpoint = load_checkpoint(path)
        return from_checkpoint(checkpoint.single_style(style) if style else checkpoint, path)
    if style:
        raise CheckpointError(f"--style is for many-style checkpoints, and {path} is none")
    state = unwrap(loaded)
    network: nn.Module
    if pytorch_examples.recognizes(state):
        network = pytorch_examples.read(state)
        kind, architecture = "a checkpoint of pytorch/examples", pytorch_examples.ARCHITECTURE
    elif rrmina.recognizes(state):
        network = rrmina.read(state)
        kind, architecture = "a checkpoint of rrmina", rrmina.ARCHITECTURE
    else:
        keys = ", ".join(list(state)[:3]) or "nothing"
        raise CheckpointError(
            f"{path} is of no known kind: expected a checkpoint of edge-style, pytorch/examples or "
            f"rrmina, got {keys}"
        )
    return _foreign(network, path, architecture, kind)


def from_checkpoint(checkpoint: Checkpoint, path: Path) -> NetworkSource:
    """A checkpoint of this project."""
    network: nn.Module = checkpoint.build()
    encoder = None
    if isinstance(network, AnyStyleNet):
        encoder, network = network.whole_encoder, network.transformer
    spec = ModelSpec(
        name=checkpoint.name or path.stem,
        architecture=checkpoint.architecture,
        precision="fp32",
        painting=checkpoint.painting,
        artist=checkpoint.artist,
        year=checkpoint.year,
        licence=checkpoint.licence,
        source=checkpoint.source,
        styles=checkpoint.style_names,
        code_length=0 if encoder is None else encoder.code,
        stride_px=_stride_px(network),
        training=dict(checkpoint.training) | {"step": checkpoint.step},
        scores=dict(checkpoint.scores),
        checkpoint_sha256=checkpoint.sha256,
    )
    found = f"a checkpoint of edge-style, {checkpoint.architecture}"
    if checkpoint.styles:
        found += f" of {len(checkpoint.styles)} styles: {', '.join(checkpoint.style_names)}"
    return NetworkSource(network, spec, found, encoder)


def unwrap(loaded: Any) -> Mapping[str, Tensor]:
    """The weights in what was loaded, without wrappers and prefixes of their names.

    Raises:
        CheckpointError: there are none.
    """
    for _ in range(3):
        if not isinstance(loaded, Mapping):
            break
        inner = [loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)]
        if not inner:
            break
        loaded = inner[0]
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"expected named weights, got {type(loaded).__name__}")
    state = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    for prefix in _PREFIXES * 2:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _foreign(network: nn.Module, path: Path, architecture: str, kind: str) -> NetworkSource:
    finite = all(bool(torch.isfinite(weight).all()) for weight in network.state_dict().values())
    if not finite:
        raise CheckpointError(f"{path} holds weights that are not finite")
    spec = ModelSpec(
        name=path.stem,
        architecture=architecture,
        precision="fp32",
        stride_px=_stride_px(network),
        checkpoint_sha256="" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    return NetworkSource(network, spec, f"{kind}, {architecture}")


def _stride_px(network: nn.Module) -> int:
    stride_px = getattr(network, "stride_px", 1)
    return stride_px if isinstance(stride_px, int) else 1


def _load_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: damaged or truncated") from error


def _refuse_bombs(path: Path) -> None:
    """PyTorch's files are zip archives whose entries it stores as they are.

    Raises:
        CheckpointError: the file is too large, or would be once unpacked.
    """
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                size = max(size, sum(entry.file_size for entry in archive.infolist()))
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise CheckpointError(f"{path} is not a checkpoint: damaged archive") from error
    if size > _LARGEST_CHECKPOINT_BYTES:
        raise CheckpointError(f"{path} claims {size / 1e9:.1f} GB, too much for a style network")
