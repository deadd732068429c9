"""`--provider auto`: what it measures, chooses and remembers. Both candidates run on the CPU."""

import json

import numpy as np
import pytest

from edge_style import Stylizer, auto
from edge_style.errors import ProviderError
from edge_style.providers import CPU_EP, Provider, provider_named, table

from .conftest import make_rgb

OTHER = Provider("other", CPU_EP, "test", "test")
BROKEN = Provider("broken", "AzureExecutionProvider", "test", "test")


@pytest.fixture
def two(monkeypatch):
    """A second provider beside the CPU's, and no rest between them."""
    monkeypatch.setattr(table, "PROVIDERS", (OTHER, provider_named("cpu")))
    monkeypatch.setattr(auto, "_REST_S", 0)


@pytest.fixture
def timed(monkeypatch):
    """Times that the measurements give, in turn; what is left was not measured."""
    times: list[float] = []
    monkeypatch.setattr(auto, "time_runs", lambda run: (run(), times.pop(0))[1])
    return times


def test_the_quickest_is_chosen_and_said(models, two, timed):
    timed += [30.0, 20.0]
    stylizer = Stylizer.load(models / "negative.onnx", size=(64, 48))
    assert stylizer.provider == "cpu"
    assert stylizer.notes == (
        "auto chose cpu at 64x48: cpu 20 ms, other 30 ms a frame, measured now and remembered",
    )
    rgb = make_rgb(64, 48)
    np.testing.assert_array_equal(stylizer(rgb), 255 - rgb)


def test_a_second_start_measures_nothing(models, two, timed):
    timed += [20.0, 30.0]
    Stylizer.load(models / "negative.onnx", size=(64, 48))
    again = Stylizer.load(models / "negative.onnx", size=(64, 48))
    assert again.provider == "other"
    assert again.notes[0].endswith("as measured before")
    assert timed == []


def test_another_size_model_or_version_is_measured_anew(models, two, timed, monkeypatch):
    timed += [20.0, 30.0] * 4
    Stylizer.load(models / "negative.onnx", size=(64, 48))
    Stylizer.load(models / "negative.onnx", size=(64, 64))
    Stylizer.load(models / "negative16.onnx", size=(64, 48))
    monkeypatch.setattr(auto, "package_versions", lambda: {"onnxruntime": "2.0"})
    Stylizer.load(models / "negative.onnx", size=(64, 48))
    assert timed == []


def test_open_sizes_are_measured_at_the_frames_that_come(models, two, monkeypatch):
    shapes = []
    infer = Stylizer.infer

    def watched(self, prepared, style=None):
        shapes.append(prepared.shape)
        return infer(self, prepared, style)

    monkeypatch.setattr(Stylizer, "infer", watched)
    monkeypatch.setattr(auto, "time_runs", lambda run: (run(), 1.0)[1])
    Stylizer.load(models / "negative.onnx", frame_px=(80, 60))
    assert (1, 60, 80, 3) in shapes


def test_a_provider_that_does_not_start_is_told_of_and_left_out(models, two, timed, monkeypatch):
    monkeypatch.setattr(table, "PROVIDERS", (BROKEN, OTHER, provider_named("cpu")))
    timed += [10.0, 20.0]
    stylizer = Stylizer.load(models / "negative.onnx", size=(64, 48))
    assert stylizer.provider == "other"
    assert "broken" in stylizer.notes[0]
    assert "auto chose other" in stylizer.notes[1]


def test_a_remembered_provider_that_no_longer_starts_is_forgotten(models, two, timed, monkeypatch):
    timed += [10.0, 20.0, 20.0]
    Stylizer.load(models / "negative.onnx", size=(64, 48))
    gone = Provider("other", "AzureExecutionProvider", "test", "test")
    monkeypatch.setattr(table, "PROVIDERS", (gone, provider_named("cpu")))
    stylizer = Stylizer.load(models / "negative.onnx", size=(64, 48))
    assert stylizer.provider == "cpu"
    assert timed == []


def test_one_candidate_is_not_measured(models, timed, monkeypatch):
    monkeypatch.setattr(table, "PROVIDERS", (provider_named("cpu"),))
    stylizer = Stylizer.load(models / "negative.onnx")
    assert (stylizer.provider, stylizer.notes) == ("cpu", ())


def test_nothing_that_runs_is_an_error_with_every_reason(models, monkeypatch):
    second = Provider("idle", "AzureExecutionProvider", "test", "test")
    monkeypatch.setattr(table, "PROVIDERS", (BROKEN, second))
    monkeypatch.setattr(auto, "_REST_S", 0)
    with pytest.raises(ProviderError, match=r"'broken'.*'idle'"):
        Stylizer.load(models / "negative.onnx")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"provider": "cpu"}', '{"provider": 1, "infer_ms": 2}']
)
def test_a_damaged_memory_is_measured_over(models, two, timed, cache, text):
    timed += [10.0, 20.0, 20.0, 10.0]
    Stylizer.load(models / "negative.onnx", size=(64, 48))
    (memory,) = (cache / "auto").iterdir()
    memory.write_text(text)
    assert Stylizer.load(models / "negative.onnx", size=(64, 48)).provider == "cpu"
    assert json.loads(memory.read_text())["provider"] == "cpu"


def test_a_cache_that_cannot_be_written_does_no_harm(models, two, timed, cache):
    (cache / "auto").write_text("a file where the folder should be")
    timed += [10.0, 20.0]
    assert Stylizer.load(models / "negative.onnx", size=(64, 48)).provider == "other"


def test_a_real_measurement(models, two, monkeypatch):
    stylizer = Stylizer.load(models / "negative.onnx", size=(64, 48))
    assert stylizer.provider in ("other", "cpu")
    assert "ms a frame, measured now and remembered" in stylizer.notes[0]


def test_slow_networks_are_run_seldom():
    now_s = [0.0]
    runs = []

    def run() -> None:
        runs.append(1)
        now_s[0] += 3.0

    assert auto.time_runs(run, clock=lambda: now_s[0]) == pytest.approx(3000)
    assert len(runs) == 2


def test_a_busy_machine_is_left_out():
    durations_s = iter([0.05, 0.05, *[0.03] * 3, 0.01, *[0.05] * 50])
    now_s = [0.0]

    def run() -> None:
        now_s[0] += next(durations_s)

    assert auto.time_runs(run, clock=lambda: now_s[0]) == pytest.approx(10)
