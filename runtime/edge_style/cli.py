"""The command line: the only module of the runtime that prints and exits.

Everything heavy (onnxruntime, opencv) is imported inside the commands, so that `--help` is quick.
Other packages add commands through the entry point group `edge_style.commands`: each entry is a
plain function with typer annotations, and its name is the command's.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_style import __version__, cli_web
from edge_style.errors import EdgeStyleError, UsageError

if TYPE_CHECKING:
    from edge_style.live import Show
    from edge_style.stylizer import Stylizer

COMMANDS_GROUP = "edge_style.commands"
USAGE_STATUS = 2
INTERRUPTED_STATUS = 130

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="A style's name (see `models`) or an .onnx file.")
]
ProviderOption = Annotated[
    str,
    typer.Option(
        "--provider",
        help="Where the network runs: auto, cpu, cuda, tensorrt, openvino, coreml, directml, "
        "webgpu, rocm, migraphx or qnn. One that was asked for and cannot start is an error.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
]
LiveSizeOption = Annotated[
    str | None,
    typer.Option(
        "--size",
        help="Size at which the network runs, and of the result: 640x480 (what hangs over is "
        "cut) or 640 (longer side, nothing is cut). Default: the source's own.",
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-style {__version__}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
]

app = typer.Typer(
    name="edge-style",
    help="Turn a painting into a live camera filter.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: loading rich for it takes as long as all the rest
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cli_web.app, name="web")


def note(message: str) -> None:
    """Say something by the way: on standard error, so that pipes and --json stay clean."""
    typer.echo(message, err=True)


def note_start(stylizer: "Stylizer") -> None:
    """Say which file runs where, and what `auto` could not use."""
    for reason in stylizer.skipped:
        note(f"note: {reason}")
    note(stylizer.description)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def _split_models(text: str) -> list[str]:
    """`a,b` as typed after --model, each once."""
    models = [name.strip() for name in text.split(",")]
    if not all(models):
        raise UsageError(f"expected --model NAME or NAME,NAME, got '{text}'")
    return list(dict.fromkeys(models))


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, _version: VersionOption = False) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def image(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO", show_default=False)],
    model: ModelOption,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="The picture to write; for several photos or styles a folder."
        ),
    ],
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            help="Size at which the network runs, and of the result: 640x480 (what hangs over "
            "is cut) or 640 (longer side, nothing is cut). Default: the photo's own.",
        ),
    ] = None,
    provider: ProviderOption = "auto",
    json_output: JsonOption = False,
) -> None:
    """Stylize photos."""
    from edge_style.batch import BatchSize, plan_outputs, stylize_photo
    from edge_style.stylizer import Stylizer

    batch_size = BatchSize.parse(size)
    results = []
    for name, pairs in plan_outputs(photos, _split_models(model), output).items():
        stylizer = Stylizer.load(name, provider=provider, size=batch_size.exact_px)
        for photo, target in pairs:
            made = stylize_photo(stylizer, photo, target, batch_size.long_side_px)
            if (photo, target) == pairs[0]:
                note_start(stylizer)  # not before, so that an error stays the only line
            made_size = f"{made.size_px[0]}x{made.size_px[1]}"
            note(f"{target}: {made_size}, {made.infer_ms:.0f} ms")
            results.append(
                {
                    "photo": str(photo),
                    "output": str(target),
                    "model": stylizer.name,
                    "file": str(stylizer.path),
                    "precision": stylizer.precision,
                    "provider": stylizer.provider,
                    "size": made_size,
                    "infer_ms": round(made.infer_ms, 3),
                }
            )
    if json_output:
        print_json({"results": results})


@app.command()
def cam(
    model: ModelOption,
    source: Annotated[
        str,
        typer.Option(
            "--source",
            "-s",
            help="A camera's index, /dev/videoN, a clip, a folder or glob of pictures, an rtsp:// "
            "or http(s):// address, pan:PHOTO to glide across a photo, or test: a moving picture "
            "made by the program.",
        ),
    ] = "0",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            show_default="window",
            help="window, a clip such as out.mp4, numbered pictures such as out_%04d.png, a "
            "folder, or null. May be given several times.",
        ),
    ] = None,
    provider: ProviderOption = "auto",
    size: LiveSizeOption = None,
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
        Path, typer.Option("--snapshots", help="Folder for the snapshots that key s saves.")
    ] = Path(),
    json_output: JsonOption = False,
) -> None:
    """Stylize a camera, a clip or a stream as it plays.

    In the window: q or Esc quits, s saves a snapshot, space pauses; n and p or 1 to 9 switch
    between the styles of --model one,two.
    """
    from edge_style.live import Show, ShowOptions
    from edge_style.pipeline import PipelineOptions

    options = ShowOptions(
        models=_split_models(model),
        source=source,
        outputs=output or ["window"],
        provider=provider,
        size=size,
        snapshots=snapshots,
        pipeline=PipelineOptions(pace=not no_pace, max_frames=max_frames, duration_s=duration),
    )
    _run_show(Show(options, note=note, note_start=note_start), json_output)


@app.command()
def video(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", show_default=False)],
    model: ModelOption,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The clip to write: .mp4 .mkv .mov .avi .webm.")
    ],
    size: LiveSizeOption = None,
    provider: ProviderOption = "auto",
    json_output: JsonOption = False,
) -> None:
    """Stylize a clip: every frame once, with its sound."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from edge_style.live import Show, ShowOptions
    from edge_style.pipeline import PipelineOptions

    models = _split_models(model)
    if len(models) > 1:
        raise UsageError(f"a clip takes one style, --model names {len(models)}")
    options = ShowOptions(
        models=models,
        source=str(clip),
        outputs=[output],
        provider=provider,
        size=size,
        is_conversion=True,
        pipeline=PipelineOptions(pace=False, drop=False),
    )
    show = Show(options, note=note, note_start=note_start)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    is_hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as progress:
        bar = progress.add_task("", total=None)
        _run_show(
            show,
            json_output,
            lambda frames: progress.update(bar, completed=frames, total=show.total_frames),
        )


