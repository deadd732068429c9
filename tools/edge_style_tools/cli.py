"""The command `edge-style export`; torch and onnx are imported when it runs, not before."""

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from edge_style.contract import MIN_SIDE_PX, Precision
from edge_style.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from edge_style_tools.export import ExportReport
    from edge_style_tools.targets import TargetCheck

# What may be given beside a finished file.
_OPTIONS_OF_A_CHECK = ("checkpoint", "check_for", "as_json")


def export(
    context: typer.Context,
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A trained network: a checkpoint (of edge-style, pytorch/examples, rrmina), a "
            "folder of deeplearn.js or ml5, or a foreign .onnx file."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The file to write. By default NAME.onnx, or NAME.PRECISION.onnx if not fp16, in "
            "./exported if there is such a folder, else here.",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="fp16 (any provider), fp32, or int8 (fastest on CPUs).", metavar="fp16|fp32|int8"
        ),
    ] = "fp16",
    style: Annotated[
        str, typer.Option(help="Of a many-style checkpoint: this style alone, by name.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder of photos to verify on; by default pictures made here."),
    ] = None,
    size: Annotated[
        str,
        typer.Option(
            help="Fix the size, for engines that want it: 640x480. By default any size goes.",
            metavar="WxH",
        ),
    ] = "",
    preview: Annotated[
        Path | None,
        typer.Option(
            help="Write a picture: a photo, what the network and what the file make of it."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="For int8: folder of photos like those it will see; by default pictures made here."
        ),
    ] = None,
    percentile: Annotated[
        float | None,
        typer.Option(
            min=90,
            max=100,
            help="For int8: share of each activation's values within its range; by default what "
            "suits networks of that kind. Try others where strokes suffer.",
        ),
    ] = None,
    weight_bits: Annotated[
        int,
        typer.Option(
            min=7, max=8, help="For int8: 7 is right on every CPU, 8 on those with VNNI or on Arm."
        ),
    ] = 7,
    provider: Annotated[
        list[str] | None,
        typer.Option(help="Verify on this provider; repeatable. By default the CPU."),
    ] = None,
    check_for: Annotated[
        str,
        typer.Option(
            help="Engines that must take the file whole, by trying where they are here, else by "
            "table; with a finished file nothing is written.",
            metavar="cpu,cuda,tensorrt,coreml,web",
        ),
    ] = "",
    plain_pads: Annotated[
        bool | None,
        typer.Option(
            "--plain-pads/--no-plain-pads",
            help="Write padding by reflection as slices and concatenations. By default for "
            "CoreML alone, that is with --check-for coreml, which such padding would split.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What users type after --model.")] = "",
    painting: Annotated[str, typer.Option(help="Title of the painting.")] = "",
    artist: Annotated[str, typer.Option(help="Who painted it.")] = "",
    year: Annotated[str, typer.Option(help="When it was painted.")] = "",
    licence: Annotated[str, typer.Option(help="Of the painting and the model.")] = "",
    source: Annotated[str, typer.Option(help="Where the picture of the painting is from.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")
    ] = False,
) -> None:
    """Turn a checkpoint into a verified .onnx file that runs anywhere."""
    _require_packages()
    targets = _targets(check_for)
    if targets and _is_finished(checkpoint):
        _refuse_options_beside_a_check(context, checkpoint)
        _check_finished(checkpoint, targets, as_json)
        return
    if _precision(precision) != "int8":
        _refuse_int8_settings(calibration, percentile, weight_bits)
    providers = _providers(provider or ["cpu"])
    from edge_style_tools.any_export import export_both
    from edge_style_tools.export import Credits, ExportSettings, export_network
    from edge_style_tools.quantize import QuantizationSettings, percentile_for
    from edge_style_tools.sources import NetworkSource, read_source
    from edge_style_tools.targets import TargetError

    found = read_source(checkpoint, style)
    settings = ExportSettings(
        output=output,
        precision=_precision(precision),
        force=force,
        photos=photos,
        providers=providers,
        size_px=_size(size),
        preview=preview,
        quantization=QuantizationSettings(
            calibration,
            weight_bits,
            percentile_for(found.spec.architecture) if percentile is None else percentile,
        ),
        plain_pads="coreml" in targets if plain_pads is None else plain_pads,
        targets=targets,
        credits=Credits(name, painting, artist, year, licence, source),
    )
    if not as_json:
        typer.echo(f"{checkpoint} is {found.found}", err=True)
    reports: Sequence[ExportReport]
    try:
        if isinstance(found, NetworkSource) and found.encoder is not None:
            reports = export_both(found, settings)
        else:
            reports = [export_network(found, settings)]
    except TargetError as error:
        _show_checks(error.checks, as_json)
        raise
    if as_json:
        made = _as_json(reports[0])
        if len(reports) > 1:
            made["encoder"] = _as_json(reports[1])
        typer.echo(json.dumps(made, ensure_ascii=False))
        return
    for report in reports:
        _print_report(report)


