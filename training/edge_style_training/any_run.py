"""What the command `train-any` does around the trainer: chooses pictures, shows progress."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_style.errors import ContentError, UsageError
from edge_style_training.any_data import StyleDataset
from edge_style_training.any_training import AnyTrainer, needed_layers
from edge_style_training.base import find_base
from edge_style_training.checkpoint import load_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import find_photos
from edge_style_training.near_copies import near_copies
from edge_style_training.networks.any_style import AnyStyleConfig, AnyStyleNet
from edge_style_training.networks.lean import LeanNet
from edge_style_training.resuming import ensure_none
from edge_style_training.run import check_output, console_of, run_shown
from edge_style_training.vgg import load_loss_network

# `style_px` is the side of the crops of styles here. See recipes/any.toml.
DEFAULTS: Mapping[str, Any] = {
    "architecture": "any",
    "batch_size": 2,
    "styles_per_photo": 3,
    "style_bank": 1536,
    "crop_px": 160,
    "style_px": 288,
    "style_layers": ("relu1_2", "relu2_2", "relu3_3"),
    "style_weight": 10.0,
    "style_warmup_steps": 150,
    "consistency_weight": 50.0,
    "grid_weight": 1500.0,
    "learning_rate": 1.5e-3,
    "steps": 6500,
}


# Losses of `train` that this training does not have; silently without them would be worse.
_OF_ONE_STYLE = ("tv_weight",)


def read_aside(path: Path | None) -> tuple[str, ...]:
    """Names of the pictures to keep aside: a text file with one a line, # begins a comment.

    Raises:
        UsageError: there is no such file, or no name in it.
    """
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--aside: cannot read {path}: {error}") from error
    names = tuple(name for name in (line.split("#")[0].strip() for line in lines) if name)
    if not names:
        raise UsageError(f"--aside: {path} names no picture")
    return names


def split_pool(
    folders: Sequence[Path], aside: Sequence[str], number: int = 8
) -> tuple[list[Path], list[Path], dict[Path, Path]]:
    """Pictures to learn from, those kept aside, and the copies of these that are left out.

    Args:
        folders: of pictures.
        aside: file names in the first folder; if there are none, every so many of its pictures.
        number: how many to keep aside in that case, but a fifth at most.

    Returns:
        The pool, those aside, and copy -> which of those aside it shows.

    Raises:
        ContentError: no such folder, no picture in it, or none of such a name.
    """
    pictures = [path for folder in folders for path in find_photos(folder)]
    first = find_photos(folders[0])
    if aside:
        by_name = {path.name: path for path in first}
        missing = [name for name in aside if name not in by_name]
        if missing:
            raise ContentError(f"--aside: there is no {missing[0]} in {folders[0]}")
        kept = [by_name[name] for name in aside]
    else:
        kept = first[:: max(5, len(first) // number)][:number]
    rest = [path for path in pictures if path not in kept]
    copies = near_copies(rest, kept)
    return [path for path in rest if path not in copies], kept, copies


def run_any_training(
    *,
    styles: Sequence[Path],
    content: Path,
    output: Path,
    vgg: Path | None,
    settings: Mapping[str, Any],
    aside: Path | None,
    workers: int,
    start_from: str | None,
    resume: bool,
    force: bool,
    log_dir: Path | None,
) -> None:
    """Train as the command line says; progress and results go to standard error.

    Raises:
        EdgeStyleError: whatever cannot be used, before any time is spent on training.
    """
    base = _read_base(start_from)
    config = TrainingConfig(**{**DEFAULTS, **_settings_of(base), **settings})
    if config.architecture != "any":
        raise UsageError(f"train-any trains the architecture any, not {config.architecture}")
    for name in _OF_ONE_STYLE:
        if getattr(config, name):
            raise UsageError(f"train-any has no {name}: leave it out of the recipe")
    if isinstance(base, AnyStyleNet) and not base.config.agrees(AnyStyleConfig(**config.network)):
        raise UsageError(f"--from {start_from}: its network is another than the recipe's")
    check_output(output, resume=resume, force=force)
    pool, kept, copies = split_pool(styles, read_aside(aside))
    photos = find_photos(content)
    network = load_loss_network(vgg, needed_layers(config.objective))
    dataset = StyleDataset(pool, photos, config.style_px, config.seed)
    trainer = AnyTrainer(config, network, dataset, kept, photos, output, workers=workers)
    if trainer.accelerator.num_processes > 1:
        raise UsageError("train-any runs on one device: start it without a launcher")
    console = console_of(trainer)
    for copy, original in copies.items():
        console.print(f"left out: {copy} shows what {original.name} does, which is kept aside")
    console.print(
        f"{config.style_bank:,} styles made of {len(pool)} pictures, aside "
        f"{', '.join(path.name for path in kept)}"
    )
    if resume:
        trainer.resume()
    else:
        if not force:
            ensure_none(trainer.resume_path)
        trainer.begin(base)
    best = run_shown(trainer, console, len(photos), log_dir)
    console.print(
        f"{output}: best at step {best.step:,}, total loss {best.scores['total']:,.0f} in styles "
        f"kept aside (content {best.scores['content']:,.0f}, style {best.scores['style']:,.0f})\n"
        f"next: edge-style export {output}"
    )


def _read_base(name: str | None) -> LeanNet | AnyStyleNet | None:
    if name is None:
        return None
    network = load_checkpoint(find_base(name)).build()
    if isinstance(network, AnyStyleNet):
        return network
    if not isinstance(network, LeanNet) or network.config.styles != 1:
        raise UsageError(f"--from {name}: expected a lean network of one style, or one for any")
    return network


def _settings_of(base: LeanNet | AnyStyleNet | None) -> dict[str, Any]:
    """Settings that follow from what is begun with."""
    return {"network": vars(base.config)} if isinstance(base, AnyStyleNet) else {}