def _run_show(
    show: "Show", json_output: bool, on_frame: Callable[[int], None] | None = None
) -> None:
    """Run it, and print its figures, also when Ctrl-C was how it was to end."""
    try:
        show.run(on_frame)
    finally:
        ended_early = isinstance(sys.exc_info()[1], Exception)
        if show.frames > 0 and not ended_early:
            if json_output:
                print_json(show.report())
            else:
                note(show.summary_line())


@app.command()
def models(provider: ProviderOption = "auto", json_output: JsonOption = False) -> None:
    """List the styles that --model finds by name."""
    from dataclasses import asdict

    from edge_style.catalog import default_files, list_models
    from edge_style.providers import candidates

    provider_name = candidates(provider)[0].name
    entries = list_models()
    chosen = default_files(entries, provider_name)
    if json_output:
        listed = [
            {
                "name": entry.name,
                "path": str(entry.path),
                "size_bytes": entry.size_bytes,
                "default": entry.path in chosen,
                "problem": entry.problem,
                "metadata": asdict(entry.spec) if entry.spec else None,
            }
            for entry in entries
        ]
        print_json({"provider": provider_name, "models": listed})
        return
    from edge_style.tables import models_table, show

    show(models_table(entries, chosen))
    note(f"* runs for --model NAME on {provider_name}")


@app.command()
def info(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A style's name or an .onnx file.")],
    size: Annotated[
        str, typer.Option("--size", help="Size of a frame, for the number of operations.")
    ] = "640x480",
    provider: ProviderOption = "auto",
    json_output: JsonOption = False,
) -> None:
    """Show a model's painting, inputs, operations and scores."""
    from edge_style.images import parse_size
    from edge_style.model_info import inspect

    size_px = parse_size(size)
    found = inspect(model, provider)
    if json_output:
        print_json(found.to_json(size_px))
        return
    from edge_style.tables import info_table, show

    show(info_table(found, size_px))


def _unloadable(entry: EntryPoint, reason: ImportError) -> Callable[[], None]:
    """A stand-in that says why a command is not there, so that the other commands still run."""

    def command() -> None:
        raise EdgeStyleError(f"the command '{entry.name}' cannot be loaded: {reason}")

    command.__doc__ = "(not installed)"
    return command


def _add_commands_of_other_packages() -> None:
    known = {
        command.name or (command.callback.__name__ if command.callback else "")
        for command in app.registered_commands
    }
    for entry in sorted(entry_points(group=COMMANDS_GROUP), key=lambda entry: entry.name):
        if entry.name in known:
            continue
        known.add(entry.name)
        try:
            function = entry.load()
        except ImportError as error:
            app.command(entry.name, hidden=True)(_unloadable(entry, error))
        else:
            app.command(entry.name)(function)


def _one_line(message: str) -> str:
    return " ".join(message.split())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0, 2 after a mistake by the user, 130 after Ctrl-C."""
    _add_commands_of_other_packages()
    try:
        status = app(arguments, prog_name="edge-style", standalone_mode=False)
    except EdgeStyleError as error:
        typer.echo(f"error: {_one_line(str(error))}", err=True)
        status = USAGE_STATUS
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED_STATUS
    except ImportError as error:
        # OpenCV's wheels expect libraries that a desktop has and a bare server or container lacks.
        if "shared object" not in str(error):
            raise
        typer.echo(
            f"error: OpenCV cannot be loaded, {_one_line(str(error))}; on Debian and Ubuntu: "
            "apt-get install libgl1 libglib2.0-0",
            err=True,
        )
        status = USAGE_STATUS
    except Exception as error:
        # Typer brings its own copy of click or uses the installed one, depending on its version;
        # the usage errors of both are known by this method.
        if not hasattr(error, "format_message"):
            raise
        typer.echo(f"error: {_one_line(error.format_message())} (see --help)", err=True)
        status = USAGE_STATUS
    sys.exit(status if isinstance(status, int) else 0)
