"""The command `photo`. PyTorch is imported once, when the networks are built; runs need none."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_style.cli_common import JsonOption, note, print_json
from edge_style.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from edge_style.photo.transfer import Stages


def photo(
    photo_file: Annotated[Path, typer.Argument(metavar="PHOTO", help="What to change.")],
    reference_file: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="The photo whose light it gets.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture to write.")],
    photo_mask: Annotated[
        Path | None,
        typer.Option(help="Label image of the photo: each colour is a region. Goes with the next."),
    ] = None,
    reference_mask: Annotated[
        Path | None,
        typer.Option(help="Of the reference: regions of one colour give and take light."),
    ] = None,
    smooth: Annotated[
        str,
        typer.Option(help="fast (guided filter), exact (the paper's linear system) or none."),
    ] = "fast",
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="0 leaves the photo, 1 changes it fully.")
    ] = 1.0,
    transform: Annotated[
        str,
        typer.Option(
            help="Of the features: transport, which keeps more of the photo, or the "
            "paper's whitening."
        ),
    ] = "transport",
    colours_first: Annotated[
        bool,
        typer.Option(
            help="Let the networks see the photo in the reference's colours, and smooth only what "
            "they add. The paper does not: clouds come up in empty skies."
        ),
    ] = True,
    size: Annotated[
        int,
        typer.Option(
            min=64,
            max=4096,
            help="Longer side at which the networks run, pixels: bounds the memory. The result "
            "always has the photo's size.",
        ),
    ] = 1024,
    table: Annotated[
        Path | None,
        typer.Option(help="Also write what became of the colours as a .cube table, for --look."),
    ] = None,
    vgg: Annotated[
        Path | None,
        typer.Option(
            help="VGG16 weights (.safetensors, .pth) to build the encoder from, the first time; "
            "fetched if omitted."
        ),
    ] = None,
    networks: Annotated[
        Path | None,
        typer.Option(help="Folder of the built networks.", show_default="the user's data folder"),
    ] = None,
    provider: Annotated[
        str, typer.Option("--provider", help="Where the networks run, such as cpu or cuda.")
    ] = "cpu",
    json_output: JsonOption = False,
) -> None:
    """Make PHOTO look as if taken in the light of REFERENCE; it stays a photograph.

    After Li et al. 2018: features of VGG16 get the reference's mean and covariance, and a
    smoothing keeps the photo's edges. Masks say which region takes its light from which.
    """
    from edge_style.images import ensure_writable, read_image, write_image
    from edge_style.photo.masks import read_masks
    from edge_style.photo.matting import require_scipy
    from edge_style.photo.networks import PhotoNetworks
    from edge_style.photo.table import ensure_cube_writable, fit_nodes, write_cube
    from edge_style.photo.transfer import PhotoOptions, ensure_many_colours, transfer_light
    from edge_style.providers import candidates

    options = PhotoOptions(
        smooth=smooth,  # type: ignore[arg-type] # PhotoOptions checks what users typed
        transform=transform,  # type: ignore[arg-type] # as above
        strength=strength,
        long_side_px=size,
        colours_first=colours_first,
    )
    ensure_writable(output)
    if table is not None:
        ensure_cube_writable(table)
    candidates(provider)
    if options.smooth == "exact":
        require_scipy()
    picture, reference = read_image(photo_file), read_image(reference_file)
    ensure_many_colours(reference, reference_file)
    if (photo_mask is None) != (reference_mask is None):
        raise UsageError("--photo-mask and --reference-mask go together")
    labels = None
    if photo_mask is not None and reference_mask is not None:
        labels = read_masks(photo_mask, reference_mask, picture, reference)
    loaded = PhotoNetworks(_built(networks, vgg), provider)
    with _stages() as stages:
        made = transfer_light(picture, reference, loaded, options, labels=labels, stages=stages)
    write_image(output, made)
    if table is not None:
        write_cube(table, fit_nodes(picture, made), reference_file.stem)
    size_text = f"{made.shape[1]}x{made.shape[0]}"
    total_s = sum(stages.seconds.values())
    spent = ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.seconds.items())
    note(f"{output}: {size_text}, {total_s:.1f} s ({spent})")
    if json_output:
        print_json(
            {
                "output": str(output),
                "size": size_text,
                "smooth": smooth,
                "labels": 0 if labels is None else int(labels[0].max()) + 1,
                "provider": loaded.provider,
                "seconds": {name: round(value, 3) for name, value in stages.seconds.items()},
            }
        )


def _built(folder: Path | None, vgg: Path | None) -> Path:
    """The folder of the networks, which are built if they are not there yet."""
    from edge_style.photo.networks import default_folder, is_complete

    folder = folder or default_folder()
    if is_complete(folder):
        return folder
    for package in ("torch", "safetensors", "onnx"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                "the first run of 'photo', which builds networks,", package, "train"
            )
    from edge_style_tools.photo_networks import build_networks

    build_networks(vgg, folder)
    note(f"built the networks in '{folder}', once")  # not before: an error stays the only line
    return folder


@contextmanager
def _stages() -> "Iterator[Stages]":
    """Stages that draw a progress bar where standard error is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from edge_style.photo.transfer import Stages

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:10}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=1.0)
        yield Stages(report=lambda name, share: bar.update(task, description=name, completed=share))
