"""The gallery of the page: from model files to entries of `styles.json` and thumbnails."""

import hashlib
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_style.catalog import MODEL_SUFFIX, CatalogEntry, encoder_files, list_models, resolve
from edge_style.contract import ModelSpec, Precision
from edge_style.errors import ModelError, ModelNotFoundError, UsageError
from edge_style.images import Rgb, resize, resize_to_cover, write_image
from edge_style.onnx_file import summarize
from edge_style.stylizer import Stylizer

# For each of the page's backends the precisions it runs, the fastest first. WebAssembly computes
# fp16 files in fp32, after conversions that cost a little; int8 takes about half the time of fp32
# (`tools/bench_web.py` measures it). WebGPU has no int8 convolutions.
PREFERENCES: dict[str, tuple[Precision, ...]] = {
    "webgpu": ("fp16", "fp32"),
    "wasm": ("int8", "fp32", "fp16"),
}

# Strokes keep their size at this one; the picture is then made smaller.
_PAINT_SIZE_PX = (320, 240)
_THUMBNAIL_SIZE_PX = (160, 120)
_THUMBNAIL_QUALITY = 82


@dataclass(frozen=True)
class StyleModel:
    """One network and the files it comes in.

    Attributes:
        name: of the style, unique among those of a page.
        files: precision -> `.onnx` file.
        spec: what the first of them says of itself.
        encoders: precision -> file, of a network for any style: what reads the style off a picture.
    """

    name: str
    files: dict[Precision, Path]
    spec: ModelSpec
    encoders: dict[Precision, Path] = field(default_factory=dict)


def choose_models(names: Sequence[str]) -> list[StyleModel]:
    """The networks for a page; one of them at most is for any style.

    Args:
        names: styles or paths, as after `--model`; a style's name brings all its files. Empty for
            every style that `--model` finds by name.

    Raises:
        ModelNotFoundError: there is none of that name, or none at all.
        ModelError: one cannot be used, or does not follow the model contract.
        UsageError: two are for any style, or all.
    """
    installed: dict[str, list[Path]] = {}
    entries = list_models()
    alone = {entry.name.removesuffix(".int8") for entry in entries}
    for entry in entries:
        if names or _goes_without_saying(entry, alone):
            style = entry.name.removesuffix(".int8")
            installed.setdefault(style, []).append(entry.path)
    if not names and not installed:
        raise ModelNotFoundError("no styles are installed: give --model, or export one first")
    chosen = [(name, installed.get(name) or [resolve(name, "cpu")]) for name in names]
    models: dict[str, StyleModel] = {}
    for name, paths in chosen or installed.items():
        model = _model(_free_name(Path(name).name.removesuffix(MODEL_SUFFIX), models), paths)
        models[model.name] = model
    for_any = [model.name for model in models.values() if model.encoders]
    if len(for_any) > 1:
        if names:
            raise UsageError(f"{' and '.join(for_any)} are both for any style: give one of them")
        for name in for_any[1:]:
            del models[name]
    if all(model.encoders for model in models.values()):
        raise UsageError(
            f"'{for_any[0]}' has no style of its own to begin with: give one beside it, --model "
            f"STYLE,{for_any[0]}"
        )
    return list(models.values())


def _goes_without_saying(entry: CatalogEntry, alone: Set[str]) -> bool:
    """Whether the page shows a model that nobody named; `alone`: names of all there are."""
    spec = entry.spec
    if spec is None or spec.role == "encoder":
        return False
    if spec.code_length:
        return bool(_encoders(entry.path, spec))
    # What paints nothing but styles that are there alone would show them twice.
    return not spec.styles or not set(spec.styles) <= alone


