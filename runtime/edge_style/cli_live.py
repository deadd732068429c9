"""`cam` and `video`: the commands that run for a while.

Like all commands they import what they need when they run, so that `--help` is quick.
"""

import sys
from collections.abc import Callable
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
from edge_style.errors import SinkError, SourceError, UsageError

if TYPE_CHECKING:
    from edge_style.batch import ClipPlan
    from edge_style.live import Show, ShowOptions
    from edge_style.sinks import Sink

StyleOption = Annotated[
    str | None,
    typer.Option(
        "--style", help="The style to begin with, of those that --model gives: a name or number."
    ),
]
StrengthOption = Annotated[
    float,
    typer.Option(
        "--strength", min=0, max=1, help="Of the effect: 0 shows the camera, 1 the painting."
    ),
]
ColoursOption = Annotated[
    bool,
    typer.Option(
        "--keep-colours", help="Take the painting's brushwork only, the colours from the camera."
    ),
]
BlendOption = Annotated[
    str | None,
    typer.Option(
        "--blend",
        metavar="STYLE[=SHARE]",
        help="Blend another style of a many-style network in: --blend wave=0.3. Half and half "
        "without a share.",
    ),
]


StabilizeOption = Annotated[
    bool,
    typer.Option(
        "--stabilize", help="Take flicker out: what stands still or moves along stays as it was."
    ),
]


def cam(
    model: OptionalModelOption = None,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            "-s",
            help="A camera's index, /dev/videoN, a clip, a folder or glob of pictures, an rtsp:// "
            "or http(s):// address, gst:PIPELINE for GStreamer, pan:PHOTO to glide across a "
            "photo, or test: a moving picture made by the program.",
        ),
    ] = "0",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            show_default="window",
            help="window, a clip such as out.mp4, numbered pictures such as out_%04d.png, a "
            "folder, virtual (a camera for other programs), http://localhost:8080 to watch and "
            "control in a browser, or null. May be "
            "given several times.",
        ),
    ] = None,
    provider: ProviderOption = "auto",
    size: LiveSizeOption = None,
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps",
            min=1,
            max=1000,
            help="Hold so many frames a second: the network runs smaller while the machine is "
            "busy, and larger again when it is not.",
        ),
    ] = None,
    style: StyleOption = None,
    blend: BlendOption = None,
    strength: StrengthOption = 1.0,
    keep_colours: ColoursOption = False,
    look: LookOption = None,
    stabilize: StabilizeOption = False,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Change left and right, as a mirror does.")
    ] = False,
    split: Annotated[
        float | None,
        typer.Option(
            "--split",
            min=0,
            max=1,
            help="Show the camera's picture left of this share of the width: 0.5.",
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Record from the start, as key r does later.")
    ] = False,
    full_screen: Annotated[
        bool, typer.Option("--full-screen", help="Fill the screen with the window.")
    ] = False,
    preview: Annotated[
        str | None,
        typer.Option(
            "--preview", help="terminal: show the picture in the terminal, for ssh; no window then."
        ),
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Write the figures into the window.")
    ] = True,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="EDGE_STYLE_TOKEN",
            show_default=False,
            help="What viewers of an http:// output must know. One is made up for addresses that "
            "other computers reach.",
        ),
    ] = None,
    no_reconnect: Annotated[
        bool,
        typer.Option(
            "--no-reconnect",
            help="End when the camera or stream is lost, instead of waiting until it is back.",
        ),
    ] = False,
    no_pace: Annotated[
        bool, typer.Option("--no-pace", help="Run a clip flat out: every frame, none dropped.")
    ] = False,
    max_frames: Annotated[
        int | None, typer.Option("--max-frames", min=1, help="End after so many frames.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", min=0, help="End after so many seconds.")
    ] = None,
    snapshots: Annotated[
        Path,
        typer.Option(
            "--snapshots", help="Folder for the snapshots of key s and the recordings of key r."
        ),
    ] = Path(),
    json_output: JsonOption = False,
) -> None:
    """Stylize a camera, a clip or a stream as it plays.

    Keys in the window (h lists them): q quits, space pauses, s saves a snapshot, r records, n and p
    or 1 to 9 choose a style, b blends two, + and - change the strength, c keeps the camera's
    colours, m mirrors, v splits the view, f fills the screen, i hides the figures.
    """
    from edge_style.controls import Controls
    from edge_style.live import Show, ShowOptions
    from edge_style.pipeline import PipelineOptions

    if preview not in (None, "terminal"):
        raise UsageError(f"expected --preview terminal, got '{preview}'")
    partner, share = _parse_blend(blend)
    controls = Controls(
        blend=share,
        strength=strength,
        keeps_colours=keep_colours,
        is_mirrored=mirror,
        is_split=split is not None,
        edge=0.5 if split is None else split,
        is_recording=record,
        is_full_screen=full_screen,
        shows_figures=figures,
    )
    options = ShowOptions(
        models=chosen_models(model, look),
        source=source,
        outputs=output or (["null"] if preview else ["window"]),
        provider=provider,
        size=size,
        snapshots=snapshots,
        style=style,
        partner=partner,
        target_fps=fps,
        look=look,
        stabilize=stabilize,
        reconnect=not no_reconnect,
        token=token,
        pipeline=PipelineOptions(
            pace=not no_pace, max_frames=max_frames, duration_s=duration, controls=controls
        ),
    )
    screen = _terminal_sinks(shows_picture=preview is not None)
    show = Show(options, note=note, note_start=note_start, more_sinks=screen)
    _run_show(show, json_output)


def _terminal_sinks(*, shows_picture: bool) -> "list[Sink]":
    """A status line where standard error is a terminal, and the picture above it if wanted."""
    from edge_style.terminal import StatusLine, TerminalKeys, TerminalPreview

    if not sys.stderr.isatty():
        if shows_picture:
            raise UsageError("--preview terminal needs a terminal on standard error")
        return []
    kind = TerminalPreview if shows_picture else StatusLine
    return [kind(sys.stderr, TerminalKeys(sys.stdin))]


def _parse_blend(text: str | None) -> tuple[str | None, float]:
    """`wave=0.3` as ("wave", 0.3)."""
    if text is None:
        return None, 0.0
    name, has_share, share = text.rpartition("=")
    if not has_share:
        return text, 0.5
    try:
        number = float(share)
    except ValueError:
        number = -1.0
    if not name or not 0 <= number <= 1:
        raise UsageError(f"expected --blend STYLE=SHARE with a share from 0 to 1, got '{text}'")
    return name, number


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
    stabilize: StabilizeOption = False,
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
    partner, share = _parse_blend(blend)
    controls = Controls(blend=share, strength=strength, keeps_colours=keep_colours)
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
        stabilize=stabilize,
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
        except (SourceError, SinkError) as error:
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
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as progress:
        bar = progress.add_task("", total=None)
        _run_show(
            show,
            json_output,
            lambda frames: progress.update(
                bar, completed=show.resumed_frames + frames, total=show.total_frames
            ),
        )
    return show


def _run_show(
    show: "Show", json_output: bool, on_frame: Callable[[int], None] | None = None
) -> None:
    """Run it, and print its figures, also when Ctrl-C was how it was to end."""
    try:
        show.run(on_frame)
    finally:
        ended_early = isinstance(sys.exc_info()[1], Exception)
        if show.has_begun and not ended_early:
            if json_output:
                print_json(show.report())
            elif show.frames > 0:
                note(show.summary_line())
