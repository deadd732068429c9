"""Two benchmarks compared, with a verdict that knows noise."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.errors import UsageError

Verdict: TypeAlias = Literal["faster", "slower", "no difference shown"]

_RESAMPLINGS = 2000
_CONFIDENCE = 0.95
# What two benchmarks of the same program may differ by although each agrees with itself: between
# them the machine was warmer, or its memory laid out otherwise.
_INDIFFERENT = 0.02
_KEY = ("model", "precision", "provider", "graph", "size")
_MACHINE = ("cpu", "cores_usable", "gpus", "system", "python", "versions")


@dataclass(frozen=True)
class Comparison:
    """One candidate, then and now.

    Attributes:
        name: the candidate's.
        size: of the frames.
        old_ms, new_ms: median time of a frame, end to end.
        ratio: new to old; below 1 is faster.
        low, high: between these the ratio lies, with 95% confidence.
        verdict: "faster" or "slower" if the whole interval says so, and by more than 2%.
    """

    name: str
    size: str
    old_ms: float
    new_ms: float
    ratio: float
    low: float
    high: float
    verdict: Verdict


def load_report(path: Path) -> dict[str, Any]:
    """What `bench --json` printed earlier.

    Raises:
        UsageError: it is no such file.
    """
    try:
        report = json.loads(path.read_text("utf-8"))
        is_report = all(isinstance(each["round_ms"], list) for each in measured(report))
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(_no_report(path)) from error
    if not is_report or not isinstance(report.get("machine"), dict):
        raise UsageError(_no_report(path))
    return dict(report)


def _no_report(path: Path) -> str:
    return f"'{path}' is no benchmark: expected what `edge-style bench --json` printed"


def measured(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The results of a report that have figures."""
    return [result for result in report["results"] if not result.get("error")]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Comparison]:
    """What both reports measured, in the order of the new one."""
    before = {_key(result): result for result in measured(old)}
    pairs = [(before[_key(result)], result) for result in measured(new) if _key(result) in before]
    return [_compare(then, now) for then, now in pairs]


def machine_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """In what the machines or versions of two reports differ, one line each."""
    lines = []
    for key in _MACHINE:
        then, now = old["machine"].get(key), new["machine"].get(key)
        if then != now:
            lines.append(f"{key} was {then}, is {now}")
    then_ms, now_ms = _reference_ms(old), _reference_ms(new)
    if then_ms and now_ms and abs(now_ms / then_ms - 1) > _INDIFFERENT:
        share = abs(now_ms / then_ms - 1) * 100
        word = "slower" if now_ms > then_ms else "faster"
        lines.append(f"the machine itself is {share:.0f}% {word}, by a fixed piece of work")
    return lines


def _key(result: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(result.get(name) for name in _KEY)


def _reference_ms(report: Mapping[str, Any]) -> float | None:
    times = [each["reference_ms"] for each in measured(report) if each.get("reference_ms")]
    return float(np.median(times)) if times else None


def _compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Comparison:
    then = [each["end_to_end"] for each in old["round_ms"]]
    now = [each["end_to_end"] for each in new["round_ms"]]
    ratio = _median(now) / _median(then)
    low, high = confidence_interval(then, now)
    verdict: Verdict = "no difference shown"
    if high < 1 and ratio < 1 - _INDIFFERENT:
        verdict = "faster"
    elif low > 1 and ratio > 1 + _INDIFFERENT:
        verdict = "slower"
    name = " ".join(str(new[key]) for key in ("model", "provider"))
    return Comparison(
        name, str(new["size"]), _median(then), _median(now), ratio, low, high, verdict
    )


def confidence_interval(
    old: Sequence[Sequence[float]], new: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """Between which values the ratio of medians, new to old, lies with 95% confidence.

    A bootstrap over rounds and, inside them, over runs: runs of one process are no independent
    witnesses (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, 2013). The ratio of
    medians of rounds' medians is resampled; few rounds make it wide, as they should.

    Args:
        old, new: times of runs, per round.
    """
    rng = np.random.default_rng(0)
    ratios = _resampled(new, rng) / _resampled(old, rng)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)


def _resampled(
    rounds: Sequence[Sequence[float]], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Medians of resampled rounds' medians: float64 [resamplings]."""
    medians = np.stack(
        [
            np.median(rng.choice(np.asarray(each, np.float64), (_RESAMPLINGS, len(each))), axis=1)
            for each in rounds
        ],
        axis=1,
    )
    picks = rng.integers(0, len(rounds), (_RESAMPLINGS, len(rounds)))
    return np.asarray(np.median(np.take_along_axis(medians, picks, axis=1), axis=1))


def _median(rounds: Sequence[Sequence[float]]) -> float:
    return float(np.median([np.median(each) for each in rounds]))
