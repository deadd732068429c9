"""The command line: the only module of the runtime that exits; it and its helpers print.

Everything heavy (onnxruntime, opencv) is imported inside the commands, so that `--help` is quick.
Other packages add commands through the entry point group `edge_style.commands`: each entry is a
plain function with typer annotations, and its name is the command's.
"""

import errno
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_style import __version__, cli_web
from edge_style.cli_cam import cam
from edge_style.cli_common import (
    JsonOption,
    LookOption,
    OptionalModelOption,
    ProviderOption,
    chosen_models,
    note,
    note_start,
    print_json,
)
from edge_style.cli_video import video
from edge_style.errors import EdgeStyleError, ImageError, UsageError
from edge_style.shutdown import end_process_when_interrupted, leave

if TYPE_CHECKING:
    from edge_style.any_style import AnyStylizer
    from edge_style.batch import BatchSize
    from edge_style.photo.wrapped import NoPainting
    from edge_style.stylizer import Stylizer

COMMANDS_GROUP = "edge_style.commands"
USAGE_STATUS = 2
INTERRUPTED_STATUS = 130


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


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, _version: VersionOption = False) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def image(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO", show_default=False)],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="The picture to write; for several photos or styles a folder."
        ),
    ],
    model: OptionalModelOption = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            help="Size at which the network runs, and of the result: 640x480 (what hangs over "
            "is cut) or 640 (longer side, nothing is cut). Default: the photo's own.",
        ),
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            "--style",
            metavar="PICTURE",
            help="For a network that paints like any picture: the picture, or a mix such as "
            "one.jpg=0.7+two.jpg=0.2; what is left is the photo's own style.",
        ),
    ] = None,
    look: LookOption = None,
    provider: ProviderOption = "auto",
    json_output: JsonOption = False,
) -> None:
    """Stylize photos."""
    from edge_style.batch import BatchSize, plan_outputs, stylize_photo
    from edge_style.photo.look import LookChoice

    choice = None if look is None else LookChoice.read(look)
    batch_size = BatchSize.parse(size)
    planned = plan_outputs(photos, chosen_models(model, look), output)
    # All are opened before the first picture is written: a mistake is one line and nothing else.
    stylizers = {
        name: _open_stylizer(name, pairs, style, look, provider, batch_size)
        for name, pairs in planned.items()
    }
    results: list[dict[str, object]] = []
    failed: list[str] = []
    total = sum(map(len, planned.values()))
    for name, pairs in planned.items():
        stylizer, is_told = stylizers[name], False
        for photo, target in pairs:
            try:
                made = stylize_photo(stylizer, photo, target, batch_size.long_side_px, choice)
            except ImageError as error:
                if total == 1:
                    raise
                note(f"note: {error}")  # the others are made all the same
                failed.append(str(photo))
                continue
            if not is_told:
                note_start(stylizer)  # not before, so that an error stays the only line
                is_told = True
            made_size = f"{made.size_px[0]}x{made.size_px[1]}"
            note(f"{target}: {made_size}, {made.infer_ms:.0f} ms")
            results.append(
                {
                    "photo": str(photo),
                    "output": str(target),
                    "model": stylizer.name,
                    "file": None if stylizer.path is None else str(stylizer.path),
                    "precision": stylizer.precision,
                    "provider": stylizer.provider,
                    "size": made_size,
                    "infer_ms": round(made.infer_ms, 3),
                }
            )
    if json_output:
        print_json({"results": results, "failed": failed})
    if failed:
        raise ImageError(f"{len(failed)} of {total} pictures could not be made")


def _open_stylizer(
    name: str,
    pairs: Sequence[tuple[Path, Path]],
    style: str | None,
    look: Path | None,
    provider: str,
    size: "BatchSize",
) -> "Stylizer | NoPainting | AnyStylizer":
    """What paints the pictures of `pairs`; none of their targets may be a file that it reads."""
    from edge_style.any_style import AnyStylizer
    from edge_style.batch import check_is_no_input
    from edge_style.photo import NO_PAINTING
    from edge_style.photo.wrapped import NoPainting
    from edge_style.stylizer import Stylizer

    read = [] if look is None else [look]
    stylizer: Stylizer | NoPainting | AnyStylizer
    if name == NO_PAINTING:
        stylizer = NoPainting.instead_of_network(size.exact_px, style=style, provider=provider)
    else:
        stylizer = loaded = Stylizer.load(name, provider=provider, size=size.exact_px, tell=note)
        if loaded.takes_code:
            stylizer = AnyStylizer.open(loaded, style, is_live=False)
            if len(stylizer.styles) > 1:
                raise UsageError(
                    "a photo has one style: give one picture as --style, or a mix such as "
                    "one.jpg=0.7+two.jpg=0.3"
                )
            read += stylizer.files
        elif style is not None:
            raise UsageError(f"'{loaded.name}' has its own styles: leave --style out")
    for _, target in pairs:
        check_is_no_input(target, read)
    return stylizer


app.command()(cam)
app.command()(video)


@app.command()
def models(provider: ProviderOption = "auto", json_output: JsonOption = False) -> None:
    """List the styles that --model finds by name."""
    from dataclasses import asdict

    from edge_style.catalog import default_files, list_models
    from edge_style.providers import candidates

    found = candidates(provider)
    provider_name = found[0].name
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
    others = [candidate.name for candidate in found[1:]]
    more = f"; --provider auto measures {provider_name}, {', '.join(others)}" if others else ""
    note(f"* runs for --model NAME on {provider_name}{more}")


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
    """Run the command line and exit: 0, 2 after a mistake by the user, 130 after Ctrl-C.

    Args:
        arguments: None: those of the process, which then ends. Others end with SystemExit only.
    """
    if arguments is not None:
        sys.exit(_run(arguments))
    end_process_when_interrupted()
    leave(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    """Run the command line; its exit status."""
    try:
        _add_commands_of_other_packages()
        status = app(arguments, prog_name="edge-style", standalone_mode=False)
    except EdgeStyleError as error:
        typer.echo(f"error: {_one_line(str(error))}", err=True)
        return USAGE_STATUS
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED_STATUS
    except ImportError as error:
        # OpenCV's wheels expect libraries that a desktop has and a bare server or container lacks.
        if "shared object" not in str(error):
            raise
        typer.echo(
            f"error: OpenCV cannot be loaded, {_one_line(str(error))}; on Debian and Ubuntu: "
            "apt-get install libgl1 libglib2.0-0",
            err=True,
        )
        return USAGE_STATUS
    except OSError as error:
        # Asking whether a file is there raises nothing but these.
        if error.errno == errno.ENAMETOOLONG:
            problem = f"'{error.filename}' is too long for the name of a file"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            problem = f"cannot write: {error.strerror}"
        elif isinstance(error, PermissionError) and error.filename is not None:
            problem = f"'{error.filename}' cannot be reached: permission denied"
        else:
            raise
        typer.echo(f"error: {problem}", err=True)
        return USAGE_STATUS
    except Exception as error:
        # Typer brings its own copy of click or uses the installed one, depending on its version;
        # the usage errors of both are known by this method.
        if not hasattr(error, "format_message"):
            raise
        typer.echo(f"error: {_one_line(error.format_message())} (see --help)", err=True)
        return USAGE_STATUS
    return status if isinstance(status, int) else 0
