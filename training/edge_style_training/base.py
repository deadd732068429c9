"""Where a training may begin: a checkpoint of the user's, or one that is shipped.

A network that can already paint needs minutes for another painting instead of hours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_style import contract
from edge_style.errors import CheckpointError
from edge_style_training.checkpoint import Checkpoint
from edge_style_training.config import check_settings

# What `--from base` stands for.
BASE_NAME = "starry"

# What makes the picture, and is therefore taken over; how long and how fast is decided anew.
_OBJECTIVE = (
    "style_px",
    "style_layers",
    "content_weight",
    "style_weight",
    "tv_weight",
    "consistency_weight",
    "consistency_noise_levels",
)
_PACE = {
    "steps": 800,
    "batch_size": 2,
    "crop_px": 192,
    "learning_rate": 1e-3,
    "warmup_steps": 20,
    "style_warmup_steps": 160,
    "validate_every": 400,
    "checkpoint_every": 100,
}


def checkpoint_folders() -> tuple[Path, ...]:
    """Where shipped checkpoints are: in the checkout, or beside the installed runtime."""
    package = Path(contract.__file__).resolve().parent
    return (package.parents[1] / "exported" / "checkpoints", package / "exported" / "checkpoints")


def find_base(name: str) -> Path:
    """The checkpoint that was asked for.

    Args:
        name: a path; or the name of a shipped style, `base` for the one that suits any painting.

    Raises:
        CheckpointError: there is none; says which there are.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.parent == Path() and not path.suffix:
        wanted = BASE_NAME if name == "base" else name
        for folder in checkpoint_folders():
            if (folder / f"{wanted}.pth").is_file():
                return folder / f"{wanted}.pth"
    shipped = sorted(
        {file.stem for folder in checkpoint_folders() for file in folder.glob("*.pth")}
    )
    raise CheckpointError(
        f"--from: there is no checkpoint '{name}', expected a file, base, or one of "
        f"{', '.join(shipped) or '(none is installed)'}"
    )


def settings_from(base: Checkpoint) -> dict[str, Any]:
    """Settings for another painting: the network and objective of `base`, few steps."""
    training: Mapping[str, Any] = base.training
    objective = {key: training[key] for key in _OBJECTIVE if key in training}
    objective = check_settings(objective, "the checkpoint")
    network = {"architecture": base.architecture, "network": dict(base.network)}
    return {**network, **_PACE, **objective}
