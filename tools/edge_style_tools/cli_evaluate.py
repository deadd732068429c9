"""The command `evaluate`; torch and onnxruntime are imported when it runs, not before."""

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_style.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from edge_style_tools.scores import Evaluation, Report, Yardstick


def evaluate(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|PICTURE...",
            help="Checkpoints (.pth), exported models (.onnx, or a style's name), or finished "
            "pictures, named after their photo.",
        ),
    ],
    style: Annotated[
        list[Path], typer.Option(help="The painting; repeatable for a mean.", metavar="PAINTING")
    ],
    content: Annotated[Path, typer.Option(help="Folder of photos, or one.", metavar="DIR")],
    vgg: Annotated[
        Path | None,
        typer.Option(help="VGG16 weights (.safetensors, .pth); fetched if omitted."),
    ] = None,
    default_objective: Annotated[
        bool,
        typer.Option(
            "--default-objective",
            help="Measure all alike: relu3_3 plus 5 x style, painting at 256. Otherwise the "
            "weights and the style scale that each model was trained with, where recorded.",
        ),
    ] = False,
    content_weight: Annotated[float | None, typer.Option(min=0, help="Of content.")] = None,
    style_weight: Annotated[float | None, typer.Option(min=0, help="Of style.")] = None,
    tv_weight: Annotated[float | None, typer.Option(min=0, help="Of total variation.")] = None,
    style_size: Annotated[
        int | None, typer.Option(min=32, help="Short side of the painting, pixels.")
    ] = None,
    size: Annotated[int, typer.Option(min=32, help="Side of the photos' centre crops.")] = 256,
    limit: Annotated[
        int | None,
        typer.Option("--photos", min=1, help="At most so many, evenly chosen; all if omitted."),
    ] = None,
    curve_photos: Annotated[
        int,
        typer.Option(
            min=0, help="Photos on which to run the optimization: minutes each, then cached."
        ),
    ] = 1,
    max_iterations: Annotated[
        int, typer.Option(min=1, help="Of the optimization, from noise.")
    ] = 100,
    sheet: Annotated[
        Path | None, typer.Option(help="Contact sheet to write, such as sheet.jpg.")
    ] = None,
    sheet_photos: Annotated[int, typer.Option(min=1, help="Photos on the sheet.")] = 6,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
    ] = False,
) -> None:
    """Score models and pictures: content, style and total loss on photos.

    Also how many iterations of the optimization, from noise, reach the same total loss: the measure
    of Johnson et al. 2016, figure 5.
    """
    _require_packages()
    from edge_style.images import ensure_writable, write_image
    from edge_style_tools import evaluate as evaluation
    from edge_style_tools.scores import Yardstick
    from edge_style_tools.subjects import open_subject
    from edge_style_training.paint_run import LossNetworkChoice

    if sheet is not None:
        ensure_writable(sheet)
    paintings = evaluation.read_paintings(style)
    photos = evaluation.list_photos(content, limit)
    base = Yardstick(crop_px=size)
    network = LossNetworkChoice(vgg, device=device).load(base.objective.layers)
    subjects = []
    for text in given:
        subject = open_subject(text, photos, next(network.parameters()).device)
        yardstick = base if default_objective else base.as_trained(subject.training)
        yardstick = yardstick.adjusted(
            content_weight=content_weight,
            style_weight=style_weight,
            tv_weight=tv_weight,
            style_px=style_size,
        )
        subjects.append((subject, yardstick))
    settings = evaluation.EvaluationSettings(
        curve_photos=curve_photos,
        curve_iterations=max_iterations,
        sheet_photos=sheet_photos if sheet else 0,
    )
    with _progress() as on_progress:
        report = evaluation.evaluate(
            subjects, network, paintings, photos, settings, on_progress=on_progress
        )
    if sheet is not None and report.sheet is not None:
        write_image(sheet, report.sheet)
    if report.skipped:
        typer.echo(f"{report.skipped} broken photos were skipped", err=True)
    if as_json:
        typer.echo(json.dumps(_as_json(report), ensure_ascii=False))
    else:
        from edge_style.tables import show

        show(_table(report, max_iterations))


def _require_packages() -> None:
    for package in ("torch", "safetensors", "onnx"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("'evaluate'", package, "train")
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingExtraError("'evaluate'", "onnxruntime", "train,cpu", "train,gpu")


@contextmanager
def _progress() -> "Iterator[Callable[[str, int, int], None]]":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("photos", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total
        )


def _table(report: "Report", max_iterations: int) -> "Table":
    from rich import box
    from rich.table import Table

    shared = len({found.yardstick.key for found in report.evaluations}) == 1
    title = f"{len(report.photos)} photos"
    if shared:
        title += ", " + _described(report.evaluations[0].yardstick)
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    table.add_column("")
    if not shared:
        table.add_column("measured with")
    for heading in ("content", "style", "total", "iterations"):
        table.add_column(heading, justify="right")
    for found in report.evaluations:
        cells = [found.subject.name] + ([] if shared else [_described(found.yardstick)])
        cells += [f"{found.mean(name):,.0f}" for name in ("content", "style", "total")]
        reached = found.iterations()
        if not found.has_curves:
            cells.append("")
        else:
            cells.append(f"more than {max_iterations}" if reached is None else str(reached))
        table.add_row(*cells)
    return table


def _described(yardstick: "Yardstick") -> str:
    o = yardstick.objective
    tv = f" + {o.tv_weight:g} x tv" if o.tv_weight else ""
    return (
        f"{o.content_weight:g} x content + {o.style_weight:g} x style{tv}, "
        f"painting {yardstick.style_px} px, crops {yardstick.crop_px} px"
    )


def _as_json(report: "Report") -> dict[str, Any]:
    return {
        "results": [_evaluation_as_json(found) for found in report.evaluations],
        "photos": len(report.photos),
        "skipped": report.skipped,
        "curves": [
            {
                "photo": str(photo),
                "objective": _yardstick_as_json(yardstick),
                "totals": list(curve.totals),
                "was_cached": curve.was_cached,
            }
            for photo, yardstick, curve in report.curves
        ],
    }


def _evaluation_as_json(found: "Evaluation") -> dict[str, Any]:
    names = ("content", "style", "tv", "total")
    return {
        "name": found.subject.name,
        "path": str(found.subject.path) if found.subject.path else None,
        "objective": _yardstick_as_json(found.yardstick),
        "mean": {name: found.mean(name) for name in names},
        "iterations": found.iterations(),
        "photos": [asdict(score) | {"photo": str(score.photo)} for score in found.scores],
    }


def _yardstick_as_json(yardstick: "Yardstick") -> dict[str, Any]:
    return asdict(yardstick.objective) | {
        "style_px": yardstick.style_px,
        "crop_px": yardstick.crop_px,
    }