def _refuse_int8_settings(
    calibration: Path | None, percentile: float | None, weight_bits: int
) -> None:
    given = {
        "--calibration": calibration is not None,
        "--percentile": percentile is not None,
        "--weight-bits": weight_bits != 7,
    }
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} is for int8: add --precision int8, or leave it out")


def _refuse_options_beside_a_check(context: typer.Context, path: Path) -> None:
    """A finished file is only read: whatever says how to write one would be lost in silence."""
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name not in _OPTIONS_OF_A_CHECK
        # Typer's own click or the installed one: their sources are known by name.
        and getattr(context.get_parameter_source(option.name or ""), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise UsageError(
            f"{path} is finished, and --check-for checks it as it is: leave out "
            f"{', '.join(given)}, or export the checkpoint that it came from"
        )


def _require_packages() -> None:
    for package in ("torch", "onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("export", package, "train")
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingExtraError("export", "onnxruntime", "train,cpu", "train,gpu")


def _precision(text: str) -> Precision:
    for known in get_args(Precision):
        if known == text.lower():
            return known  # type: ignore[no-any-return] # get_args is untyped
    raise UsageError(f"--precision should be one of {', '.join(get_args(Precision))}, not '{text}'")


def _providers(names: Sequence[str]) -> tuple[str, ...]:
    from edge_style.providers import AUTO, candidates

    for name in names:
        if name.lower() == AUTO:
            raise UsageError(
                "--provider says where export verifies the file, which 'auto' does not: "
                "name a provider, such as cpu, or several"
            )
        candidates(name)
    return tuple(names)


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise UsageError(f"--size should look like 640x480, not '{text}'")
    width_px, height_px = (int(side) for side in sides)
    if min(width_px, height_px) < MIN_SIDE_PX:
        raise UsageError(f"--size should be {MIN_SIDE_PX} pixels a side at least, not '{text}'")
    return width_px, height_px


def _targets(text: str) -> tuple[str, ...]:
    from edge_style_tools.targets import require_targets

    return require_targets(text.split(",")) if text else ()


def _is_finished(path: Path) -> bool:
    """Whether `path` is a file of the model contract, such as `export` writes."""
    from edge_style.catalog import MODEL_SUFFIX
    from edge_style.onnx_file import summarize
    from edge_style.session import CONTRACT_KEY

    if path.suffix.lower() != MODEL_SUFFIX or not path.is_file():
        return False
    return CONTRACT_KEY in summarize(path).metadata


def _check_finished(path: Path, targets: tuple[str, ...], as_json: bool) -> None:
    from edge_style_tools.targets import TargetError, check_file

    checks = check_file(path, targets)
    _show_checks(checks, as_json)
    if not all(check.takes for check in checks):
        raise TargetError(checks)


def _show_checks(checks: "Sequence[TargetCheck]", as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"checks": [_check_as_json(check) for check in checks]}))
    else:
        _print_checks(checks)


def _check_as_json(check: "TargetCheck") -> dict[str, Any]:
    return {**asdict(check), "takes": check.takes}


def _as_json(report: "ExportReport") -> dict[str, Any]:
    differences = [asdict(found) for found in report.differences]
    for found in differences:
        if found["psnr_db"] == float("inf"):
            found["psnr_db"] = None  # JSON has no infinity
    return {
        "path": str(report.path),
        "found": report.found,
        "bytes": report.bytes_written,
        "differences": differences,
        "checks": [_check_as_json(check) for check in report.checks],
        "model": asdict(report.spec),
    }


def _print_report(report: "ExportReport") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="difference from PyTorch, in 8-bit levels")
    for heading in ("size", "provider", "largest", "mean", "PSNR"):
        table.add_column(heading, justify="left" if heading == "provider" else "right")
    for found in report.differences:
        table.add_row(
            f"{found.width_px}x{found.height_px}",
            found.provider,
            str(found.largest_levels),
            f"{found.mean_levels:.3f}",
            f"{found.psnr_db:.1f} dB",
        )
    Console().print(table)
    if report.checks:
        _print_checks(report.checks)
    spec = report.spec
    typer.echo(
        f"wrote {report.path}: {spec.name}, {spec.precision}, {report.bytes_written / 1e6:.2f} MB, "
        f"{spec.parameters:,} parameters, {spec.macs_per_pixel:,.0f} MAC/pixel"
    )


def _print_checks(checks: "Sequence[TargetCheck]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="targets")
    for heading in ("target", "takes it", "known by", "what it does not take"):
        table.add_column(heading)
    for check in checks:
        lines = [
            f"{found.count} {found.operator}: {found.why}"
            + ("" if found.blocks else " (at an end of the network: the CPU does it)")
            for found in check.obstacles
        ]
        table.add_row(
            check.target,
            "yes" if check.takes else "no",
            "trying" if check.tried else "table",
            "\n".join([check.error] * bool(check.error) + lines) or "-",
        )
    Console().print(table)
