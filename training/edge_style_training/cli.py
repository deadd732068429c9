"""The command `train`. Imports PyTorch only when it runs, so that `edge-style --help` is quick."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_style.errors import MissingExtraError, UsageError


def train(
    paintings: Annotated[
        list[Path],
        typer.Argument(
            metavar="PAINTING...", help="The painting; of several, the mean, or see --many."
        ),
    ],
    content: Annotated[
        Path, typer.Option(help="Folder of photos to learn on, nested as you like.", metavar="DIR")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Checkpoint to write, such as starry.pth.")
    ],
    vgg: Annotated[
        Path | None,
        typer.Option(
            help="VGG16 weights (.safetensors, .pth); fetched from torchvision if omitted."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML recipe; options given here overrule it.")
    ] = None,
    many: Annotated[
        bool,
        typer.Option(
            "--many", help="One network that knows each painting as a style (Dumoulin et al. 2017)."
        ),
    ] = False,
    architecture: Annotated[str | None, typer.Option(help="Network: lean or johnson.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Photos a step.")] = None,
    crop_px: Annotated[
        int | None, typer.Option("--crop", help="Side of the crops, pixels.")
    ] = None,
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
    style_weight: Annotated[float | None, typer.Option(help="Of the style loss.")] = None,
    tv_weight: Annotated[float | None, typer.Option(help="Of total variation.")] = None,
    consistency_weight: Annotated[
        float | None, typer.Option(help="Of steadiness under noise and small shifts.")
    ] = None,
    grid_weight: Annotated[
        float | None, typer.Option(help="Of patterns that repeat with the network's cells.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", "--learning-rate", help="Peak learning rate of Adam.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, crops and noise.")] = None,
    validate_every: Annotated[int | None, typer.Option(help="Steps between validations.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    validation_photos: Annotated[int | None, typer.Option(help="Photos held out.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that read photos.", min=0)] = 2,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="base|STYLE|CHECKPOINT",
            help="Begin with the weights of a shipped network (base suits any painting) or of a "
            "checkpoint, and with its settings: minutes instead of hours.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted training.")] = False,
    force: Annotated[bool, typer.Option(help="Overwrite OUTPUT.")] = False,
    log_dir: Annotated[
        Path | None, typer.Option(help="Write TensorBoard scalars and pictures here.")
    ] = None,
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


def read_settings(recipe: Path | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a recipe, and of the command line, which go first.

    Raises:
        UsageError: the recipe cannot be read.
    """
    from edge_style_training.config import read_recipe

    settings = read_recipe(recipe) if recipe else {}
    return {**settings, **{key: value for key, value in overrides.items() if value is not None}}
