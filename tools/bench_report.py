"""What `bench_all.py` writes: BENCHMARKS.md, from the figures of its measurements."""

import datetime
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_style.bench.compare import measured
from edge_style.bench.plot import candidate_name

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "exported" / "gallery" / "benchmark.png"
STYLE = "starry"

METHOD = """\
`infer` is the network alone, `frame` from an RGB frame in memory to the stylized one in memory:
medians, and the 95th percentile of `frame`. `spread`: how far the medians of rounds lie apart, each
round being a process of its own. `cold start` goes from starting the process to the first stylized
frame, `MB` is the most memory it ever held, `cores` the processor time per time. `edge-style bench
--help` has the options, [the runtime's README](../runtime/README.md) the JSON.
"""

NO_GPU = """\
Not measured: no GPU was to be had. On a machine that has one and `onnxruntime-gpu`,

    python tools/bench_all.py --only gpu

puts a table here: the full-size network and the default style, fp32 and fp16, at 480p, 720p, 1080p
and 4K, each with and without CUDA graphs, with the device's name.
"""

NO_AUTO = "Not measured: one provider is all that could be had.\n"

OVERHEAD = """\
What `cam --source test --no-pace --output null` does per frame at 640x480 beside the network, in ms
(medians; `capture` draws the picture, `handover` goes from thread to thread, `overhead` is all):

| stage | ms |
|---|---|
{rows}
    python tools/bench_overhead.py MODEL --profile
"""


def head(machine: Mapping[str, Any]) -> str:
    """Title, machine, picture, method."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    features = " ".join(machine["cpu_features"])
    return "\n".join(
        [
            "# Benchmarks\n",
            f"Written by `make bench` on {datetime.date.today():%Y-%m-%d}: {machine['cpu']} "
            f"({features}), {machine['cores_usable']} cores, {machine['memory_mb'] / 1000:.0f} GB, "
            f"{machine['system']}, Python {machine['python']}, {versions}. "
            f"GPU: {', '.join(machine['gpus']) or 'none'}.\n",
            f"![Latency per network and size](../{PICTURE.relative_to(ROOT).as_posix()})\n",
            METHOD,
        ]
    )


def networks(
    report: Mapping[str, Any], others: Mapping[str, Any] | None, missing: Sequence[str]
) -> dict[str, str]:
    """Sections on networks and providers: title -> text."""
    failed = [result for result in report["results"] if result["error"]]
    parts = [*(f"### {size}\n\n{table(_of_size(report, size))}" for size in _sizes(report))]
    parts += [f"- {each['model']} at {each['size']}: {each['error']}\n" for each in failed]
    parts += [f"- {line}\n" for line in missing]
    sections = {"Networks and providers": "\n".join(parts)}
    if others is not None:
        sections["The other shipped styles"] = table(measured(others))
    return sections


def gpu(report: Mapping[str, Any] | None) -> str:
    """The section `GPU`."""
    if report is None:
        return NO_GPU
    device = ", ".join(report["machine"]["gpus"])
    parts = [f"Device: {device}. `(graph)`: recorded once and replayed (CUDA graphs).\n"]
    parts += [f"### {size}\n\n{table(_of_size(report, size))}" for size in _sizes(report)]
    return "\n".join(parts)


def auto(found: Mapping[str, Any] | None) -> str:
    """The section on `--provider auto`, from what `bench_auto.py` prints."""
    if found is None:
        return NO_AUTO
    rows = found["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["infer_ms"]))
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    lines = [
        f"What `auto` chose at {found['size']}, beginning with nothing remembered, beside medians "
        f"in ms of the network\nas `edge-style bench` measures them, each provider in processes "
        f"of its own ({versions}):\n",
        f"| model | auto chose | {' | '.join(names)} | |",
        "|---|---|" + "---|" * (len(names) + 1),
    ]
    for row in rows:
        times = [row["infer_ms"].get(name) for name in names]
        cells = " | ".join("" if time_ms is None else f"{time_ms:.1f}" for time_ms in times)
        verdict = "the quickest" if row["is_right"] else "not the quickest"
        lines.append(f"| `{row['model']}` | {row['chosen']} | {cells} | {verdict} |")
    lines += ["\n    python tools/bench_auto.py exported/*.onnx\n"]
    return "\n".join(lines)


def is_it_right(agreement: Mapping[str, Sequence[float]], overhead: Mapping[str, float]) -> str:
    """The section on whether the figures are right."""
    plain, own = agreement["plain_ms"], agreement["bench_ms"]
    rows = "".join(
        f"| {name} | {value:.3f} |\n" for name, value in overhead.items() if name != "infer"
    )
    return (
        f"[plain_loop.py](plain_loop.py), twenty lines around onnxruntime, and `edge-style bench` "
        f"took turns with\n`{STYLE}` int8 at 640x480 on the CPU, {len(own)} each: "
        f"{_median_and_range(plain)} ms and {_median_and_range(own)} ms.\n\n"
        "    python tools/bench_agreement.py MODEL\n\n"
    ) + OVERHEAD.format(rows=rows)


def _median_and_range(times_ms: Sequence[float]) -> str:
    middle = statistics.median(times_ms)
    return f"{middle:.1f} ({min(times_ms):.1f} to {max(times_ms):.1f})"


def with_sections(text: str, sections: Mapping[str, str]) -> str:
    """A file whose sections of these titles say something else; new ones come at its end."""
    first, *rest = text.split("\n## ")
    there = {title: body for title, _, body in (part.partition("\n") for part in rest)}
    there |= {title: f"\n{body}" for title, body in sections.items()}
    parts = [f"## {title}\n{body.rstrip()}\n" for title, body in there.items()]
    return "\n".join([f"{first.rstrip()}\n", *parts])


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Markdown, quickest first."""
    lines = [
        "| network | infer ms | frame ms | 95% | spread | frames/s | cold start ms | MB | cores |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in sorted(results, key=lambda result: result["end_to_end_ms"]["p50"]):
        frame_ms, cold_ms = each["end_to_end_ms"], each["cold_start_ms"]
        memory = "" if each["peak_rss_mb"] is None else f"{each['peak_rss_mb']:.0f}"
        lines.append(
            f"| {_short(candidate_name(each))} | {each['infer_ms']['p50']:.1f} | "
            f"{frame_ms['p50']:.1f} | {frame_ms['p95']:.1f} | {each['spread'] * 100:.0f}% | "
            f"{each['fps']:.1f} | {cold_ms:.0f} | {memory} | {each['cpu_cores']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def last_json(text: str) -> dict[str, Any]:
    """The object in the last line of what a script printed."""
    return dict(json.loads(text.splitlines()[-1]))


def _sizes(report: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(result["size"] for result in measured(report)))


def _of_size(report: Mapping[str, Any], size: str) -> list[Mapping[str, Any]]:
    return [result for result in measured(report) if result["size"] == size]


def _short(name: str) -> str:
    """`starry fp32 cpu` of `starry.fp32 fp32 cpu`: exported files have the precision twice."""
    words = name.split()
    return " ".join([words[0].removesuffix(f".{words[1]}"), *words[1:]]) if len(words) > 1 else name
