"""`edge-style bench`: what is measured, how processes may end, and what is made of the figures."""

import csv
import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_style import catalog
from edge_style.bench import rounds as rounds_module
from edge_style.bench.compare import compare, confidence_interval, machine_differences
from edge_style.bench.energy import EnergyMeter
from edge_style.bench.job import Answer, Job
from edge_style.bench.loop import measure, peak_rss_mb
from edge_style.bench.plan import Candidate, Request, plan
from edge_style.bench.result import summarize_track, to_csv
from edge_style.bench.rounds import Effort, Track, run_process, run_rounds
from edge_style.errors import ModelNotFoundError, ProviderError, UsageError
from edge_style.providers import CPU_EP, Provider, provider_named, table

from .conftest import assert_error

FIGURES = {"p50", "p90", "p95", "p99"}


# The plan


@pytest.fixture
def styles(monkeypatch, models, tmp_path):
    """A style in two precisions."""
    folder = tmp_path / "styles"
    folder.mkdir()
    (folder / "night.onnx").write_bytes((models / "negative16.onnx").read_bytes())
    (folder / "night.int8.onnx").write_bytes((models / "negative.onnx").read_bytes())
    monkeypatch.setattr(catalog, "style_folders", lambda: (folder,))
    return folder


def test_a_name_stands_for_all_files_of_the_style(styles):
    planned = plan(Request(models=["night"], providers=["cpu"], sizes=["640x480", "64x48"]))
    assert [f"{each.label} {each.size}" for each in planned] == [
        "night 640x480", "night.int8 640x480", "night 64x48", "night.int8 64x48",
    ]  # fmt: skip


def test_files_of_one_name_are_told_apart(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for version in ("old", "new"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "net.onnx").write_bytes((models / "negative.onnx").read_bytes())
    named = ["old/net.onnx", "new/net.onnx", str(models / "many.onnx")]
    planned = plan(Request(models=named, providers=["cpu", "auto"]))
    assert [each.label for each in planned] == ["old/net", "new/net", "many"]
    assert all(each.is_asked_for for each in planned), "auto takes no provider's name away"


def test_precisions_are_those_of_the_files(styles):
    planned = plan(Request(models=["night"], providers=["cpu"], precisions=["fp16"]))
    assert [each.label for each in planned] == ["night"]
    with pytest.raises(UsageError, match="nothing to measure"):
        plan(Request(models=["night"], providers=["cpu"], precisions=["int8"]))
    with pytest.raises(UsageError, match="fp32, fp16, int8, got 'fp8'"):
        plan(Request(models=["night"], precisions=["fp8"]))


def test_foreign_models_and_commands_take_part(models):
    planned = plan(
        Request(models=[str(models / "foreign_255.onnx")], providers=["cpu"],
                commands=["peer=/bin/python 'a b.py'"])
    )  # fmt: skip
    assert [each.label for each in planned] == ["foreign_255", "peer"]
    assert planned[1].command == ("/bin/python", "a b.py")


def test_graphs_are_measured_with_and_without(models, monkeypatch):
    recording = Provider("gpu", CPU_EP, "test", "test", records_graphs=True)
    monkeypatch.setattr(table, "PROVIDERS", (recording, provider_named("cpu")))
    request = Request(models=[str(models / "negative.onnx")], providers=["gpu", "cpu"])
    assert [each.record_graph for each in plan(request)] == [True, True]
    both = plan(replace(request, without_graphs=True))
    assert [(each.provider, each.record_graph) for each in both] == [
        ("gpu", True), ("gpu", False), ("cpu", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"models": ["nothing"]}, ModelNotFoundError, "no model 'nothing'"),
        ({"providers": ["rocm"]}, ProviderError, "'rocm' is not available"),
        ({"sizes": ["big"]}, UsageError, "WIDTHxHEIGHT"),
        ({"commands": ["python"]}, UsageError, "NAME=COMMAND"),
    ],
)
def test_mistakes_are_found_before_anything_runs(styles, changes, error, says):
    request = replace(Request(models=["night"], providers=["cpu"]), **changes)
    with pytest.raises(error, match=says):
        plan(request)


# The rounds


def candidate(name: str = "a") -> Candidate:
    return Candidate(name, f"{name}.onnx", "cpu", (64, 48))


