"""Where a training may begin: a checkpoint of the user's, or one that is shipped; and how.

A network that can already paint needs minutes for another painting instead of hours.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from edge_style import contract
from edge_style.errors import CheckpointError, UsageError
from edge_style_training.checkpoint import Checkpoint
from edge_style_training.config import TrainingConfig, check_settings
from edge_style_training.networks import complete_settings
from edge_style_training.networks.any_style import AnyStyleNet, painting_settings
from edge_style_training.networks.feedback import STROKES_PX
from edge_style_training.networks.lean import LeanNet
from edge_style_training.validation import Validation, read_crops

BASE_NAME = "base"
# What it stands for.
BASE_STYLE = "starry"
_NEAREST_PHOTOS = 2
_PHOTOS_FOR_HEAD = 8

# What makes the picture, and is therefore taken over; how long and how fast is decided anew.
_OBJECTIVE = (
    "style_px",
    "style_layers",
    "content_weight",
    "style_weight",
    "tv_weight",
    "consistency_weight",
    "consistency_noise_levels",
    "grid_weight",
)
# With which five paintings of different kinds came out well; see recipes/shipped.toml.
_FOR_ANY = {"style_weight": 12.0, "consistency_weight": 100.0}
# One large crop in place of two small ones, at 1.4 times the price: what is learned on small ones
# holds for small frames only.
_PACE = {
    "steps": 1500,
    "batch_size": 1,
    "crop_px": 320,
    "learning_rate": 1e-3,
    "warmup_steps": 20,
    "style_warmup_steps": 200,
    "validate_every": 250,
    "checkpoint_every": 100,
}
# A network for any style paints like the painting before the first step, so there is less to do.
# The losses that look at two views of each photo are left out: with them steps take a quarter
# longer, and a mosaic came out 10% worse. What the network has learned of steadiness and against
# its grid mostly stays. So many steps for each painting.
_REFINEMENT = {
    **_PACE,
    "steps": 200,
    "style_warmup_steps": 0,
    "validate_every": 100,
    "style_px": STROKES_PX,
    "consistency_weight": 0.0,
    "grid_weight": 0.0,
}
_FOR_EACH = ("steps", "validate_every")


def checkpoint_folders() -> tuple[Path, ...]:
    """Where shipped checkpoints are: in the checkout, or beside the installed runtime."""
    package = Path(contract.__file__).resolve().parent
    return (package.parents[1] / "exported" / "checkpoints", package / "exported" / "checkpoints")


def find_base(name: str, asked_by: str = "--from") -> Path:
    """The checkpoint that was asked for.

    Args:
        name: a path; or the name of a shipped style, `base` for the one that suits any painting.
        asked_by: option or argument that it came with, for the message.

    Raises:
        CheckpointError: there is none; says which there are.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.parent == Path() and not path.suffix:
        wanted = BASE_STYLE if name == BASE_NAME else name
        for folder in checkpoint_folders():
            if (folder / f"{wanted}.pth").is_file():
                return folder / f"{wanted}.pth"
    shipped = sorted(
        {file.stem for folder in checkpoint_folders() for file in folder.glob("*.pth")}
    )
    raise CheckpointError(
        f"{asked_by}: there is no checkpoint '{name}', expected a file, base, or one of "
        f"{', '.join(shipped) or '(none is installed)'}"
    )


def settings_from(base: Checkpoint, name: str, styles: int = 1) -> dict[str, Any]:
    """Settings for another painting: the network and objective of `base`, few steps.

    Args:
        base: what is begun with.
        name: as it was asked for. `base` is for paintings of all kinds, with weights for them.
        styles: paintings that the network should know.

    Raises:
        UsageError, WeightsError: its objective or its network has settings that there are not.
    """
    objective = objective_of(base)
    if base.architecture == "any":
        network = painting_settings(base.network, styles)
        refinement = {**_REFINEMENT, **{key: styles * _REFINEMENT[key] for key in _FOR_EACH}}
        return {"architecture": "lean", "network": network, **objective, **refinement}
    network = {"architecture": base.architecture, "network": dict(base.network)}
    return {**network, **_PACE, **objective, **(_FOR_ANY if name == BASE_NAME else {})}


def with_base(
    settings: Mapping[str, Any], base: Checkpoint, name: str, styles: int = 1
) -> dict[str, Any]:
    """The settings of a training that begins with `base`: what is asked for, else the base's.

    Args:
        settings: as asked for. A `network` says what is to be another than in the base, of the
            same architecture.
        base, name, styles: as of `settings_from`.

    Raises:
        UsageError, WeightsError: as `settings_from`, or it is of another architecture.
    """
    begun = settings_from(base, name, styles)
    merged = {**begun, **settings}
    if merged["architecture"] != begun["architecture"]:
        raise UsageError(
            f"--from {name}: it is of architecture {begun['architecture']}, and "
            f"{merged['architecture']} was asked for"
        )
    merged["network"] = {**begun["network"], **settings.get("network", {})}
    return merged


def objective_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """The settings that `checkpoint` was trained with and that make its picture.

    Raises:
        UsageError: one of them is none of today's.
    """
    training: Mapping[str, Any] = checkpoint.training
    found = {key: training[key] for key in _OBJECTIVE if key in training}
    return check_settings(found, "the checkpoint")


