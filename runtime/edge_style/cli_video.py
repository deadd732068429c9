"""`video`: clips, every frame once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_style.cli_common import (
    JsonOption,
    LiveSizeOption,
    LookOption,
    OptionalModelOption,
    ProviderOption,
    chosen_models,
    note,
    note_start,
    print_json,
)
from edge_style.cli_live import (
    STABILIZE_HELP,
    BlendOption,
    ColoursOption,
    StrengthOption,
    StyleOption,
    parse_blend,
    run_show,
)
from edge_style.errors import ImageError, SinkError, SourceError, UsageError
from edge_style.shutdown import Interrupts

if TYPE_CHECKING:
    from edge_style.batch import ClipPlan
    from edge_style.live import Show, ShowOptions


def video(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", show_default=False)],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="The clip to write: .mp4 .mkv .mov .avi .webm; for several clips or a folder of "
            "them a folder, in which those that are there already are left alone.",
        ),
    ],
    model: OptionalModelOption = None,
    size: LiveSizeOption = None,
    provider: ProviderOption = "auto",
    style: StyleOption = None,
    blend: BlendOption = None,
    strength: StrengthOption = 1.0,
    keep_colours: ColoursOption = False,
    look: LookOption = None,
    stabilize: Annotated[
        bool, typer.Option("--stabilize/--no-stabilize", help=STABILIZE_HELP)
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Stylize clips: every frame once, with their sound. One that was cut short goes on."""
    from edge_style.batch import plan_clips
    from edge_style.controls import Controls
    from edge_style.live import ShowOptions
    from edge_style.pipeline import PipelineOptions

    models = chosen_models(model, look)
    if len(models) > 1:
        raise UsageError(f"a clip takes one style, --model names {len(models)}")
    partner, share = parse_blend(blend)
    controls = Controls(
        blend=share, strength=strength, keeps_colours=keep_colours, is_steady=stabilize
    )
    plan = plan_clips(clips, models[0], output)
    options = ShowOptions(
        models=models,
        source="",
        outputs=[],
        provider=provider,
        size=size,
        is_conversion=True,
        style=style,
        partner=partner,
        look=look,
        pipeline=PipelineOptions(pace=False, drop=False, controls=controls),
    )
    if len(plan.pairs) == 1 and not plan.is_folder:
        _convert(options, *plan.pairs[0], json_output)
        return
    _convert_all(options, plan, json_output)


def _convert_all(options: "ShowOptions", plan: "ClipPlan", json_output: bool) -> None:
    """Clip after clip; one that cannot be converted does not keep the others from it."""
    reports, failed = [], []
    for number, (clip, target) in enumerate(plan.pairs, 1):
        note(f"{number} of {len(plan.pairs)}: {clip}")
        if target.exists():
            note(f"'{target}' is there already: left alone")
            continue
        try:
            show = _convert(options, clip, target, json_output=False)
        except (SourceError, SinkError, ImageError) as error:
            note(f"note: {error}")
            failed.append(str(clip))
            continue
        reports.append({"clip": str(clip), "output": str(target), **show.report()})
    if json_output:
        print_json({"results": reports, "failed": failed})
    if failed:
        raise SourceError(f"{len(failed)} of {len(plan.pairs)} clips could not be converted")


def _convert(options: "ShowOptions", clip: Path, target: Path, json_output: bool) -> "Show":
    from dataclasses import replace

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from edge_style.live import Show

    options = replace(options, source=str(clip), outputs=[str(target)])
    show = Show(options, note=note, note_start=note_start)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    is_hidden = not console.is_terminal
    progress = Progress(*columns, console=console, transient=True, disable=is_hidden)
    with Interrupts() as interrupts, progress:
        bar = progress.add_task("", total=None)
        run_show(
            show,
            json_output,
            interrupts,
            lambda frames: progress.update(
                bar, completed=show.resumed_frames + frames, total=show.total_frames
            ),
        )
    return show
