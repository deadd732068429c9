"""The command `train`. Imports PyTorch only when it runs, so that `edge-style --help` is quick."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_style.errors import MissingExtraError, UsageError
from edge_style_training import options


def train(
    paintings: Annotated[
        list[Path],
        typer.Argument(
            metavar="PAINTING...", help="The painting; of several, the mean, or see --many."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Checkpoint to write, such as starry.pth.")
    ],
    content: Annotated[
        Path | None,
        typer.Option(
            help="Folder of photos to learn on, nested as you like; with --from any, pictures that "
            "are made for it if omitted.",
            metavar="DIR",
        ),
    ] = None,
    vgg: options.Vgg = None,
    config: options.Recipe = None,
    many: Annotated[
        bool,
        typer.Option(
            "--many", help="One network that knows each painting as a style (Dumoulin et al. 2017)."
        ),
    ] = False,
    architecture: Annotated[str | None, typer.Option(help="Network: lean or johnson.")] = None,
    steps: options.Steps = None,
    batch_size: Annotated[int | None, typer.Option(help="Photos a step.")] = None,
    crop_px: options.Crop = None,
    style_px: Annotated[
        int | None,
        typer.Option("--style-size", help="Short side of the painting, pixels: size of strokes."),
    ] = None,
    style_layers: Annotated[
        str | None,
        typer.Option(
            help="Of VGG, whose Gram matrices are compared.", metavar="relu1_2,relu2_2,..."
        ),
    ] = None,
    content_weight: Annotated[float | None, typer.Option(help="Of the content loss.")] = None,
    style_weight: options.StyleWeight = None,
    tv_weight: Annotated[float | None, typer.Option(help="Of total variation.")] = None,
    consistency_weight: Annotated[
        float | None, typer.Option(help="Of steadiness under noise and small shifts.")
    ] = None,
    grid_weight: Annotated[
        float | None, typer.Option(help="Of patterns that repeat with the network's cells.")
    ] = None,
    learning_rate: options.LearningRate = None,
    precision: options.Precision = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, crops and noise.")] = None,
    validate_every: options.ValidateEvery = None,
    checkpoint_every: options.CheckpointEvery = None,
    validation_photos: Annotated[int | None, typer.Option(help="Photos held out.")] = None,
    workers: options.Workers = options.FEW_WORKERS,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="any|base|STYLE|CHECKPOINT",
            help="Begin with the weights of a shipped network (any and base suit any painting, any "
            "is the quicker) or of a checkpoint, and with its settings: minutes instead of hours.",
        ),
    ] = None,
    resume: options.Resume = False,
    force: options.Force = False,
    log_dir: options.LogDir = None,
    name: Annotated[
        str | None, typer.Option(help="Of the style; OUTPUT's stem if omitted.")
    ] = None,
    painting_title: Annotated[str, typer.Option("--painting", help="Title, for the credits.")] = "",
    artist: Annotated[str, typer.Option(help="Painter, for the credits.")] = "",
    year: Annotated[str, typer.Option(help="Of the painting.")] = "",
    licence: Annotated[str, typer.Option(help="Of the painting's picture.")] = "",
    source: Annotated[str, typer.Option(help="Where the painting's picture came from.")] = "",
) -> None:
    """Train a network that paints like PAINTING (Johnson et al. 2016)."""
    if resume and force:
        raise UsageError("--resume goes on with a training, --force starts anew: give one of them")
    overrides = {
        "architecture": architecture,
        "steps": steps,
        "batch_size": batch_size,
        "crop_px": crop_px,
        "style_px": style_px,
        "style_layers": tuple(style_layers.split(",")) if style_layers else None,
        "content_weight": content_weight,
        "style_weight": style_weight,
        "tv_weight": tv_weight,
        "consistency_weight": consistency_weight,
        "grid_weight": grid_weight,
        "learning_rate": learning_rate,
        "precision": precision,
        "seed": seed,
        "validate_every": validate_every,
        "checkpoint_every": checkpoint_every,
        "validation_photos": validation_photos,
    }
    description = {
        "name": name or "",
        "painting": painting_title,
        "artist": artist,
        "year": year,
        "licence": licence,
        "source": source,
    }
    require_training_packages("train")
    # Heavy: PyTorch and all that stands on it.
    from edge_style_training.config import read_credits
    from edge_style_training.run import run_training

    run_training(
        paintings=paintings,
        content=content,
        output=output,
        vgg=vgg,
        settings=read_settings(config, overrides),
        description=description,
        known_paintings=read_credits(config) if config else {},
        many=many,
        workers=workers,
        start_from=start_from,
        resume=resume,
        force=force,
        log_dir=log_dir,
    )


def require_training_packages(command: str) -> None:
    """Check that the extra `train` is installed, without importing it.

    Raises:
        MissingExtraError: it is not; names the command to install it.
    """
    from importlib.util import find_spec

    for package in ("torch", "accelerate", "safetensors"):
        if find_spec(package) is None:
            raise MissingExtraError(f"'{command}'", package, "train")


def read_settings(
    recipe: Path | None, overrides: Mapping[str, Any], *, any_style: bool = False
) -> dict[str, Any]:
    """Settings of a recipe, and of the command line, which go first.

    Args:
        recipe: a file of them.
        overrides: None where an option was not given.
        any_style: whether they are for a training for any style.

    Raises:
        UsageError: the recipe cannot be read, or has settings that would be without effect.
    """
    from edge_style_training.config import ANY_STYLE_SETTINGS, read_recipe

    settings = read_recipe(recipe) if recipe else {}
    others = ANY_STYLE_SETTINGS & settings.keys() if not any_style else ()
    for name in sorted(others):
        raise UsageError(f"{recipe}: {name} is a setting of train-any alone: leave it out")
    if "styles" in settings.get("network", {}):
        raise UsageError(f"{recipe}: how many styles there are follows from the paintings")
    return {**settings, **{key: value for key, value in overrides.items() if value is not None}}
