"""`cam`: a camera, a clip or a stream as it plays."""

import sys
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
from edge_style.errors import UsageError
from edge_style.shutdown import Interrupts

if TYPE_CHECKING:
    from edge_style.sinks import Sink


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
    every: Annotated[
        float | None,
        typer.Option(
            "--every",
            min=1,
            help="Go to the next style every so many seconds. Those of one network fade into each "
            "other.",
        ),
    ] = None,
    strength: StrengthOption = 1.0,
    keep_colours: ColoursOption = False,
    look: LookOption = None,
    stabilize: Annotated[
        bool | None,
        typer.Option(
            "--stabilize/--no-stabilize",
            show_default="on; with --no-pace off",
            help=STABILIZE_HELP,
        ),
    ] = None,
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
    colours, t steadies or does not, m mirrors, v splits the view, f fills the screen, i hides the
    figures.
    """
    from edge_style.controls import Controls
    from edge_style.live import Show, ShowOptions
    from edge_style.pipeline import PipelineOptions

    if preview not in (None, "terminal"):
        raise UsageError(f"expected --preview terminal, got '{preview}'")
    partner, share = parse_blend(blend)
    controls = Controls(
        blend=share,
        strength=strength,
        keeps_colours=keep_colours,
        is_steady=not no_pace if stabilize is None else stabilize,
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
        every_s=every,
        target_fps=fps,
        look=look,
        reconnect=not no_reconnect,
        token=token,
        pipeline=PipelineOptions(
            pace=not no_pace, max_frames=max_frames, duration_s=duration, controls=controls
        ),
    )
    screen = _terminal_sinks(shows_picture=preview is not None)
    show = Show(options, note=note, note_start=note_start, more_sinks=screen)
    with Interrupts() as interrupts:
        run_show(show, json_output, interrupts)


def _terminal_sinks(*, shows_picture: bool) -> "list[Sink]":
    """A status line where standard error is a terminal, and the picture above it if wanted."""
    from edge_style.terminal import StatusLine, TerminalPreview
    from edge_style.terminal_keys import TerminalKeys

    if not sys.stderr.isatty():
        if shows_picture:
            raise UsageError("--preview terminal needs a terminal on standard error")
        return []
    kind = TerminalPreview if shows_picture else StatusLine
    return [kind(sys.stderr, TerminalKeys(sys.stdin))]
