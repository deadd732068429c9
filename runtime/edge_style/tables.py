"""How `models` and `info` look to people."""

from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from edge_style.catalog import CatalogEntry
from edge_style.model_info import ModelInfo

# Without a terminal, rich would fold the table at 80 columns and break paths apart.
_PIPED_COLUMNS = 200


def show(table: Table) -> None:
    """Print a table on standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPED_COLUMNS
    console.print(table)


def models_table(entries: list[CatalogEntry], chosen: set[Path]) -> Table:
    """One row per model file; `chosen` are those that bare names stand for."""
    table = Table("", "name", "painting", "artist", "precision", "size", "where", box=box.SIMPLE)
    for entry in entries:
        spec = entry.spec
        painting = spec.painting if spec else entry.problem or "(not made by edge-style)"
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
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
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
    for name, value in facts.items():
        if value:
            table.add_row(name, value)
    return table


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _size(size_bytes: int) -> str:
    if size_bytes >= 1_000_000:
        return f"{size_bytes / 1e6:.1f} MB"
    return f"{size_bytes / 1e3:.1f} kB"