def answer(times_ms: list[float], **changes: Any) -> Answer:
    values: dict[str, Any] = {
        "model": "a", "precision": "fp16", "provider": "cpu", "infer_ms": tuple(times_ms),
        "end_to_end_ms": tuple(time + 1 for time in times_ms), "wall_s": sum(times_ms) / 1000,
        "cpu_s": sum(times_ms) / 500, "peak_rss_mb": 100.0, "reference_ms": 3.0,
    }  # fmt: skip
    return Answer(**(values | changes))


@pytest.fixture
def processes(monkeypatch):
    """Stands in for processes: what was started, and what each answers."""
    started: list[Job] = []
    answers: dict[str, Answer] = {}

    def run(command: list[str]) -> tuple[Answer, float | None]:
        job = Job.from_text(command[-1])
        started.append(job)
        return answers.get(job.model, answer([10.0])), 250.0

    monkeypatch.setattr(rounds_module, "run_process", run)
    run.started, run.answers = started, answers
    return run


def test_rounds_are_interleaved_and_alternate(processes):
    run_rounds([candidate("a"), candidate("b")], Effort(rounds=3))
    assert [job.model[0] for job in processes.started] == list("abbaab")


def test_a_slow_candidate_joins_fewer_rounds(processes, monkeypatch):
    now_s = [0.0]

    def slowly(command: list[str]) -> tuple[Answer, float | None]:
        now_s[0] += 9.0 if "slow" in command[-1] else 0.1
        return answer([10.0]), 250.0

    monkeypatch.setattr(rounds_module, "run_process", slowly)
    monkeypatch.setattr(rounds_module.time, "perf_counter", lambda: now_s[0])
    slow, quick = run_rounds(
        [candidate("slow"), candidate("a")], Effort(rounds=5, min_rounds=3, seconds=15)
    )
    assert (len(slow.answers), len(quick.answers)) == (3, 5)


def test_one_that_fails_is_not_tried_again(processes):
    processes.answers["a.onnx"] = Answer(error="no device")
    failed, fine = run_rounds([candidate("a"), candidate("b")], Effort(rounds=3))
    assert (failed.error, failed.answers, len(fine.answers)) == ("no device", [], 3)
    assert summarize_track(failed, Effort())["error"] == "no device"


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import sys; sys.exit('boom')", "exit status 1: boom"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("print('chatter')", "exit status 0: no word"),
        ('print(\'{"error": "", "infer_ms": []}\')', "cannot be read"),
        ('print(\'{"error": "no such device"}\')', "no such device"),
    ],
)
def test_how_processes_may_end(text, says):
    result, _ = run_process(script(text))
    assert says in result.error


def test_a_process_that_hangs_is_ended():
    result, _ = run_process(script("import time; time.sleep(60)"), timeout_s=0.2)
    assert "no answer within 0.2 seconds" in result.error


def test_a_command_that_is_not_there():
    assert "cannot start '/no/such'" in run_process(["/no/such"])[0].error


@pytest.mark.skipif(sys.platform == "win32", reason="a kill cannot be heard there")
def test_a_benchmark_that_is_killed_takes_its_process_along(tmp_path):
    told = tmp_path / "pid"
    lasting = (
        "import os, pathlib, time; "
        f"pathlib.Path({str(told)!r}).write_text(str(os.getpid()) + chr(10)); time.sleep(60)"
    )
    text = (
        "import sys; from edge_style.bench.rounds import run_process; "
        f"run_process([sys.executable, '-c', {lasting!r}])"
    )
    with subprocess.Popen(script(text), stderr=subprocess.DEVNULL) as benchmark:
        while not (told.exists() and told.read_text().endswith("\n")):
            assert benchmark.poll() is None
            time.sleep(0.02)
        benchmark.terminate()
        assert benchmark.wait(20) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_much_complaining_does_not_block_a_process():
    text = "import sys; sys.stderr.write('x' * 300000); print('{\"error\": \"done\"}')"
    assert run_process(script(text))[0].error == "done"


def test_a_real_process(models):
    job = Job(str(models / "negative.onnx"), "cpu", 64, 48, warmup=1, runs=4, seconds=60)
    own = [sys.executable, "-m", "edge_style.bench.worker"]
    result, cold_start_ms = run_process([*own, job.to_text()])
    assert result.error == ""
    assert (result.model, result.precision, result.provider) == ("negative", "fp32", "cpu")
    assert len(result.infer_ms) == 4
    pairs = zip(result.infer_ms, result.end_to_end_ms, strict=True)
    assert all(0 < infer <= whole for infer, whole in pairs)
    assert cold_start_ms is not None
    assert cold_start_ms > max(result.end_to_end_ms)
    assert result.peak_rss_mb is None or 20 < result.peak_rss_mb < 2000
    refused, _ = run_process([*own, replace(job, provider="rocm").to_text()])
    assert "'rocm' is not available" in refused.error


