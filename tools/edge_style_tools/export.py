"""From a checkpoint to a verified, described `.onnx` file."""

import importlib.metadata
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx

from edge_style import __version__
from edge_style.catalog import MODEL_SUFFIX
from edge_style.contract import ModelSpec, Precision
from edge_style.errors import ModelError, UsageError
from edge_style.images import ensure_writable, write_image
from edge_style.providers import provider_named
from edge_style_tools import verify
from edge_style_tools.graph import count_macs_per_pixel, count_operations
from edge_style_tools.pads import plain_pads
from edge_style_tools.photos import photos_for
from edge_style_tools.quantize import QuantizationSettings, calibration_frames, quantize
from edge_style_tools.sources import Source
from edge_style_tools.targets import TargetCheck, TargetError, check_file

SHIPPED_FOLDER = Path("exported")
_TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu")


@dataclass(frozen=True)
class Credits:
    """Of the painting, for the file's metadata; what is empty is taken from the checkpoint."""

    name: str = ""
    painting: str = ""
    artist: str = ""
    year: str = ""
    licence: str = ""
    source: str = ""


@dataclass(frozen=True)
class ExportSettings:
    """What the user chose.

    Attributes:
        output: the file to write; by default `NAME.onnx` (fp16) or `NAME.PRECISION.onnx`, in
            `./exported` where there is one, else in the current folder.
        precision: of weights and convolutions.
        force: overwrite.
        photos: folder of photos to verify on; by default pictures that the program makes.
        providers: execution providers to verify on.
        size_px: (width, height), to fix the size; else it is dynamic.
        preview: picture to write: a photo, the network's and the file's version of it.
        quantization: for int8.
        plain_pads: write padding as slices and concatenations; see `pads`.
        targets: engines that must take the file; see `targets`.
        credits: see `Credits`.
    """

    output: Path | None = None
    precision: Precision = "fp16"
    force: bool = False
    photos: Path | None = None
    providers: tuple[str, ...] = ("cpu",)
    size_px: tuple[int, int] | None = None
    preview: Path | None = None
    quantization: QuantizationSettings = field(default_factory=QuantizationSettings)
    plain_pads: bool = False
    targets: tuple[str, ...] = ()
    credits: Credits = Credits()


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how far it is from the network it came from."""

    path: Path
    found: str
    spec: ModelSpec
    differences: tuple[verify.Difference, ...]
    bytes_written: int
    checks: tuple[TargetCheck, ...] = ()


def export_network(
    source: Source,
    settings: ExportSettings,
    progress: Callable[[str], None] = lambda _: None,
) -> ExportReport:
    """Write `source` as an `.onnx` file that keeps the model contract.

    Nothing is left behind if it does not compute what the network computes, or if a target that
    was asked for cannot take it.

    Raises:
        UsageError: no such provider, or the target exists and `force` is not set, or its folder is
            missing.
        ModelError: the network cannot be exported.
        VerificationError: the file differs more than it may.
        TargetError: one of the targets cannot take it.
        ContentError: no photos where the user said.
    """
    if settings.preview is not None:
        ensure_writable(settings.preview)
    for provider in settings.providers:
        provider_named(provider)
    name = settings.credits.name or source.spec.name
    target = choose_output(settings, name)
    photos = photos_for(_sizes(settings), settings.photos)
    progress("exporting")
    model = _to_onnx(source, settings)
    spec = describe(model, source, settings, name)
    if settings.precision == "int8":
        progress("quantizing")
        model, spec = _quantize(model, spec, settings, source.codes)
    with beside(target) as partial:
        onnx.save(model, partial)
        check(partial)
        progress("verifying")
        reference = source.reference()
        styles = max(1, len(spec.styles))
        differences = verify.compare(
            partial, reference, photos, settings.providers, styles, source.codes
        )
        verify.require_agreement(differences, settings.precision)
        spec = replace(
            spec,
            scores={**spec.scores, **difference_scores(differences)},
            verified_providers=tuple(dict.fromkeys(found.provider for found in differences)),
        )
        onnx.helper.set_model_props(model, spec.to_metadata())
        onnx.save(model, partial)
        check(partial)
        checks = require_taken(partial, settings.targets)
        if settings.preview is not None:
            write_preview(settings.preview, partial, source, settings)
    size = target.stat().st_size
    return ExportReport(target, source.found, spec, tuple(differences), size, checks)


def write_preview(target: Path, model: Path, source: Source, settings: ExportSettings) -> None:
    """Write to `target` a photo, and beside it what `source` and the file `model` make of it."""
    pictures = verify.side_by_side(
        model,
        source.reference(),
        photos_for(_sizes(settings), settings.photos)[-1],
        settings.providers[0],
        max(1, len(source.spec.styles)),
        source.codes,
    )
    write_image(target, pictures)


def choose_output(settings: ExportSettings, name: str) -> Path:
    """Where to write.

    Raises:
        UsageError: the target exists and `force` is not set, is no `.onnx` file, or its folder is
            missing or cannot be written.
    """
    target = settings.output
    if target is None:
        # A checkpoint of unknown origin may bring the name.
        if Path(name).name != name or name.startswith("."):
            raise UsageError(f"'{name}' cannot be a file's name: give another --name")
        folder = SHIPPED_FOLDER if SHIPPED_FOLDER.is_dir() else Path()
        suffix = ".onnx" if settings.precision == "fp16" else f".{settings.precision}.onnx"
        target = folder / f"{name}{suffix}"
    if target.suffix.lower() != MODEL_SUFFIX:
        raise UsageError(f"the output should be an .onnx file, not '{target}'")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder '{target.parent}' to write '{target.name}' to")
    if target.exists() and not settings.force:
        raise UsageError(f"'{target}' exists: give another --output, or --force to overwrite it")
    return target


def _sizes(settings: ExportSettings) -> Sequence[tuple[int, int]]:
    if settings.size_px is None:
        return verify.SIZES_PX
    width_px, height_px = settings.size_px
    return ((height_px, width_px),) * 3


def _to_onnx(source: Source, settings: ExportSettings) -> onnx.ModelProto:
    size = settings.size_px
    model = source.to_onnx(
        precision=settings.precision, size=None if size is None else (size[1], size[0])
    )
    return plain_pads(model) if settings.plain_pads else model


def _quantize(
    model: onnx.ModelProto,
    spec: ModelSpec,
    settings: ExportSettings,
    codes: Sequence[verify.Floats],
) -> tuple[onnx.ModelProto, ModelSpec]:
    frames = calibration_frames(settings.quantization, settings.size_px)
    styles = max(1, len(spec.styles))
    quantized = quantize(model, frames, settings.quantization, styles, codes)
    calibration = describe_calibration(settings.quantization, len(frames))
    return quantized, replace(spec, operations=count_operations(quantized), calibration=calibration)


def describe(
    model: onnx.ModelProto, source: Source, settings: ExportSettings, name: str
) -> ModelSpec:
    """What is known of `model`, which was made of `source`."""
    given = {key: value for key, value in vars(settings.credits).items() if value}
    return replace(
        source.spec,
        **{**given, "name": name},
        precision=settings.precision,
        parameters=source.parameters,
        macs_per_pixel=round(count_macs_per_pixel(model), 1),
        operations=count_operations(model),
        tool_versions=tool_versions(),
    )


def describe_calibration(settings: QuantizationSettings, frames: int) -> dict[str, object]:
    """Settings for a file's metadata."""
    return {
        "frames": frames,
        "photos": "made by the program" if settings.calibration is None else "the user's",
        "percentile": settings.percentile,
        "weight_bits": settings.weight_bits,
    }


