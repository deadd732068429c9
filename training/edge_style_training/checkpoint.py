"""Checkpoints: what a training leaves behind, and what it resumes from.

A finished network is a bare `state_dict`, so that pytorch/examples' programs can load a `johnson`
one as it is. What else is to be known about it (architecture, settings, painting, scores) rides
along in the `_metadata` that PyTorch keeps on every `state_dict` and that loading ignores. Nothing
is ever unpickled beyond tensors and plain containers (`weights_only=True`).
"""

import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edge_style.errors import CheckpointError
from edge_style_training.networks import build_network, complete_settings
from edge_style_training.networks.lean import LeanNet

_DESCRIPTION_KEY = "edge_style"
# Of a network for any style, what tries codes.
_FEEDBACK_WEIGHTS = "feedback."
# Files that do not say what their lean network is like are from when these were the defaults.
_EARLIER_DEFAULTS = {"width": 48, "coarse_width": 64, "head_norm": False}


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and what is known about it.

    Attributes:
        architecture, network: key and settings for `networks.build_network`.
        weights: its `state_dict`.
        name, painting, artist, year, licence, source: for the credits in the exported file.
        step: of training, at which these weights were taken.
        training: the resolved training settings, as plain values.
        styles: of a network that knows several, in the order of its weights: of each what `name` to
            `source` say, and `style_weight`, that of its style loss.
        scores: losses on validation photos.
        sha256: of the file it was read from; empty before it is written.
    """

    architecture: str
    weights: Mapping[str, Tensor]
    network: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    painting: str = ""
    artist: str = ""
    year: str = ""
    licence: str = ""
    source: str = ""
    styles: Sequence[Mapping[str, Any]] = ()
    step: int = 0
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""

    def build(self) -> nn.Module:
        """The network with these weights, in evaluation mode.

        A file of a few bytes may describe a network of gigabytes: whether the weights are its is
        known before any memory is taken for it.

        Raises:
            CheckpointError: the weights are not those of the architecture.
        """
        with torch.device("meta"):
            claimed = build_network(self.architecture, self.network)
        self._require_fit(claimed)
        network = build_network(self.architecture, self.network)
        self.load_into(network)
        return network.eval()

    def without_feedback(self) -> "Checkpoint":
        """Of a network for any style, codes as they are guessed; all others are as they were.

        What was learned of codes holds for one transformer, and for one version of this program.
        """
        if self.architecture != "any":
            return self
        weights = {
            name: weight
            for name, weight in self.weights.items()
            if not name.startswith(_FEEDBACK_WEIGHTS)
        }
        return replace(self, network={**self.network, "feedback": False}, weights=weights)

    @property
    def style_names(self) -> tuple[str, ...]:
        """Names of the styles, of a network that knows several; else none."""
        return tuple(str(style["name"]) for style in self.styles)

    def single_style(self, name: str) -> "Checkpoint":
        """The checkpoint of one of the styles alone.

        Raises:
            CheckpointError: it does not know the style.
        """
        if name not in self.style_names:
            known = ", ".join(self.style_names) or "one style only"
            raise CheckpointError(f"the checkpoint knows no style {name!r}: it knows {known}")
        number = self.style_names.index(name)
        network = self.build()
        if not isinstance(network, LeanNet):
            raise CheckpointError(f"architecture {self.architecture!r} knows one style only")
        about = dict(self.styles[number])
        settings = {**self.network, "styles": 1, "styled_at": None}
        weight = about.pop("style_weight", self.training.get("style_weight"))
        return replace(
            self,
            network=settings,
            weights=network.single_style(number).state_dict(),
            training={**self.training, "network": settings, "style_weight": weight},
            styles=(),
            scores={},  # those of all styles together
            **about,
        )

    def load_into(self, network: nn.Module) -> None:
        """Give `network` these weights.

        Raises:
            CheckpointError: they are not its.
        """
        self._require_fit(network)
        network.load_state_dict(dict(self.weights))

    def _require_fit(self, network: nn.Module) -> None:
        """Names and shapes of the weights are those of `network`.

        Raises:
            CheckpointError: they are not.
        """
        wanted, came = network.state_dict(), self.weights
        missing, extra = sorted(wanted.keys() - came.keys()), sorted(came.keys() - wanted.keys())
        what = (missing and f"lacks {missing[0]}") or (extra and f"has {extra[0]}")
        for name in () if what else wanted:
            expected, got = list(wanted[name].shape), shape_of(came[name])
            if got != expected:
                what = f"{name} is {got}, expected {expected}"
                break
        if what and _FEEDBACK_WEIGHTS in what:
            raise CheckpointError(
                "the checkpoint's feedback is of another version of this program: train-any "
                "--only-feedback, with the checkpoint as --from, learns it anew"
            )
        if what:
            raise CheckpointError(
                f"the checkpoint does not fit architecture {self.architecture!r}: {what}"
            )


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write `checkpoint` to `path`, atomically.

    Raises:
        CheckpointError: the folder is missing or not writable, or the disk is full.
    """
    state: OrderedDict[str, Tensor] = OrderedDict(
        (key, value.detach().cpu().contiguous()) for key, value in checkpoint.weights.items()
    )
    description = {k: v for k, v in vars(checkpoint).items() if k not in {"weights", "sha256"}}
    description["network"] = complete_settings(checkpoint.architecture, checkpoint.network)
    state._metadata = {_DESCRIPTION_KEY: _plain(description)}  # type: ignore[attr-defined] # PyTorch's own attribute
    save_atomically(state, path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that `save_checkpoint` wrote.

    Raises:
        CheckpointError: no such file, damaged, or not one of this project's.
    """
    state = load_tensors(path)
    description = getattr(state, "_metadata", {}).get(_DESCRIPTION_KEY)
    if description is None:
        raise CheckpointError(f"{path} is not a checkpoint of edge-style")
    known = _known(description, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Checkpoint(weights=dict(state), **{**known, "sha256": digest})


def _known(description: Any, path: Path) -> dict[str, Any]:
    """What a file says of its network, as far as it is of the kinds that `Checkpoint` has.

    Raises:
        CheckpointError: it is not.
    """
    empty = Checkpoint("", {})
    kinds = {name: type(value) for name, value in vars(empty).items() if name != "weights"}
    kinds["styles"] = list
    if not isinstance(description, Mapping) or "architecture" not in description:
        raise CheckpointError(f"{path} does not say of what architecture its network is")
    known = {key: value for key, value in description.items() if key in kinds}
    for key, value in known.items():
        if not isinstance(value, kinds[key]):
            raise CheckpointError(
                f"{path} has {type(value).__name__} for '{key}', expected {kinds[key].__name__}"
            )
    known["network"] = _with_earlier_defaults(known["architecture"], known.get("network", {}))
    styles = known.get("styles", [])
    if not all(isinstance(each, Mapping) and "name" in each for each in styles):
        raise CheckpointError(f"{path} lists styles without names")
    return known


def _with_earlier_defaults(architecture: str, network: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a file's network, with what it leaves to the defaults of its time."""
    if architecture == "lean":
        return {**_EARLIER_DEFAULTS, **network}
    transformer = network.get("transformer", {})
    if architecture == "any" and isinstance(transformer, Mapping):
        return {**network, "transformer": {**_EARLIER_DEFAULTS, **transformer}}
    return dict(network)


def shape_of(value: Any) -> list[int] | str:
    """Shape of a tensor that a network's weights can be copied from; of others, what they are."""
    if not isinstance(value, Tensor):
        return type(value).__name__
    if value.is_meta:
        return "without values (on the device 'meta')"
    if value.is_quantized:
        return "quantized"
    if value.layout != torch.strided:
        return "sparse"
    return "complex" if value.is_complex() else list(value.shape)


def load_tensors(path: Path) -> Any:
    """What `torch.save` wrote, if it is tensors and plain containers only.

    Raises:
        CheckpointError: no such file, damaged, or holding anything that would run code.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # zipfile, pickle and torch each raise their own kinds for a damaged or hostile file.
        raise CheckpointError(
            f"{path} is not a checkpoint of tensors (damaged, or it holds Python objects, which "
            "are never loaded)"
        ) from error


def save_atomically(value: Any, path: Path) -> None:
    """`torch.save` to a temporary file beside `path`, flushed to disk, then renamed.

    A reader, or a computer that loses power, finds the old file or the new one, never half of it.

    Raises:
        CheckpointError: the folder is missing or not writable, or the disk is full.
    """
    # Not from `tempfile`, whose files nobody else may read, also after they are renamed.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    # In memory, a few megabytes: PyTorch's own writer says nothing of why a disk does not take it.
    whole = io.BytesIO()
    torch.save(value, whole)
    try:
        with temporary.open("wb") as file:
            file.write(whole.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink()


def _plain(value: Any) -> Any:
    """`value` as dictionaries, lists, strings and numbers, which any loader accepts."""
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
