"""What the command `train-any` does around the trainer: chooses pictures, shows progress."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from edge_style.errors import ContentError, UsageError
from edge_style_training.any_data import StyleDataset
from edge_style_training.any_feedback import with_feedback
from edge_style_training.any_training import AnyTrainer, needed_layers
from edge_style_training.base import find_base
from edge_style_training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import find_photos
from edge_style_training.near_copies import near_copies
from edge_style_training.networks import complete_settings
from edge_style_training.networks.any_style import AnyStyleConfig, AnyStyleNet
from edge_style_training.networks.feedback import STROKES_PX
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


# What scores depend on: those of a network that only gets feedback are to be compared with before.
_SCORED_WITH = (
    "crop_px",
    "crop_spread",
    "style_px",
    "style_layers",
    "content_weight",
    "style_weight",
    "validation_photos",
)

# And what the feedback itself depends on.
_TAKEN_OVER = (*_SCORED_WITH, "seed", "feedback_styles")

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
        lines = path.read_text(encoding="utf-8-sig").splitlines()
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
    pictures = [path for folder in dict.fromkeys(folders) for path in find_photos(folder)]
    first = find_photos(folders[0])
    if aside:
        by_name = {path.name: path for path in first}
        missing = [name for name in aside if name not in by_name]
        if missing:
            raise ContentError(f"--aside: there is no {missing[0]} in {folders[0]}")
        kept = [by_name[name] for name in dict.fromkeys(aside)]
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
    only_feedback: bool = False,
) -> None:
    """Train as the command line says; progress and results go to standard error.

    Raises:
        EdgeStyleError: whatever cannot be used, before any time is spent on training.
    """
    base = _read_base(start_from)
    if only_feedback and start_from is not None:
        trained = load_checkpoint(find_base(start_from)).training
        taken = [name for name in _TAKEN_OVER if trained.get(name)]
        settings = {**{name: trained[name] for name in taken}, **settings}
    config = _config(base, start_from, settings, only_feedback=only_feedback)
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
    if only_feedback:
        assert start_from is not None
        assert isinstance(base, AnyStyleNet)
        trainer.network.load_state_dict(base.state_dict())
        best = load_checkpoint(find_base(start_from))
        own = {name: config.as_dict()[name] for name in _TAKEN_OVER}
        best = replace(best, name=output.stem, training={**best.training, **own})
    else:
        if resume:
            trainer.resume()
        else:
            if not force:
                ensure_none(trainer.resume_path)
            trainer.begin(base)
        best = run_shown(trainer, console, len(photos), log_dir)
        trainer.network.load_state_dict(dict(best.weights))
        if config.feedback_styles:
            again = ["edge-style", "train-any", *map(str, styles), "--content", str(content)]
            again += ["--from", str(output), "--only-feedback", "-o", str(output), "--force"]
            console.print(
                f"{output}: whole but for its feedback, which comes now; if that is interrupted, "
                f"this adds it: {shlex.join(again)}"
            )
    if config.feedback_styles:
        best = _with_feedback(trainer, best, dataset.with_crops(STROKES_PX))
        save_checkpoint(best, output)
    console.print(
        f"{output}: best at step {best.step:,}, total loss {best.scores['total']:,.0f} in styles "
        f"kept aside (content {best.scores['content']:,.0f}, style {best.scores['style']:,.0f})\n"
        f"next: edge-style export {output}"
    )


def _config(
    base: LeanNet | AnyStyleNet | None,
    start_from: str | None,
    settings: Mapping[str, Any],
    *,
    only_feedback: bool,
) -> TrainingConfig:
    """The settings of a training, of what is asked for and what is begun with.

    Raises:
        UsageError: they do not go together.
        WeightsError: the network has a setting that there is not, or that cannot be.
    """
    if only_feedback and not isinstance(base, AnyStyleNet):
        raise UsageError("--only-feedback is for a network for any style: give it with --from")
    config = TrainingConfig(**{**DEFAULTS, **_settings_of(base), **settings})
    if only_feedback and not config.feedback_styles:
        raise UsageError("--only-feedback and feedback_styles = 0 leave nothing to do")
    if config.architecture != "any":
        raise UsageError(f"train-any trains the architecture any, not {config.architecture}")
    for name in _OF_ONE_STYLE:
        if getattr(config, name):
            raise UsageError(f"train-any has no {name}: leave it out of the recipe")
    network = AnyStyleConfig.of(config.network)
    if isinstance(base, AnyStyleNet) and not base.config.agrees(network):
        raise UsageError(f"--from {start_from}: its network is another than the recipe's")
    return config


def _with_feedback(trainer: AnyTrainer, best: Checkpoint, styles: StyleDataset) -> Checkpoint:
    """`best`, whose weights the trainer's network has, with feedback, and its scores with it."""
    number = trainer.config.feedback_styles
    made = styles.made(range(number), trainer.workers)
    shown = track(made, "trying codes", total=number, console=console_of(trainer))
    network, seed = trainer.network, trainer.config.seed
    trainer.network = with_feedback(network, shown, trainer.half, seed, trainer.autocast)
    scores, _ = trainer.validate()
    settings = complete_settings("any", vars(trainer.network.config))
    state = trainer.network.state_dict()
    weights = {name: weight.detach().cpu() for name, weight in state.items()}
    return replace(best, network=settings, weights=weights, scores=scores)


def _read_base(name: str | None) -> LeanNet | AnyStyleNet | None:
    if name is None:
        return None
    # What was learned of codes holds for the transformer as it was, not as it will be.
    network = load_checkpoint(find_base(name)).without_feedback().build()
    if isinstance(network, AnyStyleNet):
        return network
    if not isinstance(network, LeanNet) or network.config.styles != 1:
        raise UsageError(f"--from {name}: expected a lean network of one style, or one for any")
    return network


def _settings_of(base: LeanNet | AnyStyleNet | None) -> dict[str, Any]:
    """Settings that follow from what is begun with."""
    return {"network": vars(base.config)} if isinstance(base, AnyStyleNet) else {}
