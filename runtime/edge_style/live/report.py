"""What a show was like, for people and for programs."""

from collections.abc import Mapping
from typing import Any

from edge_style.live.networks import Networks
from edge_style.pipeline import Result


def report_of(result: Result, networks: Networks, clip_fps: float | None = None) -> dict[str, Any]:
    """The figures, with the keys that `--json` prints.

    Args:
        result: of the run.
        networks: that ran.
        clip_fps: frame rate of the clip that was converted, None for what was not a conversion.
    """
    summary = result.meter.summary()
    style, rate = result.style, networks.rate
    stylizer = networks.stylizers[style.network if style else 0]
    return {
        "frames": summary.frames,
        "dropped": result.dropped,
        "fps": _rounded(summary.fps),
        "latency_ms": _rounded_all(summary.latency_ms),
        "stage_ms": _rounded_all(summary.stage_ms),
        "model": stylizer.name,
        "precision": stylizer.precision,
        "provider": stylizer.provider,
        "size": _size(result.size_px),
        "style": style.name if style else stylizer.name,
        "network_size": _size(rate.size_px if rate else result.size_px),
        "size_changes": rate.changes if rate else 0,
        "arrived_fps": _rounded(summary.arrived_fps),
        "display_latency_ms": _rounded_all(summary.display_latency_ms),
        "speed": _rounded(_speed(summary.fps, clip_fps)),
    }


def summary_line(result: Result, clip_fps: float | None = None) -> str:
    """The figures, for people."""
    summary = result.meter.summary()
    parts = [f"{summary.frames} frames", f"{result.dropped} dropped"]
    if summary.fps is not None:
        parts.append(f"{summary.fps:.1f} frames/s")
    speed = _speed(summary.fps, clip_fps)
    if speed is not None:
        parts.append(f"{speed:.2g} times as fast as it plays")
    latency_ms = summary.display_latency_ms
    median, late = latency_ms["p50"], latency_ms["p99"]
    if median is not None and late is not None:
        parts.append(f"latency {median:.1f} ms, 99% within {late:.1f} ms")
    return ", ".join(parts)


def _speed(fps: float | None, clip_fps: float | None) -> float | None:
    """How many times as fast as the clip plays."""
    return fps / clip_fps if fps is not None and clip_fps else None


def _size(size_px: tuple[int, int] | None) -> str | None:
    return None if size_px is None else f"{size_px[0]}x{size_px[1]}"


def _rounded_all(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: _rounded(value) for name, value in values.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
