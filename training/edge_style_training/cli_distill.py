"""The command `distill`. Imports PyTorch only when it runs, so that `--help` is quick."""

from pathlib import Path
from typing import Annotated

import typer

from edge_style.errors import UsageError
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
    content: Annotated[
        Path, typer.Option(help="Folder of photos to learn on, nested as you like.", metavar="DIR")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Checkpoint to write, such as small.pth.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML recipe, the student's [network] among others; options given here overrule "
            "it."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Photos a step.")] = None,
    crop_px: Annotated[
        int | None, typer.Option("--crop", help="Side of the crops, pixels.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", "--learning-rate", help="Peak learning rate of Adam.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and crops.")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Steps between validations.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that read photos.", min=0)] = 2,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="base|STYLE|CHECKPOINT",
            help="Begin with the weights of a network of the student's kind, of another painting "
            "for one.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted training.")] = False,
    force: Annotated[bool, typer.Option(help="Overwrite OUTPUT.")] = False,
    log_dir: Annotated[
        Path | None, typer.Option(help="Write TensorBoard scalars and pictures here.")
    ] = None,
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
