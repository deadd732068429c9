"""All rounds of a candidate in figures."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from edge_style.bench.job import Answer
from edge_style.bench.rounds import Effort, Track

RANKS = (50, 90, 95, 99)


def summarize_track(track: Track, effort: Effort) -> dict[str, Any]:
    """What a candidate's rounds gave, with the keys of `--json`.

    Percentiles are over the runs of all rounds. `spread` is how far the medians of rounds lie
    apart, from the middle one, as a share of it. Figures that could not be measured are None.
    """
    candidate = track.candidate
    result: dict[str, Any] = {
        "model": candidate.label,
        "precision": None,
        "provider": candidate.provider,
        "size": candidate.size,
        "graph": None,
        "warmup": effort.warmup,
        "rounds": len(track.answers),
        "runs": sum(len(answer.infer_ms) for answer in track.answers),
        "error": track.error or None,
    }
    if not track.answers:
        return result
    answers, last = track.answers, track.answers[-1]
    infer_ms = [duration for answer in answers for duration in answer.infer_ms]
    whole_ms = [duration for answer in answers for duration in answer.end_to_end_ms]
    medians = [median(answer.end_to_end_ms) for answer in answers]
    return result | {
        "precision": last.precision or None,
        "provider": last.provider or candidate.provider,
        "graph": last.replays_graph,
        "cold_start_ms": _rounded(median(track.cold_starts_ms)) if track.cold_starts_ms else None,
        "infer_ms": percentiles(infer_ms),
        "end_to_end_ms": percentiles(whole_ms),
        "fps": _rounded(1000 * len(whole_ms) / sum(whole_ms)),
        "spread": _rounded(max(abs(each / median(medians) - 1) for each in medians), 4),
        "peak_rss_mb": _peak(answer.peak_rss_mb for answer in answers),
        "cpu_cores": _share(answers, lambda answer: answer.cpu_s),
        "power_w": _power(answers),
        "power_source": last.energy_source or None,
        "left_to_cpu": dict(last.left_to_cpu),
        "notes": list(last.notes),
        "reference_ms": _rounded(median(answer.reference_ms for answer in answers)),
        "round_ms": [
            {"infer": list(answer.infer_ms), "end_to_end": list(answer.end_to_end_ms)}
            for answer in answers
        ],
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """`p50`, `p90`, `p95` and `p99`."""
    return {f"p{rank}": _rounded(float(np.percentile(values, rank))) for rank in RANKS}


def to_csv(results: Iterable[Mapping[str, Any]]) -> str:
    """One line per result; percentiles get a column each, single runs are left out."""
    rows = [_flat(result) for result in results]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(result: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in result.items():
        if key == "left_to_cpu":
            row[key] = sum(value.values())
        elif key == "notes":
            row[key] = "; ".join(value)
        elif isinstance(value, Mapping):
            row |= {f"{key}_{rank}": number for rank, number in value.items()}
        elif key != "round_ms":
            row[key] = value
    return row


def _peak(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _rounded(max(known), 1) if known else None


def _share(answers: Sequence[Answer], value: Any) -> float | None:
    wall_s = sum(answer.wall_s for answer in answers)
    return _rounded(sum(value(answer) for answer in answers) / wall_s, 2) if wall_s > 0 else None


def _power(answers: Sequence[Answer]) -> float | None:
    if any(answer.energy_j is None for answer in answers):
        return None
    return _share(answers, lambda answer: answer.energy_j)


def _rounded(value: float, digits: int = 3) -> float:
    return round(value, digits)
