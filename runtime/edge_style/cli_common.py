"""What the commands share: options with one meaning, and how the program speaks."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_style.errors import UsageError
from edge_style.photo import NO_PAINTING

if TYPE_CHECKING:
    from edge_style.any_style import AnyStylizer
    from edge_style.photo.wrapped import NoPainting
    from edge_style.stylizer import Stylizer

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
OptionalModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A style's name (see `models`) or an .onnx file; may be left out beside --look.",
    ),
]
LookOption = Annotated[
    Path | None,
    typer.Option(
        "--look",
        metavar="REFERENCE",
        help="Give the pictures the light of another photo, or of a .cube table. Without --model "
        "nothing is painted.",
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


def note(message: str) -> None:
    """Say something by the way: on standard error, so that pipes and --json stay clean."""
    typer.echo(message, err=True)


def note_start(stylizer: "Stylizer | NoPainting | AnyStylizer") -> None:
    """Say which file runs where, what `auto` measured, and what was left to the CPU."""
    for line in stylizer.notes:
        note(f"note: {line}")
    note(stylizer.description)


def as_json(value: Mapping[str, Any]) -> str:
    """One line of JSON that every encoding of text holds.

    A name of a file that is no UTF-8 has lone surrogates in Python; escaped, they are JSON, and
    read back as the same name.
    """
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    typer.echo(as_json(value))


def split_models(text: str) -> list[str]:
    """`a,b` as typed after --model, each once."""
    models = [name.strip() for name in text.split(",")]
    if not all(models):
        raise UsageError(f"expected --model NAME or NAME,NAME, got '{text}'")
    return list(dict.fromkeys(models))


def chosen_models(model: str | None, look: Path | None) -> list[str]:
    """What is typed after --model, or nothing to paint where a look is given."""
    if model is not None:
        return split_models(model)
    if look is None:
        raise UsageError("expected --model NAME, or --look REFERENCE to paint nothing")
    return [NO_PAINTING]
