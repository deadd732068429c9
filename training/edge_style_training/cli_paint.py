"""The command `paint`. Imports PyTorch only when it runs, so that `edge-style --help` is quick."""

import math
from pathlib import Path
from typing import Annotated

import typer

from edge_style.errors import UsageError
from edge_style_training.cli import require_training_packages


def paint(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="What to paint.")],
    paintings: Annotated[
        list[Path], typer.Argument(metavar="PAINTING...", help="How to paint; of several, a blend.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write.")],
    vgg: Annotated[
        Path | None,
        typer.Option(help="VGG weights (.safetensors, .pth); VGG16 is fetched if omitted."),
    ] = None,
    variant: Annotated[
        str, typer.Option("--network", help="vgg16, or vgg19 (the paper's) from a file.")
    ] = "vgg16",
    pooling: Annotated[
        str, typer.Option(help="max, or average (the paper's: smoother pictures).")
    ] = "max",
    size: Annotated[int, typer.Option(min=64, help="Longer side of the result, pixels.")] = 512,
    optimizer: Annotated[str, typer.Option(help="lbfgs or adam.")] = "lbfgs",
    iterations: Annotated[
        int,
        typer.Option("--iterations", "-n", min=1, help="At the coarsest size; finer ones less."),
    ] = 300,
    learning_rate: Annotated[
        float | None,
        typer.Option("--lr", "--learning-rate", help="Of adam, in 8-bit levels; 5 if omitted."),
    ] = None,
    start: Annotated[str, typer.Option(help="Start from the photo or from noise.")] = "photo",
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    content_layers: Annotated[
        str, typer.Option(help="Layers of the content loss, with weights: relu4_2,relu3_2:0.5.")
    ] = "relu4_2",
    style_layers: Annotated[
        str, typer.Option(help="Layers of the style loss, with weights.")
    ] = "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1",
    content_weight: Annotated[float, typer.Option(help="Of the content loss, a mean.")] = 1.0,
    style_weight: Annotated[
        float, typer.Option(help="Of the style loss, a mean: more is more painting, less photo.")
    ] = 20.0,
    tv_weight: Annotated[float, typer.Option(help="Of total variation: more is smoother.")] = 0.0,
    painting_weights: Annotated[
        str | None, typer.Option(help="Of several paintings, such as 2,1; equal if omitted.")
    ] = None,
    style_scale: Annotated[
        float, typer.Option(help="Size of the painting, and so of strokes, beside the result's.")
    ] = 1.0,
    original_colours: Annotated[
        str | None,
        typer.Option(
            "--original-colours",
            "--original-colors",
            help="Keep the photo's: luminance (paints in grey) or histogram (recolours the "
            "painting).",
        ),
    ] = None,
    levels: Annotated[
        int | None,
        typer.Option(min=1, help="Sizes to paint at, coarse to fine; by --size if omitted."),
    ] = None,
    tile: Annotated[
        int,
        typer.Option(min=64, help="Larger pictures go through VGG in tiles of this side: memory."),
    ] = 768,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    preview: Annotated[
        Path | None, typer.Option(help="Picture that shows how far it is, rewritten as it goes.")
    ] = None,
    preview_every: Annotated[int, typer.Option(min=1, help="Iterations between previews.")] = 10,
    save_every: Annotated[
        int | None,
        typer.Option(min=1, help="Keep OUTPUT's state every so many iterations: OUT_0050.jpg."),
    ] = None,
    grid: Annotated[
        bool, typer.Option("--grid", help="Write a table: content weight against style weight.")
    ] = False,
    grid_content: Annotated[
        str | None,
        typer.Option("--grid-content-weights", help="Rows; 0.4, 1, 2.5 x --content-weight."),
    ] = None,
    grid_style: Annotated[
        str | None,
        typer.Option("--grid-style-weights", help="Columns; 1/15, 1, 15 x --style-weight."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
    ] = False,
) -> None:
    """Paint PHOTO like PAINTING by optimizing the picture itself (Gatys et al. 2016).

    Slow and thorough: minutes where a trained network takes milliseconds. Layers are the paper's
    (content conv4_2, style conv1_1 to conv5_1, each after its activation); losses are means, so
    that weights mean the same at every size.
    """
    if not grid and (grid_content or grid_style):
        raise UsageError("--grid-content-weights and --grid-style-weights go with --grid")
    if grid and (preview or save_every):
        raise UsageError("--grid writes one table: leave --preview and --save-every out")
    grid_weights = (
        _numbers(grid_content, "--grid-content-weights")
        or [factor * content_weight for factor in (0.4, 1.0, 2.5)],
        _numbers(grid_style, "--grid-style-weights")
        or [factor * style_weight for factor in (1 / 15, 1.0, 15.0)],
    )
    layers = _layers(content_layers, "--content-layers"), _layers(style_layers, "--style-layers")
    shares = _numbers(painting_weights, "--painting-weights")
    require_training_packages("paint")
    # Heavy: PyTorch and all that stands on it.
    from edge_style_training import paint_run
    from edge_style_training.losses import Objective
    from edge_style_training.paint import PaintConfig

    config = PaintConfig(
        objective=Objective(*layers, content_weight, style_weight, tv_weight),
        optimizer=optimizer,  # type: ignore[arg-type] # PaintConfig checks what users typed
        iterations=iterations,
        learning_rate=learning_rate,
        start=start,  # type: ignore[arg-type] # as above
        seed=seed,
        long_px=size,
        style_scale=style_scale,
        colours=original_colours or "painting",  # type: ignore[arg-type] # as above
        levels=levels,
        tile_px=tile,
    )
    paint_run.run_painting(
        photo,
        paintings,
        output,
        config,
        paint_run.LossNetworkChoice(vgg, variant, pooling, device),
        painting_weights=shares,
        saving=paint_run.Saving(preview, preview_every, save_every),
        grid=grid_weights if grid else None,
        as_json=as_json,
    )


def _numbers(text: str | None, option: str) -> list[float] | None:
    """`2,1` -> [2.0, 1.0]."""
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} should be numbers such as 2,1, not '{text}'") from error
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise UsageError(f"{option} should be at least 0, not '{text}'")
    return values


def _layers(text: str, option: str) -> dict[str, float]:
    """`relu4_2,relu3_2:0.5` -> {"relu4_2": 1.0, "relu3_2": 0.5}."""
    layers: dict[str, float] = {}
    for part in text.split(","):
        name, colon, weight = part.strip().partition(":")
        layers[name] = (_numbers(weight, option) or [1.0])[0] if colon else 1.0
        if not name:
            raise UsageError(f"{option} should be layers such as relu4_2,relu3_2:0.5, not '{text}'")
    return layers
