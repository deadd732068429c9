"""The command line: the only module of the runtime that prints and exits.

Everything heavy (onnxruntime, opencv) is imported inside the commands, so that `--help` is quick.
Other packages add commands through the entry point group `edge_style.commands`: each entry is a
plain function with typer annotations, and its name is the command's.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer

from edge_style import __version__
from edge_style.errors import EdgeStyleError

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
    context_settings={"help_option_names": ["-h", "--help"]},
)


def note(message: str) -> None:
    """Say something by the way: on standard error, so that pipes and --json stay clean."""
    typer.echo(message, err=True)


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False))


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, _version: VersionOption = False) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _unloadable(entry: EntryPoint, reason: ImportError) -> Callable[[], None]:
    """A stand-in that says why a command is not there, so that the other commands still run."""

    def command() -> None:
        raise EdgeStyleError(f"the command '{entry.name}' cannot be loaded: {reason}")

    command.__doc__ = "(not installed)"
    return command


def _add_commands_of_other_packages() -> None:
    known = {command.name for command in app.registered_commands}
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
    except Exception as error:
        # Typer brings its own copy of click or uses the installed one, depending on its version;
        # the usage errors of both are known by this method.
        if not hasattr(error, "format_message"):
            raise
        typer.echo(f"error: {_one_line(error.format_message())} (see --help)", err=True)
        status = USAGE_STATUS
    sys.exit(status if isinstance(status, int) else 0)
