"""The command `distill`. Imports PyTorch only when it runs, so that `--help` is quick."""

from pathlib import Path
from typing import Annotated

import typer

from edge_style.errors import UsageError
from edge_style_training import options
from edge_style_training.cli import read_settings, require_training_packages


def distill(
    teachers: Annotated[
        list[str],
        typer.Argument(
            metavar="TEACHER...",
            help="Checkpoint to learn from, or the name of a shipped style; of several, one "
            "network that knows each as a style.",
        ),
    ],
    content: options.Content,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Checkpoint to write, such as small.pth.")
    ],
    config: options.Recipe = None,
    steps: options.Steps = None,
    batch_size: Annotated[int | None, typer.Option(help="Photos a step.")] = None,
    crop_px: options.Crop = None,
    learning_rate: options.LearningRate = None,
    precision: options.Precision = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and crops.")] = None,
    validate_every: options.ValidateEvery = None,
    checkpoint_every: options.CheckpointEvery = None,
    workers: options.Workers = options.FEW_WORKERS,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="base|STYLE|CHECKPOINT",
            help="Begin with the weights of a network of the student's kind, of another painting "
            "for one.",
        ),
    ] = None,
    resume: options.Resume = False,
    force: options.Force = False,
    log_dir: options.LogDir = None,
) -> None:
    """Teach a small network to paint what a larger one paints (Hinton et al. 2015), without VGG."""
    if resume and force:
        raise UsageError("--resume goes on with a training, --force starts anew: give one of them")
    require_training_packages("distill")
    # Heavy: PyTorch and all that stands on it.
    from edge_style_training.distillation import run_distillation

    overrides = {
        "steps": steps,
        "batch_size": batch_size,
        "crop_px": crop_px,
        "learning_rate": learning_rate,
        "precision": precision,
        "seed": seed,
        "validate_every": validate_every,
        "checkpoint_every": checkpoint_every,
    }
    run_distillation(
        teachers=teachers,
        content=content,
        output=output,
        settings=read_settings(config, overrides),
        workers=workers,
        start_from=start_from,
        resume=resume,
        force=force,
        log_dir=log_dir,
    )
