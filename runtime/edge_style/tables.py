"""How `models`, `info`, `bench` and `doctor` look to people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from edge_style.catalog import CatalogEntry
from edge_style.model_info import ModelInfo

# Without a terminal, rich would fold the table at 80 columns and break paths apart.
_PIPED_COLUMNS = 200
_BENCH_COLUMNS = (
    *("model", "precision", "provider", "size", "infer ms", "95%", "frame ms", "95%"),
    *("spread", "frames/s", "cold start ms", "MB", "cores"),
)


def show(table: Table) -> None:
    """Print a table on standard output."""
    # Shapes such as [batch, 3] and folders called [old] are text, no markup.
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPED_COLUMNS
    console.print(table)


def models_table(entries: list[CatalogEntry], chosen: set[Path]) -> Table:
    """One row per model file; `chosen` are those that bare names stand for."""
    table = Table("", "name", "painting", "artist", "precision", "size", "where", box=box.SIMPLE)
    for entry in entries:
        spec = entry.spec
        painting = entry.problem or "(not made by edge-style)"
        if spec:
            painting = spec.painting or ", ".join(spec.styles)
            if spec.code_length:
                is_encoder = spec.role == "encoder"
                painting = "(sees what is after --style)" if is_encoder else "any: --style PICTURE"
        table.add_row(
            "*" if entry.path in chosen else "",
            entry.name,
            painting,
            spec.artist if spec else "",
            spec.precision if spec else "",
            _size(entry.size_bytes),
            str(entry.path.parent),
        )
    return table


def info_table(found: ModelInfo, size_px: tuple[int, int]) -> Table:
    """What a model file is, one line per fact; facts that are not known are left out."""
    spec = found.spec
    gmacs = found.gmacs(*size_px)
    facts = {
        "file": f"{found.path} ({_size(found.size_bytes)})",
        "input": "\n".join(str(info) for info in found.inputs),
        "output": "\n".join(str(info) for info in found.outputs),
        "parameters": f"{found.parameters:,}",
        f"at {size_px[0]}x{size_px[1]}": f"{gmacs:.2f} GMAC a frame" if gmacs else "",
        "operations": _pairs(found.operations),
    }
    if spec is not None:
        facts |= {
            "name": spec.name,
            "painting": ", ".join(filter(None, (spec.painting, spec.artist, spec.year))),
            "licence": spec.licence,
            "source": spec.source,
            "styles": ", ".join(spec.styles),
            "architecture": spec.architecture,
            "precision": spec.precision,
            "role": spec.role,
            "contract": str(spec.contract_version),
            "training": _pairs(spec.training),
            "calibration": _pairs(spec.calibration),
            "scores": _pairs(spec.scores),
            "checkpoint": spec.checkpoint_sha256,
            "made with": _pairs(spec.tool_versions),
            "verified on": ", ".join(spec.verified_providers),
        }
    else:
        facts["made by"] = "another program: no metadata of edge-style"
    return facts_table(facts)


def facts_table(facts: Mapping[str, str]) -> Table:
    """One row per fact; those without a value are left out."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(name, value)
    return table


def bench_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """One row per candidate and size; those that gave no figures say why."""
    has_power = any(result.get("power_w") is not None for result in results)
    table = Table(*_BENCH_COLUMNS, *(["W"] if has_power else []), box=box.SIMPLE)
    for column in table.columns[4:]:
        column.justify = "right"
    for result in results:
        provider = result["provider"] + (" (graph)" if result["graph"] else "")
        names = (result["model"], result["precision"] or "", provider, result["size"])
        if result["error"]:
            table.add_row(*names, "failed")
            continue
        figures = [
            f"{result['infer_ms']['p50']:.1f}",
            f"{result['infer_ms']['p95']:.1f}",
            f"{result['end_to_end_ms']['p50']:.1f}",
            f"{result['end_to_end_ms']['p95']:.1f}",
            f"\u00b1{result['spread'] * 100:.0f}%",
            f"{result['fps']:.1f}",
            _number(result["cold_start_ms"], ".0f"),
            _number(result["peak_rss_mb"], ".0f"),
            _number(result["cpu_cores"], ".1f"),
        ]
        if has_power:
            figures.append(_number(result["power_w"], ".1f"))
        table.add_row(*names, *figures)
    return table


def comparison_table(comparisons: Sequence[Mapping[str, Any]]) -> Table:
    """Then and now, with the verdict."""
    table = Table("model", "size", "then ms", "now ms", "now / then", "", "verdict", box=box.SIMPLE)
    for each in comparisons:
        table.add_row(
            each["name"],
            each["size"],
            f"{each['old_ms']:.1f}",
            f"{each['new_ms']:.1f}",
            f"{each['ratio']:.3f}",
            f"{each['low']:.3f} to {each['high']:.3f}",
            each["verdict"],
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _size(size_bytes: int) -> str:
    if size_bytes >= 1_000_000:
        return f"{size_bytes / 1e6:.1f} MB"
    return f"{size_bytes / 1e3:.1f} kB"
