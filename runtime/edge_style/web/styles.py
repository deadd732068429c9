"""The gallery of the page: from model files to entries of `styles.json` and thumbnails."""

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_style.catalog import MODEL_SUFFIX, list_models, resolve
from edge_style.contract import ModelSpec, Precision
from edge_style.errors import ModelError, ModelNotFoundError
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
    """

    name: str
    files: dict[Precision, Path]
    spec: ModelSpec


def choose_models(names: Sequence[str]) -> list[StyleModel]:
    """The networks for a page.

    Args:
        names: styles or paths, as after `--model`; a style's name brings all its files. Empty for
            every style that `--model` finds by name.

    Raises:
        ModelNotFoundError: there is none of that name, or none at all.
        ModelError: one cannot be used, or does not follow the model contract.
    """
    installed: dict[str, list[Path]] = {}
    entries = list_models()
    alone = {entry.name.removesuffix(".int8") for entry in entries}
    for entry in entries:
        spec = entry.spec
        # The page has no encoder to give a network for any style its codes.
        if not names and (spec is None or spec.role == "encoder" or spec.code_length):
            continue
        # All of its styles would be shown twice.
        if not names and spec is not None and spec.styles and set(spec.styles) <= alone:
            continue
        style = entry.name.removesuffix(".int8")
        installed.setdefault(style, []).append(entry.path)
    if not names and not installed:
        raise ModelNotFoundError("no styles are installed: give --model, or export one first")
    chosen = [(name, installed.get(name) or [resolve(name, "cpu")]) for name in names]
    models: dict[str, StyleModel] = {}
    for name, paths in chosen or installed.items():
        model = _model(_free_name(Path(name).name.removesuffix(MODEL_SUFFIX), models), paths)
        models[model.name] = model
    return list(models.values())


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
        if spec.code_length:
            raise ModelError(f"'{path}' wants a picture as its style, which the page has not yet")
        specs[spec.precision] = (path, spec)
    files = {precision: path for precision, (path, _) in specs.items()}
    return StyleModel(name, files, next(iter(specs.values()))[1])


def gallery(
    models: Sequence[StyleModel], sample: Rgb
) -> tuple[list[dict[str, Any]], dict[str, Path | bytes]]:
    """The entries of `styles.json`, and the files they name.

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
        listed = []
        for precision, path in model.files.items():
            address = f"models/{model.name}-{_digest(path.read_bytes())}{MODEL_SUFFIX}"
            files[address] = path
            size_bytes = path.stat().st_size
            listed.append({"url": address, "size_bytes": size_bytes, "precision": precision})
        # What int8 loses is not to be seen in a thumbnail, but the other file is the reference.
        best = min(model.files, key=("fp32", "fp16", "int8").index)
        stylizer = Stylizer.load(model.files[best], provider="cpu")
        for index, title in _styles(model):
            thumbnail = _thumbnail(stylizer, small, index)
            address = f"thumbnails/{model.name}-{_digest(thumbnail)}.jpg"
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


def _digest(data: bytes) -> str:
    """In a file's address, so that caches never show an old one."""
    return hashlib.sha256(data).hexdigest()[:12]
