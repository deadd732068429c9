"""Where models are: from what users type after `--model` to a file."""

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from edge_style.contract import ModelSpec
from edge_style.errors import ModelError, ModelNotFoundError
from edge_style.onnx_file import summarize
from edge_style.providers import provider_named

MODEL_SUFFIX = ".onnx"
INT8_SUFFIX = ".int8.onnx"
ENCODER = ".encoder"

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parents[1]


@dataclass(frozen=True)
class CatalogEntry:
    """One model file that `--model` finds by name.

    Attributes:
        name: what to type after `--model` to get exactly this file.
        path: the file.
        size_bytes: its size on disk.
        spec: what it says of itself; None if it does not follow the contract or cannot be read.
        problem: why it cannot be used; empty if it can.
    """

    name: str
    path: Path
    size_bytes: int
    spec: ModelSpec | None
    problem: str = ""


def style_folders() -> tuple[Path, ...]:
    """The folders in which names are looked up, in order; they need not exist.

    `./exported`, the user's own, then the shipped styles: the checkout's if this is one, because
    an editable install may keep a stale copy, and the installed wheel's.
    """
    folders = [
        Path("exported"),
        Path(platformdirs.user_data_dir("edge-style", appauthor=False)) / "styles",
    ]
    if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "runtime").is_dir():
        folders.append(_CHECKOUT / "exported")
    folders.append(_PACKAGE / "exported")
    return tuple(folders)


def resolve(model: str | os.PathLike[str], provider: str) -> Path:
    """Find the file to run.

    Args:
        model: a path, which is taken as it is; or a name: `starry`, or the name of a file,
            `starry.onnx`. `starry` is the int8 file, where there is one, on providers that are
            quicker with it, else `starry.onnx`.
        provider: name of the provider that will run it.

    Raises:
        ModelNotFoundError: there is none; the message names the nearest and lists what there is.
    """
    path = Path(model)
    if path.is_file():
        return path
    if path.parent == Path():
        for folder in style_folders():
            for file_name in _file_names(path.name, provider):
                if (folder / file_name).is_file():
                    return folder / file_name
    raise ModelNotFoundError(_not_found(str(model), path))


def encoder_files(transformer: Path) -> tuple[Path, ...]:
    """Where the style encoder of a transformer that takes codes may be, the likeliest first.

    Beside it: `any.encoder.onnx` beside `any.onnx`, `any.encoder.int8.onnx` beside `any.int8.onnx`;
    one serves for both.
    """
    name = _style_name(transformer)
    suffixes = [MODEL_SUFFIX, INT8_SUFFIX]
    if transformer.name.endswith(INT8_SUFFIX):
        suffixes.reverse()
    return tuple(transformer.with_name(f"{name}{ENCODER}{suffix}") for suffix in suffixes)


def is_encoder(path: Path) -> bool:
    """Whether a file's name is that of a style encoder, which paints nothing by itself."""
    return _style_name(path).endswith(ENCODER)


def _file_names(name: str, provider: str) -> tuple[str, ...]:
    if name.endswith(MODEL_SUFFIX):
        return (name,)
    if provider_named(provider).quick_int8:
        return (name + INT8_SUFFIX, name + MODEL_SUFFIX)
    return (name + MODEL_SUFFIX, name + INT8_SUFFIX)


def _not_found(typed: str, path: Path) -> str:
    if path.is_dir():
        return f"'{typed}' is a folder, expected the name of a style or an .onnx file"
    what = f"there is no model file '{typed}'" if path.parent != Path() else f"no model '{typed}'"
    names = sorted({_style_name(file) for file in _files() if not is_encoder(file)})
    if not names:
        folders = ", ".join(str(folder) for folder in style_folders())
        return f"{what}; no styles are installed either (looked in {folders})"
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(_style_name(path).lower(), lower, n=1, cutoff=0.5)
    hint = f": did you mean '{lower[near[0]]}'?" if near else ";"
    return f"{what}{hint} There are: {', '.join(names)}"


def _style_name(path: Path) -> str:
    return path.name.removesuffix(MODEL_SUFFIX).removesuffix(".int8")


def _files() -> Iterator[Path]:
    """The model files in the style folders; of two of the same name only the first is found."""
    seen = set()
    for folder in style_folders():
        for path in sorted(folder.glob("*" + MODEL_SUFFIX)):
            if path.name not in seen and path.is_file():
                seen.add(path.name)
                yield path


def list_models() -> list[CatalogEntry]:
    """All models that `--model` finds by name."""
    return [_entry(path) for path in _files()]


def default_files(entries: list[CatalogEntry], provider: str) -> set[Path]:
    """Of those listed, the files that bare names such as `starry` stand for on a provider."""
    return {resolve(_style_name(entry.path), provider) for entry in entries}


def _entry(path: Path) -> CatalogEntry:
    name = path.name.removesuffix(MODEL_SUFFIX)
    size_bytes = path.stat().st_size
    try:
        spec = ModelSpec.from_metadata(summarize(path).metadata)
    except (ModelError, ValueError) as error:
        return CatalogEntry(name, path, size_bytes, None, str(error))
    return CatalogEntry(name, path, size_bytes, spec)
