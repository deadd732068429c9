"""A picture of a benchmark: how times spread per candidate, and how they grow with the frame.

The only file that needs matplotlib (extra `plot`).
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_style.bench.compare import measured
from edge_style.errors import MissingExtraError, SinkError, UsageError

# Okabe and Ito's colours, which people with colour-blindness can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#444444")
_MARKERS = "osD^vPX*"
_RATES_FPS = (60, 30, 10)
_SUFFIXES = (".png", ".svg", ".pdf", ".jpg")
_MAX_CANDIDATES = 14  # of one size; more do not fit


def check_plot(path: Path) -> None:
    """Refuse what would fail after minutes of measuring.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError, SinkError: the name is no picture's, or its folder does not exist.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"--plot takes a picture ({' '.join(_SUFFIXES)}), got '{path}'")
    if not path.absolute().parent.is_dir():
        raise SinkError(f"the folder of '{path}' does not exist: create it first")
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise MissingExtraError("--plot", "matplotlib", "plot") from error


def plot(report: Mapping[str, Any], path: Path) -> None:
    """Draw a report.

    Raises:
        UsageError: nothing in it has figures.
        SinkError: the picture cannot be written.
    """
    results = measured(report)
    if not results:
        raise UsageError("there is nothing to plot: no candidate gave figures")
    figure_class = importlib.import_module("matplotlib.figure").Figure
    sizes = sorted({result["size"] for result in results}, key=_pixels)
    shown = [result for result in results if result["size"] == _main_size(results)]
    shown = sorted(shown, key=_median_ms)[:_MAX_CANDIDATES]
    styles = _styles(results)
    height_in = max(4.2, 1.6 + 0.42 * len(shown))
    figure = figure_class(figsize=(12 if len(sizes) > 1 else 7.5, height_in), dpi=150)
    axes = figure.subplots(1, 2 if len(sizes) > 1 else 1, squeeze=False)[0]
    _draw_distributions(axes[0], shown, styles)
    if len(sizes) > 1:
        _draw_resolutions(axes[1], results, styles)
    machine = report["machine"]
    versions = machine.get("versions", {})
    runtime = next((f"{name} {number}" for name, number in versions.items()), "")
    title = f"{machine['cpu']}, {machine['cores_usable']} cores, {runtime}"
    figure.suptitle(title, fontsize=10, color="#555555")
    figure.tight_layout()
    try:
        figure.savefig(path, facecolor="white")
    except OSError as error:
        raise SinkError(f"cannot write '{path}': {error.strerror or error}") from error


def _draw_distributions(axes: Any, shown: Sequence[Mapping[str, Any]], styles: Any) -> None:
    """Every run as a dot, the middle half as a bar, the median in figures."""
    for row, result in enumerate(shown):
        colour, _ = styles[_name(result)]
        times = sorted(time for each in result["round_ms"] for time in each["end_to_end"])
        # Spread downwards in a fixed pattern, so that equal times stay visible.
        offsets = [row + 0.3 * ((index * 0.618) % 1 - 0.5) for index in range(len(times))]
        axes.scatter(times, offsets, s=9, color=colour, alpha=0.45, linewidths=0, zorder=2)
        low, high = times[len(times) // 4], times[(3 * len(times)) // 4]
        axes.plot([low, high], [row, row], color=colour, linewidth=7, alpha=0.55, zorder=3)
        middle = result["end_to_end_ms"]["p50"]
        axes.plot([middle, middle], [row - 0.3, row + 0.3], color="black", linewidth=1.6, zorder=4)
        label = f" {middle:.3g} ms, {result['fps']:.3g} frames/s"
        axes.annotate(label, (max(times), row), xytext=(5, 0), textcoords="offset points",
                      va="center", fontsize=8, color="#333333")  # fmt: skip
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * (high / low) ** 0.45)
    axes.set_yticks(range(len(shown)), [_name(result) for result in shown], fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("milliseconds a frame, end to end")
    axes.set_title(f"{shown[0]['size']}: every run", fontsize=11)
    _tidy(axes)


def _draw_resolutions(axes: Any, results: Sequence[Mapping[str, Any]], styles: Any) -> None:
    """Median against pixels, one line per candidate, with what live rates allow."""
    for name, (colour, marker) in styles.items():
        own = sorted(
            (each for each in results if _name(each) == name), key=lambda e: _pixels(e["size"])
        )
        axes.plot([_pixels(each["size"]) / 1e6 for each in own], [_median_ms(each) for each in own],
                  color=colour, marker=marker, markersize=5, linewidth=1.6, label=name)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = sorted({result["size"] for result in results}, key=_pixels)
    labels = [size.replace("x", "\u00d7") for size in sizes]
    axes.set_xticks(
        [_pixels(size) / 1e6 for size in sizes], labels, fontsize=8, rotation=20, ha="right"
    )
    axes.minorticks_off()
    for rate_fps in _RATES_FPS:
        axes.axhline(
            1000 / rate_fps, color="#999999", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0
        )
        axes.annotate(f"{rate_fps} frames/s", (1, 1000 / rate_fps), xytext=(-3, 3), ha="right",
                      xycoords=("axes fraction", "data"), textcoords="offset points",
                      fontsize=7, color="#777777")  # fmt: skip
    axes.set_ylabel("milliseconds a frame, end to end")
    axes.set_title("against resolution: medians", fontsize=11)
    axes.legend(fontsize=7, frameon=False)
    _tidy(axes)


def _tidy(axes: Any) -> None:
    ticker = importlib.import_module("matplotlib.ticker")
    axes.grid(True, which="major", color="#eeeeee", zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log" and "milliseconds" in axis.get_label_text():
            low, high = axis.get_view_interval()
            steps = (1, 2, 5) if high / low > 8 else (1, 1.5, 2, 3, 4, 5, 7)
            axis.set_major_locator(ticker.LogLocator(subs=steps, numticks=20))
            axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(ticker.NullLocator())


def _name(result: Mapping[str, Any]) -> str:
    return candidate_name(result)


def candidate_name(result: Mapping[str, Any]) -> str:
    """A candidate's name without its size: `starry fp16 cpu`."""
    model = str(result["model"]).removesuffix(".int8")
    parts = [model, result["precision"] or "", result["provider"]]
    if result["provider"] == result["model"]:
        parts = parts[:1]
    if result.get("graph"):
        parts.append("(graph)")
    return " ".join(filter(None, parts))


def _main_size(results: Sequence[Mapping[str, Any]]) -> str:
    """The size with most candidates; of equals the one nearest to 640x480."""
    sizes = [str(result["size"]) for result in results]
    return max(set(sizes), key=lambda size: (sizes.count(size), -abs(_pixels(size) - 640 * 480)))


def _styles(results: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    names = list(dict.fromkeys(_name(result) for result in results))
    return {
        name: (_COLOURS[index % len(_COLOURS)], _MARKERS[(index // len(_COLOURS)) % len(_MARKERS)])
        for index, name in enumerate(names)
    }


def _median_ms(result: Mapping[str, Any]) -> float:
    return float(result["end_to_end_ms"]["p50"])


def _pixels(size: str) -> int:
    width, _, height = size.partition("x")
    return int(width) * int(height)