def tool_versions() -> dict[str, str]:
    """Package -> version, of what writes the files."""
    versions = {"edge-style": __version__}
    for package in _TOOLS:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def difference_scores(differences: Sequence[verify.Difference]) -> dict[str, float]:
    """Figures for a file's metadata."""
    return {
        "export_largest_levels": float(max(found.largest_levels for found in differences)),
        "export_mean_levels": round(float(np.mean([d.mean_levels for d in differences])), 4),
        "export_psnr_db": round(min(99.0, *(found.psnr_db for found in differences)), 1),
    }


def check(path: Path) -> None:
    """Raises ModelError for a file that is not valid ONNX."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the exported graph is not valid ONNX: {error}") from error


def require_taken(
    path: Path, targets: Sequence[str], what: str = "the file"
) -> tuple[TargetCheck, ...]:
    """What each target does not take of a file that is about to be written; `what` names it.

    Raises:
        TargetError: one of the targets cannot take it.
    """
    checks = check_file(path, targets)
    if not all(check.takes for check in checks):
        raise TargetError(checks, "; nothing was written", what)
    return checks


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A temporary path in the target's folder, renamed to `target` unless something was raised."""
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}.", suffix=".onnx", dir=target.parent
        )
    except OSError as error:
        raise UsageError(f"cannot write to '{target.parent}': {error.strerror}") from error
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes files for the owner alone; a model is as public as the user's others.
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(target)
    except OSError as error:
        raise UsageError(f"cannot write '{target}': {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
