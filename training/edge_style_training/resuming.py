"""What an interrupted training leaves behind, and whether another may take it up."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edge_style.errors import CheckpointError, UsageError
from edge_style_training.checkpoint import Checkpoint, load_tensors

# Reporting and saving may change in between, and what was computed so far stays valid.
_FREE = frozenset({"validate_every", "checkpoint_every"})


def resume_file(output: Path) -> Path:
    """Where the state of a training lies until it is finished: `mine.resume.pth` for `mine.pth`.

    Of another suffix nothing is taken away: `style-0.5` and `style-0.6` are two trainings.
    """
    name = output.stem if output.suffix == ".pth" else output.name
    return output.with_name(f"{name}.resume.pth")


def fingerprint(parts: Iterable[bytes]) -> str:
    """Tells other parts, or the same in another order, apart."""
    found = hashlib.sha256()
    for part in parts:
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()


def read_state(
    path: Path, kind: str, settings: Mapping[str, Any], material: Mapping[str, str]
) -> dict[str, Any]:
    """The state of an interrupted training.

    Args:
        path: where the training saved it.
        kind: its `format`.
        settings: of the training that takes it up.
        material: name -> fingerprint of what that one learns from.

    Raises:
        CheckpointError: nothing to resume, damaged, or of another architecture, settings or
            material.
    """
    state = load_tensors(path)
    if not isinstance(state, dict) or state.get("format") != kind:
        raise CheckpointError(f"{path} holds no training to resume")
    came = state["config"]
    # A setting that the file does not know came later; what it does was as by default.
    known = [key for key in settings if key in came and key not in _FREE]
    differing = [key for key in known if settings[key] != came[key]]
    if differing:
        key = differing[0]
        raise CheckpointError(
            f"{path} was trained with {key} = {came.get(key)!r}, not "
            f"{settings[key]!r}: give the same settings, or train anew without --resume"
        )
    learned_from = state.get("material", {})  # unknown in files of earlier versions
    other = [name for name in material if learned_from.get(name, material[name]) != material[name]]
    if other:
        raise CheckpointError(
            f"{path} was trained with other {other[0]}: give the same, or train anew without "
            "--resume"
        )
    return state


def ensure_none(path: Path) -> None:
    """Refuse to begin anew over an interrupted training.

    Raises:
        UsageError: there is one at `path`.
    """
    if path.exists():
        raise UsageError(
            f"{path} holds an interrupted training: --resume goes on with it, --force starts anew"
        )


def best_of(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    """What a state keeps of the best checkpoint so far; the settings are in it anyway."""
    if checkpoint is None:
        return None
    return {
        "weights": dict(checkpoint.weights),
        "step": checkpoint.step,
        "scores": dict(checkpoint.scores),
    }