def predicted(
    base: Checkpoint, read: Callable[[int], Sequence[Tensor]], *, many: bool = False
) -> Checkpoint:
    """The network that a network for any style has for paintings.

    Args:
        base: of architecture `any`; another is given back as it is.
        read: the paintings at a short side of so many pixels, each [3, H, W] RGB, 0..255.
        many: whether each is to be a style, or their mean the only one.
    """
    network = base.build() if base.architecture == "any" else None
    if not isinstance(network, AnyStyleNet):
        return base
    pictures = read(network.whole_encoder.picture_px)
    found = network.for_each(pictures) if many else network.for_styles(pictures)
    settings = painting_settings(base.network, len(pictures) if many else 1)
    name = f"{base.name}'s guess" + ("es" if many else "")
    return Checkpoint("lean", found.state_dict(), settings, name=name)


def start(
    network: nn.Module, checkpoint: Checkpoint, config: TrainingConfig, validation: Validation
) -> str:
    """Give `network`, which `config` describes, the weights of `checkpoint`.

    A single painting begins with that style of a network of many that suits it best; a network of
    many, with one of a single style in each of its places.

    Args:
        network: before its training.
        checkpoint: of the same painting or of another.
        config: settings of the training.
        validation: what tells which style suits the painting best.

    Returns:
        The name of the style that was chosen among many; else nothing.

    Raises:
        CheckpointError: it is not of the network that the settings describe.
    """
    known, wanted = (int(each.get("styles", 1)) for each in (checkpoint.network, config.network))
    same = checkpoint.architecture == config.architecture
    begun = checkpoint.build() if same and known > wanted == 1 else None
    style = ""
    if isinstance(begun, LeanNet):
        number = _nearest_style(begun, validation, next(network.parameters()).device)
        style = checkpoint.style_names[number] if checkpoint.styles else str(number)
        weights = begun.single_style(number).state_dict()
        settings = {**checkpoint.network, "styles": 1, "styled_at": None}
        checkpoint = replace(checkpoint, network=settings, weights=weights)
    take_over(network, checkpoint, config, validation.photos)
    return style


def take_over(
    network: nn.Module, checkpoint: Checkpoint, config: TrainingConfig, photos: Sequence[Path]
) -> None:
    """Give `network` the weights of a checkpoint of as many styles, or of one for all of its.

    Args:
        network: before its training.
        checkpoint: of a network like it; one of one style may lack the head's normalization, some
            of the coarse blocks and the detail.
        config: settings of the training.
        photos: what that normalization then begins with, so that little changes at first.

    Raises:
        CheckpointError: it is not of the network that `config` describes.
    """
    if checkpoint.architecture != config.architecture:
        raise CheckpointError(
            f"the checkpoint is of architecture {checkpoint.architecture!r}, the settings "
            f"want {config.architecture!r}"
        )
    known, wanted = (int(each.get("styles", 1)) for each in (checkpoint.network, config.network))
    begun = checkpoint.build()
    if isinstance(begun, LeanNet) and known == 1 and _gets_head_norm(network, begun):
        crops = read_crops(photos[:_PHOTOS_FOR_HEAD], config.crop_px)
        begun = begun.with_head_norm(crops)
        checkpoint = replace(checkpoint, weights=begun.state_dict())
    if isinstance(begun, LeanNet) and known == 1 and _grows(network, begun):
        try:
            begun = begun.grown(replace(network.config, styles=1, styled_at=None))
        except ValueError as error:
            raise CheckpointError(f"the checkpoint does not fit the settings: {error}") from error
        checkpoint = replace(checkpoint, weights=begun.state_dict())
    if known == wanted:
        _load(checkpoint, network, config)
        return
    if not (isinstance(begun, LeanNet) and isinstance(network, LeanNet) and known == 1):
        raise CheckpointError(
            f"the checkpoint knows {known} styles, the settings want {wanted}: begin with a "
            "network of one style, or of as many"
        )
    many = begun.with_styles(wanted, network.config.styled_at)
    _load(replace(checkpoint, weights=many.state_dict()), network, config)


def _load(checkpoint: Checkpoint, network: nn.Module, config: TrainingConfig) -> None:
    """Load the weights, which the settings' network may have no place for.

    Raises:
        CheckpointError: it has none; says which settings are others.
    """
    try:
        checkpoint.load_into(network)
    except CheckpointError as error:
        own = complete_settings(checkpoint.architecture, checkpoint.network)
        wanted = complete_settings(config.architecture, config.network)
        others = sorted(key for key in wanted if key != "styles" and wanted[key] != own.get(key))
        if not others:
            raise
        raise CheckpointError(
            f"the network to begin with has other settings ({', '.join(others)}) than what is "
            "asked for: leave them out of the recipe"
        ) from error


def _gets_head_norm(network: nn.Module, begun: LeanNet) -> bool:
    wanted = isinstance(network, LeanNet) and network.config.head_norm
    return wanted and not begun.config.head_norm


def _grows(network: nn.Module, begun: LeanNet) -> TypeGuard[LeanNet]:
    if not isinstance(network, LeanNet):
        return False
    wanted, own = network.config, begun.config
    return wanted.coarse_blocks > own.coarse_blocks or wanted.detail > own.detail


def _nearest_style(many: LeanNet, validation: Validation, device: torch.device) -> int:
    """Number of the style that comes nearest to the painting, as it is."""
    few = Validation(
        validation.yardstick, validation.photos[:_NEAREST_PHOTOS], validation.sides_px[0]
    )
    totals = [
        few.run(many.single_style(number).to(device))[0]["total"]
        for number in range(many.config.styles)
    ]
    return min(range(len(totals)), key=totals.__getitem__)
