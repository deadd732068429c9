"""The command `train-any`. Imports PyTorch only when it runs, so that `--help` is quick."""

from pathlib import Path
from typing import Annotated

import typer

from edge_style.errors import UsageError
from edge_style_training import options
from edge_style_training.cli import read_settings, require_training_packages


def train_any(
    styles: Annotated[
        list[Path],
        typer.Argument(metavar="STYLES...", help="Folders of pictures to learn styles from."),
    ],
    content: options.Content,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Checkpoint to write, such as any.pth.")
    ],
    aside: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text file with the names of pictures in the first folder to keep aside for "
            "validation, with every copy and crop of them; up to eight if omitted.",
        ),
    ] = None,
    vgg: options.Vgg = None,
    config: options.Recipe = None,
    steps: options.Steps = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Photos a step; each is painted in several styles.")
    ] = None,
    crop_px: options.Crop = None,
    style_px: Annotated[
        int | None, typer.Option("--style-size", help="Side of the crops of styles, pixels.")
    ] = None,
    style_weight: options.StyleWeight = None,
    learning_rate: options.LearningRate = None,
    precision: options.Precision = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, crops and styles.")] = None,
    validate_every: options.ValidateEvery = None,
    checkpoint_every: options.CheckpointEvery = None,
    workers: options.Workers = options.FEW_WORKERS,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="base|STYLE|any|CHECKPOINT",
            help="Begin with the weights of a network of one style, as far as they fit, or go on "
            "with those of a network for any style.",
        ),
    ] = None,
    only_feedback: Annotated[
        bool,
        typer.Option(
            "--only-feedback",
            help="Leave the network of --from as it is, and learn how its codes are off.",
        ),
    ] = False,
    resume: options.Resume = False,
    force: options.Force = False,
    log_dir: options.LogDir = None,
) -> None:
    """Train a network that paints in the style of any picture (Ghiasi et al. 2017)."""
    if resume and force:
        raise UsageError("--resume goes on with a training, --force starts anew: give one of them")
    if resume and only_feedback:
        raise UsageError("--only-feedback trains nothing that --resume could go on with")
    of_training = {
        "--steps": steps,
        "--batch-size": batch_size,
        "--lr": learning_rate,
        "--validate-every": validate_every,
        "--checkpoint-every": checkpoint_every,
        "--log-dir": log_dir,
    }
    vain = [name for name, value in of_training.items() if value is not None]
    if only_feedback and vain:
        raise UsageError(f"--only-feedback trains nothing: leave {', '.join(vain)} out")
    require_training_packages("train-any")
    # Heavy: PyTorch and all that stands on it.
    from edge_style_training.any_run import run_any_training

    overrides = {
        "steps": steps,
        "batch_size": batch_size,
        "crop_px": crop_px,
        "style_px": style_px,
        "style_weight": style_weight,
        "learning_rate": learning_rate,
        "precision": precision,
        "seed": seed,
        "validate_every": validate_every,
        "checkpoint_every": checkpoint_every,
    }
    run_any_training(
        styles=styles,
        content=content,
        output=output,
        vgg=vgg,
        settings=read_settings(config, overrides, any_style=True),
        aside=aside,
        workers=workers,
        start_from=start_from,
        resume=resume,
        force=force,
        log_dir=log_dir,
        only_feedback=only_feedback,
    )