def _free_name(name: str, taken: Iterable[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _model(name: str, paths: Sequence[Path]) -> StyleModel:
    specs: dict[Precision, tuple[Path, ModelSpec]] = {}
    for path in paths:
        try:
            spec = ModelSpec.from_metadata(summarize(path).metadata)
        except ValueError as error:
            raise ModelError(f"'{path}' cannot be used: {error}") from error
        if spec is None:
            raise ModelError(
                f"'{path}' was not made by edge-style, and the page runs only what follows the "
                f"model contract: convert it with 'edge-style export {path}'"
            )
        if spec.role == "encoder":
            raise ModelError(f"'{path}' reads paintings, it does not paint: leave it out")
        specs[spec.precision] = (path, spec)
    first, spec = next(iter(specs.values()))
    encoders = _encoders(first, spec) if spec.code_length else {}
    files: dict[Precision, Path] = {}
    for precision, (path, other) in specs.items():
        same = other.checkpoint_sha256 == spec.checkpoint_sha256
        if other.code_length == spec.code_length and (same or not spec.code_length):
            files[precision] = path
        elif path.parent == first.parent:  # one's own of that name stands before what is shipped
            raise ModelError(
                f"'{first}' and '{path}' are of two trainings: export both again, or remove one"
            )
    if spec.code_length and not encoders:
        raise ModelError(
            f"'{first}' needs its style encoder, and there is no '{encoder_files(first)[0].name}' "
            "of the same training beside it"
        )
    return StyleModel(name, files, spec, encoders)


def _encoders(transformer: Path, spec: ModelSpec) -> dict[Precision, Path]:
    """Precision -> file, of what reads styles for a network that takes codes."""
    found: dict[Precision, Path] = {}
    for path in encoder_files(transformer):
        if not path.is_file():
            continue
        try:
            encoder = ModelSpec.from_metadata(summarize(path).metadata)
        except (ModelError, ValueError):
            continue
        if encoder is not None and encoder.role == "encoder":
            same = encoder.checkpoint_sha256 == spec.checkpoint_sha256
            if same and encoder.code_length == spec.code_length:
                found[encoder.precision] = path
    return found


def gallery(
    models: Sequence[StyleModel], sample: Rgb
) -> tuple[list[dict[str, Any]], dict[str, Path | bytes]]:
    """The entries of `styles.json`, and the files they name; without what is for any style.

    Args:
        models: the networks.
        sample: uint8 [H, W, 3], the photo that thumbnails show.

    Returns:
        Entries in order, one per style; address -> file or its content.

    Raises:
        ModelError, ProviderError, MissingExtraError: a network does not run here.
    """
    entries: list[dict[str, Any]] = []
    files: dict[str, Path | bytes] = {}
    small = resize_to_cover(sample, *_PAINT_SIZE_PX)
    for model in models:
        if model.encoders:
            continue
        listed = _listed(model.name, model.files, files)
        # What int8 loses is not to be seen in a thumbnail, but the other file is the reference.
        best = min(model.files, key=("fp32", "fp16", "int8").index)
        stylizer = Stylizer.load(model.files[best], provider="cpu")
        for index, title in _styles(model):
            thumbnail = _thumbnail(stylizer, small, index)
            address = _address("thumbnails", model.name, thumbnail, ".jpg")
            files[address] = thumbnail
            entries.append(
                {
                    "id": model.name if index is None else f"{model.name}-{index + 1}",
                    "painting": title,
                    "artist": model.spec.artist,
                    "year": model.spec.year,
                    "licence": model.spec.licence,
                    "thumbnail": address,
                    "files": listed,
                    "index": index,
                    "siblings": max(1, len(model.spec.styles)),
                }
            )
    return entries, files


def any_style(
    models: Sequence[StyleModel],
) -> tuple[dict[str, Any] | None, dict[str, Path | bytes]]:
    """The entry `any_style` of `styles.json`, None if none of `models` is for any style; its files.

    Args:
        models: the networks.
    """
    files: dict[str, Path | bytes] = {}
    for model in models:
        if model.encoders:
            entry = {
                "files": _listed(model.name, model.files, files),
                "encoders": _listed(f"{model.name}-encoder", model.encoders, files),
                "licence": model.spec.licence,
            }
            return entry, files
    return None, files


def _listed(
    name: str, paths: Mapping[Precision, Path], files: dict[str, Path | bytes]
) -> list[dict[str, Any]]:
    """What `styles.json` says of a network's files, which are added to those of the site."""
    listed = []
    for precision, path in paths.items():
        address = _address("models", name, path.read_bytes(), MODEL_SUFFIX)
        files[address] = path
        size_bytes = path.stat().st_size
        listed.append({"url": address, "size_bytes": size_bytes, "precision": precision})
    return listed


def _styles(model: StyleModel) -> list[tuple[int | None, str]]:
    """Index and title of each style of a network."""
    if model.spec.styles:
        return list(enumerate(model.spec.styles))
    return [(None, model.spec.painting or model.name)]


def _thumbnail(stylizer: Stylizer, small: Rgb, index: int | None) -> bytes:
    weights = None
    if index is not None:
        weights = [float(number == index) for number in range(len(stylizer.styles))]
    picture = resize(stylizer(small, weights), *_THUMBNAIL_SIZE_PX)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "thumbnail.jpg"
        write_image(path, picture, quality=_THUMBNAIL_QUALITY)
        return path.read_bytes()


def _address(folder: str, name: str, data: bytes, suffix: str) -> str:
    """Where a file lies in the site: the same characters on every host and in every URL.

    With its digest, so that caches never show an old one.
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return f"{folder}/{plain}-{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