def test_nothing_of_the_current_folder_is_run(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in ("random", "cv2", "edge_style"):
        (tmp_path / f"{module}.py").write_text("raise RuntimeError('from this folder')")
    job = Job(str(models / "negative.onnx"), "cpu", 64, 48, warmup=0, runs=1)
    assert rounds_module.run_own_job(job, 60).error == ""


@pytest.mark.parametrize(
    "wrong",
    [{"infer_ms": [0, 1]}, {"end_to_end_ms": [1, "a"]}, {"reference_ms": None}, {"wall_s": "1"}],
)
def test_answers_that_are_no_figures_are_refused(wrong):
    values = {"infer_ms": [1, 1], "end_to_end_ms": [2, 2], "wall_s": 1, "reference_ms": 1}
    assert Answer.from_json(values).error == ""
    with pytest.raises(ValueError, match="expected"):
        Answer.from_json(values | wrong)


# The loop


def test_first_frame_and_warm_up_do_not_count(capsys):
    seen = []

    def step(frame: int) -> tuple[float, float]:
        seen.append(frame)
        return 0.001, 0.002

    result = measure(step, -1, lambda: [0, 1], Job("m", warmup=2, runs=3, seconds=60), Answer())
    assert seen == [-1, 0, 1, 0, 1, 0]
    assert result.infer_ms == (1.0, 1.0, 1.0)
    assert result.end_to_end_ms == (2.0, 2.0, 2.0)
    assert json.loads(capsys.readouterr().out) == {"first_frame": True}


def test_slow_frames_are_not_warmed_up_and_one_is_always_timed():
    seen = []

    def step(frame: int) -> tuple[float, float]:
        seen.append(frame)
        return 5.0, 5.0

    result = measure(step, -1, lambda: [0, 1], Job("m", warmup=9, runs=9, seconds=0), Answer())
    assert seen == [-1, 0]
    assert len(result.infer_ms) == 1


def test_peak_memory_is_the_systems_own_figure(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmHWM:\t  250000 kB\nVmRSS:\t  100 kB\n")
    assert peak_rss_mb(status) == pytest.approx(256)


# Energy


def test_rapl_counters_of_packages_are_summed_and_may_wrap(tmp_path):
    for name, energy_uj in [("intel-rapl:0", 90e6), ("intel-rapl:0:0", 1e6), ("intel-rapl:1", 5e6)]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{energy_uj:.0f}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("100000000\n")
    with EnergyMeter(tmp_path, tmp_path / "none") as meter:
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("3000000\n")
        (tmp_path / "intel-rapl:0:0" / "energy_uj").write_text("9000000\n")
        (tmp_path / "intel-rapl:1" / "energy_uj").write_text("7000000\n")
    assert meter.joules == pytest.approx(13 + 2)
    assert meter.source == "RAPL"


def test_a_jetsons_power_is_summed_over_time(tmp_path, monkeypatch):
    (tmp_path / "hwmon3").mkdir()
    board = {"in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "2000"}
    part = {"in2_label": "VDD_CPU", "in2_input": "5000", "curr2_input": "1"}
    for name, text in (board | part).items():
        (tmp_path / "hwmon3" / name).write_text(text + "\n")
    now_s = [0.0]
    monkeypatch.setattr("edge_style.bench.energy.time.perf_counter", lambda: now_s[0])
    with EnergyMeter(tmp_path / "none", tmp_path) as meter:
        now_s[0] = 0.5
        meter.tick()
        now_s[0] = 2.0
    assert meter.joules == pytest.approx(20)
    assert meter.source == "INA3221"


def test_nothing_that_tells_is_none_not_zero(tmp_path):
    with EnergyMeter(tmp_path, tmp_path) as meter:
        pass
    assert meter.joules is None


# Figures


def test_a_candidates_figures():
    track = Track(candidate("a"), [answer([10, 20]), answer([30, 40])], [300.0, 500.0])
    result = summarize_track(track, Effort(warmup=5))
    assert result["infer_ms"].keys() == result["end_to_end_ms"].keys() == FIGURES
    assert result["infer_ms"]["p50"] == 25
    assert result["end_to_end_ms"]["p50"] == 26
    assert result["fps"] == pytest.approx(4 / 0.104, abs=1e-3)
    assert result["spread"] == pytest.approx(10 / 26, abs=1e-3)
    assert (result["rounds"], result["runs"], result["warmup"]) == (2, 4, 5)
    assert (result["cold_start_ms"], result["peak_rss_mb"], result["cpu_cores"]) == (400, 100, 2)
    assert result["power_w"] is None
    watts = Track(candidate("a"), [answer([500], energy_j=3.0), answer([500], energy_j=5.0)])
    assert summarize_track(watts, Effort())["power_w"] == 8


def test_csv_has_a_column_per_figure():
    results = [
        summarize_track(Track(candidate("a"), [answer([10, 20])]), Effort()),
        summarize_track(Track(candidate("b"), error="no device, sorry"), Effort()),
    ]
    good, bad = csv.DictReader(to_csv(results).splitlines())
    assert (good["model"], good["infer_ms_p50"], good["error"]) == ("a", "15.0", "")
    assert (bad["model"], bad["infer_ms_p50"], bad["error"]) == ("b", "", "no device, sorry")


# Then and now


def report(rounds: list[list[float]], **machine: Any) -> dict[str, Any]:
    track = Track(candidate("a"), [answer(times) for times in rounds])
    return {"results": [summarize_track(track, Effort())], "machine": {"cpu": "x"} | machine}


def noisy(middle_ms: float, round_sd: float, run_sd: float, seed: int) -> list[list[float]]:
    rng = np.random.default_rng(seed)
    shifts = rng.normal(1, round_sd, 5)
    return [list(middle_ms * shift * rng.normal(1, run_sd, 20)) for shift in shifts]


@pytest.mark.parametrize(
    ("old_ms", "new_ms", "round_sd", "verdict"),
    [
        (100, 80, 0.01, "faster"),
        (100, 120, 0.01, "slower"),
        (100, 100, 0.01, "no difference shown"),
        (100, 90, 0.15, "no difference shown"),  # the rounds differ more than that
        (100, 99, 0.0001, "no difference shown"),  # certain, and too little to tell of
    ],
)
def test_verdicts(old_ms, new_ms, round_sd, verdict):
    old = report(noisy(old_ms, round_sd, 0.01, 1))
    (result,) = compare(old, report(noisy(new_ms, round_sd, 0.01, 2)))
    assert result.verdict == verdict
    assert result.low <= result.ratio <= result.high


def test_noise_is_seldom_taken_for_a_difference():
    """Of 100 pairs of equal networks whose rounds differ by 5%, few get a verdict."""
    wrong = 0
    for seed in range(100):
        low, high = confidence_interval(
            noisy(100, 0.05, 0.02, seed), noisy(100, 0.05, 0.02, seed + 1000)
        )
        wrong += not low <= 1 <= high
    assert wrong <= 12


def test_one_lucky_round_convinces_nobody():
    (result,) = compare(report([[100.0] * 20] * 5), report([[100.0] * 20] * 4 + [[50.0] * 20]))
    assert result.verdict == "no difference shown"


def test_what_is_not_in_both_is_left_out():
    old = report([[10.0]])
    new = report([[10.0]])
    new["results"][0] = new["results"][0] | {"size": "1x1"}
    assert compare(old, new) == []


def test_other_machines_and_a_slower_one_are_told_of():
    old, new = report([[10.0]], versions={"onnxruntime": "1"}), report([[10.0]], cpu="y")
    new["results"][0] = new["results"][0] | {"reference_ms": 4.5}
    lines = machine_differences(old, new)
    assert "cpu was x, is y" in lines
    assert any("onnxruntime" in line for line in lines)
    assert "the machine itself is 50% slower, by a fixed piece of work" in lines
    assert machine_differences(old, old) == []


# The command


def bench_arguments(models: Path, *more: object) -> list[object]:
    effort = ["--rounds", 2, "--runs", 4, "--size", "64x48"]
    return ["bench", "-m", models / "negative.onnx", "--provider", "cpu", *effort, *more]


def test_the_command_prints_one_object_and_writes_files(cli, models, tmp_path):
    pytest.importorskip("matplotlib")
    first = cli(*bench_arguments(models, "--json", "-o", "old.json"))
    assert first.status == 0, first.err
    printed = json.loads(first.out)
    (result,) = printed["results"]
    for key in ("model", "precision", "provider", "size", "warmup", "runs", "cold_start_ms",
                "infer_ms", "end_to_end_ms", "fps", "peak_rss_mb"):  # fmt: skip
        assert key in result
    assert (result["model"], result["size"], result["runs"]) == ("negative", "64x48", 4)
    assert printed["machine"]["versions"]["edge-style"]
    assert json.loads((tmp_path / "old.json").read_text()) == printed
    more = ["--size", "96x64", "--compare", "old.json", "--csv", "a.csv", "--plot", "a.png"]
    second = cli(*bench_arguments(models, *more))
    assert second.status == 0, second.err
    assert "no difference" in second.out or "faster" in second.out or "slower" in second.out
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--compare", "missing.json"], "missing.json"),
        (["--compare", "text.json"], "is no benchmark"),
        (["--plot", "a.doc"], "--plot takes a picture"),
        (["--compare", "null.json"], "is no benchmark"),
        (["--plot", "no/a.png"], "does not exist"),
        (["--output", "."], "is a folder"),
        (["--csv", "."], "is a folder"),
        (["--output", "a.txt", "--csv", "a.txt"], "to be written twice"),
        (["--precision", "int8"], "nothing to measure"),
        (["--provider", "rocm"], "'rocm' is not available"),
        (["--size", "huge"], "WIDTHxHEIGHT"),
    ],
)
def test_mistakes_are_one_line(cli, models, tmp_path, more, says):
    pytest.importorskip("matplotlib")
    (tmp_path / "text.json").write_text("{}")
    (tmp_path / "null.json").write_text('{"results": [], "machine": null}')
    assert_error(cli(*bench_arguments(models, *more)), says)


@pytest.mark.parametrize("option", ["--output", "--csv"])
def test_a_folder_that_is_not_there_is_said_before_measuring(cli, models, option, monkeypatch):
    monkeypatch.setattr("edge_style.bench.rounds.run_rounds", lambda *_: pytest.fail("measured"))
    result = cli("bench", "-m", models / "negative.onnx", option, "nofolder/figures")
    assert_error(result, "nofolder", "create it first")


def test_figures_are_shown_also_where_they_cannot_be_written(cli, models, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "a.json")

    monkeypatch.setattr(Path, "write_text", full)
    result = cli(*bench_arguments(models, "--output", "a.json", "--json"))
    assert result.status == 2
    assert json.loads(result.out)["results"][0]["fps"] > 0
    assert result.err.splitlines()[-1] == "error: cannot write 'a.json': No space left on device"


def test_what_failed_is_said_beside_a_plot(cli, models):
    pytest.importorskip("matplotlib")
    effort = ["--rounds", 2, "--runs", 1, "--size", "32x32"]
    result = cli("bench", "-m", models / "foreign_fixed.onnx", *effort, "--plot", "a.png")
    assert result.status == 2
    assert "runs at 64x48 only" in result.err
    assert not Path("a.png").exists()


def test_a_report_of_other_candidates_is_no_empty_table(cli, models):
    assert cli(*bench_arguments(models, "-o", "old.json")).status == 0
    effort = ["--rounds", 2, "--runs", 1, "--size", "32x32", "--compare", "old.json"]
    result = cli("bench", "-m", models / "negative.onnx", *effort)
    assert result.status == 0
    assert "earlier report, which has negative fp32 on cpu at 64x48" in result.err


def test_a_command_with_an_open_quote(cli, models):
    assert_error(cli("bench", "-m", models / "negative.onnx", "--command", "x='abc"), "quotation")


def test_a_plot_without_matplotlib_names_the_extra(cli, models, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert_error(cli(*bench_arguments(models, "--plot", "a.png")), "edge-style[plot]")


def test_what_fails_is_told_after_the_figures_of_the_others(cli, models):
    encoder = models / "encoder.onnx"  # a model that is refused when it is loaded
    result = cli(*bench_arguments(models, "-m", encoder))
    assert result.status == 2
    assert "negative" in result.out
    assert "failed" in result.out
    assert result.err.splitlines()[-1].startswith("error: encoder at 64x48:")
