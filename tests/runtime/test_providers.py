"""What onnxruntime is told for each provider, and what is made of its answers.

No GPU is needed: the table's options are checked as such, and where onnxruntime would need a device
a stand-in takes its place, or an entry of the table that runs on the CPU.
"""

import json
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from edge_style import Stylizer, catalog, session
from edge_style import session_options as session_options_module
from edge_style.errors import ProviderError
from edge_style.providers import (
    CPU_EP,
    Provider,
    Workload,
    all_providers,
    candidates,
    installed,
    plugins,
    provider_named,
    table,
)
from edge_style.providers.cores import usable_cores
from edge_style.session import Session
from edge_style.session_options import open_session, session_options
from edge_style.waiting import told_while

from .conftest import make_rgb

FIXED = Workload("0123456789abcdef" * 4, "fp16", (640, 480), "image", "onnxruntime1.32.0", True)
OPEN = Workload("0123456789abcdef" * 4, "fp16", None, "image", "onnxruntime1.32.0")


class FakeSession:
    """Answers as a session does whose every operation runs on the first provider."""

    def __init__(self, path: str, options: Any, enable_fallback: int, **arguments: Any) -> None:
        self.path, self.options, self.arguments = path, options, arguments
        assert enable_fallback == 0
        FakeRuntime.opened.append(self)

    def get_providers(self) -> list[str]:
        return list(self.arguments["providers"])


class FakeOptions:
    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.add_session_config_entry = self.entries.__setitem__
        self.add_free_dimension_override_by_name = self.sizes.__setitem__


class FakeRuntime:
    """An onnxruntime of which every provider was built in."""

    __version__ = "1.32.0"
    __path__ = ("/nowhere",)
    InferenceSession = FakeSession
    SessionOptions = FakeOptions
    opened: ClassVar[list[FakeSession]] = []

    @staticmethod
    def set_default_logger_severity(level: int) -> None: ...

    @staticmethod
    def get_available_providers() -> list[str]:
        return [provider.ep_name for provider in all_providers()]


@pytest.fixture
def every_provider(monkeypatch):
    FakeRuntime.opened = []
    monkeypatch.setitem(sys.modules, "onnxruntime", FakeRuntime)
    return FakeRuntime


def opened_with(name: str, workload: Workload, path: Path) -> FakeSession:
    return open_session(path, provider_named(name), workload)


@pytest.mark.parametrize("name", [provider.name for provider in all_providers()])
def test_every_entry_opens_with_text_options_and_the_cpu_last(every_provider, models, name):
    opened = opened_with(name, FIXED, models / "negative.onnx")
    names, options = opened.arguments["providers"], opened.arguments["provider_options"]
    assert names[0] == provider_named(name).ep_name
    assert names[-1] == CPU_EP
    assert len(options) == len(names)
    for key, value in options[0].items():
        assert isinstance(key, str)
        assert isinstance(value, str)
    assert opened.options.sizes == {"W": 640, "H": 480}
    assert opened.options.entries["session.set_denormal_as_zero"] == "1"


def test_tensorrt_hands_what_it_leaves_to_cuda(every_provider, models):
    opened = opened_with("tensorrt", FIXED, models / "negative.onnx")
    assert opened.arguments["providers"] == [
        "TensorrtExecutionProvider", "CUDAExecutionProvider", CPU_EP,
    ]  # fmt: skip


def test_sizes_stay_open_where_they_are(every_provider, models):
    assert opened_with("cpu", OPEN, models / "negative.onnx").options.sizes == {}


def test_threads_of_the_cpu_do_not_spin(every_provider, models):
    entries = opened_with("cpu", FIXED, models / "negative.onnx").options.entries
    assert entries["session.intra_op.allow_spinning"] == "0"


def test_directml_does_without_preplanned_memory(every_provider, models):
    path = models / "negative.onnx"
    assert not opened_with("dml", FIXED, path).options.enable_mem_pattern
    assert opened_with("cpu", FIXED, path).options.enable_mem_pattern


def test_cuda_looks_for_the_quickest_convolution_and_records_fixed_sizes():
    options = provider_named("cuda").options(FIXED)
    assert options["cudnn_conv_algo_search"] == "EXHAUSTIVE"
    assert options["prefer_nhwc"] == options["use_tf32"] == options["enable_cuda_graph"] == "1"
    assert "enable_cuda_graph" not in provider_named("cuda").options(OPEN)
    assert "enable_cuda_graph" not in provider_named("cuda").options(FIXED.without_graph())


def test_tensorrt_profiles_open_sizes_only():
    assert not [key for key in provider_named("trt").options(FIXED) if "profile" in key]
    options = provider_named("trt").options(OPEN)
    assert options["trt_profile_min_shapes"] == "image:1x16x16x3"
    assert options["trt_profile_opt_shapes"] == "image:1x480x640x3"
    assert options["trt_profile_max_shapes"] == "image:1x1080x1920x3"


@pytest.mark.parametrize(
    ("precision", "fp16", "int8"), [("fp32", "0", "0"), ("fp16", "1", "0"), ("int8", "1", "1")]
)
def test_tensorrt_computes_in_the_files_own_precision(precision, fp16, int8):
    options = provider_named("tensorrt").options(Workload(precision=precision))
    assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (fp16, int8)


def test_engines_are_kept_per_model_size_and_version():
    def folder(**changes: Any) -> str:
        values = {"model_sha256": "a" * 64, "size_px": (640, 480), "versions": "1"} | changes
        options = provider_named("tensorrt").options(Workload(**values))
        assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
        assert "~" not in options["trt_engine_cache_path"]
        return options["trt_engine_cache_path"]

    folders = [
        folder(),
        folder(model_sha256="b" * 64),
        folder(size_px=(641, 480)),
        folder(size_px=None),
        folder(versions="2"),
    ]
    assert len(set(folders)) == 5
    assert folder() == folders[0]


def test_openvino_computes_in_the_files_precision():
    config = json.loads(provider_named("openvino").options(FIXED)["load_config"])
    assert config["CPU"]["INFERENCE_PRECISION_HINT"] == "f32"


def test_coreml_is_told_that_sizes_are_fixed_where_they_are():
    assert provider_named("coreml").options(FIXED)["RequireStaticInputShapes"] == "1"
    assert "RequireStaticInputShapes" not in provider_named("coreml").options(OPEN)


# A container's share of the machine


@pytest.mark.parametrize(
    ("file", "text", "share"),
    [
        ("cpu.max", "150000 100000\n", 2),
        ("cpu.max", "50000 100000\n", 1),
        ("cpu.max", "max 100000\n", None),
        ("cpu/cpu.cfs_quota_us", "-1\n", None),
        ("nothing", "", None),
    ],
)
def test_threads_fit_a_containers_share(monkeypatch, tmp_path, file, text, share):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(64), raising=False)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    (tmp_path / "cpu").mkdir(exist_ok=True)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path) == share


def test_threads_fit_an_affinity_mask(monkeypatch, every_provider, tmp_path):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(6), raising=False)
    assert usable_cores(tmp_path) == 6
    options = session_options(FakeRuntime, provider_named("cpu"), FIXED)
    assert options.intra_op_num_threads <= 6


# Buffers on the device, and recorded runs: through entries that run on the CPU


def buffered(**changes: Any) -> Provider:
    return Provider("gpu", CPU_EP, "test", "test", memory="cpu", **changes)


@pytest.mark.parametrize("name", ["negative", "many"])
def test_frames_in_kept_buffers_give_the_same_pictures(models, monkeypatch, name):
    monkeypatch.setattr(table, "PROVIDERS", (buffered(), provider_named("cpu")))
    kept = Stylizer.load(models / f"{name}.onnx", provider="gpu", size=(64, 48))
    plain = Stylizer.load(models / f"{name}.onnx", provider="cpu", size=(64, 48))
    frames = [make_rgb(64, 48), 255 - make_rgb(64, 48)]
    pictures = [kept(frame) for frame in frames]
    for frame, picture in zip(frames, pictures, strict=True):
        np.testing.assert_array_equal(picture, plain(frame))


def test_a_graph_that_cannot_be_recorded_at_load_runs_step_by_step(models, monkeypatch):
    def refuse(path: Path, provider: Provider, workload: Workload) -> Any:
        if workload.wants_graph:
            raise ProviderError("control flow")
        return open_session(path, provider, workload)

    monkeypatch.setattr(session, "open_session", refuse)
    made = Session(models / "negative.onnx", buffered(records_graphs=True), (64, 48))
    assert not made.replays_graph
    assert "control flow" in made.notes[0]


def test_a_graph_that_cannot_be_recorded_at_the_first_run_runs_step_by_step(models, monkeypatch):
    run = session.DeviceBuffers.run

    def fail_once(self: Any, feeds: Any) -> Any:
        monkeypatch.setattr(session.DeviceBuffers, "run", run)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(session.DeviceBuffers, "run", fail_once)
    made = Session(models / "negative.onnx", buffered(records_graphs=True), (64, 48))
    assert made.replays_graph
    frame = make_rgb(64, 48)[np.newaxis]
    np.testing.assert_array_equal(made.run({"image": frame}, "stylized"), 255 - frame)
    assert not made.replays_graph
    assert "capturing" in made.notes[0]


def test_no_graph_where_none_is_wanted_or_sizes_differ(models):
    provider, path = buffered(records_graphs=True), models / "negative.onnx"
    assert Session(path, provider, (64, 48)).replays_graph
    assert not Session(path, provider, (64, 48), record_graph=False).replays_graph
    assert not Session(path, provider).replays_graph


def test_a_failure_later_on_is_an_error_not_another_try(models, monkeypatch):
    made = Session(models / "negative.onnx", buffered(records_graphs=True), (64, 48))
    frame = {"image": make_rgb(64, 48)[np.newaxis]}
    made.run(frame, "stylized")

    def fail(self: Any, feeds: Any) -> Any:
        raise RuntimeError("the device was lost")

    monkeypatch.setattr(session.DeviceBuffers, "run", fail)
    with pytest.raises(Exception, match="the device was lost"):
        made.run(frame, "stylized")


# Honesty


def test_a_missing_library_is_named(every_provider, models, monkeypatch):
    class Refusing:
        def __init__(self, *_: Any, **__: Any) -> None:
            raise RuntimeError(
                "/onnxruntime_src/onnxruntime/python/state.cc:729 void f(const Options&) Please "
                "install TensorRT libraries"
            )

    monkeypatch.setattr(every_provider, "InferenceSession", Refusing)
    path = models / "negative.onnx"
    with pytest.raises(ProviderError, match=r"did not start: .*libonnxruntime_providers_tensorrt"):
        open_session(path, provider_named("tensorrt"), FIXED)
    monkeypatch.setattr(session_options_module, "load_failure", lambda _: "")
    with pytest.raises(ProviderError, match=r"did not start: Please install TensorRT libraries$"):
        open_session(path, provider_named("tensorrt"), FIXED)


def test_a_fall_back_without_a_word_is_an_error(every_provider, models, monkeypatch):
    monkeypatch.setattr(FakeSession, "get_providers", lambda _: [CPU_EP])
    monkeypatch.setattr(session_options_module, "load_failure", lambda _: "")
    with pytest.raises(ProviderError, match="found no device that it can use"):
        open_session(models / "negative.onnx", provider_named("cuda"), FIXED)
    with pytest.raises(ProviderError, match="fell back to another one"):
        open_session(models / "negative.onnx", provider_named("directml"), FIXED)


def test_what_was_left_to_the_cpu_is_counted_and_named(models, monkeypatch):
    def part(ep_name: str, *operators: str) -> SimpleNamespace:
        nodes = [SimpleNamespace(op_type=operator) for operator in operators]
        return SimpleNamespace(ep_name=ep_name, get_nodes=lambda: nodes)

    class Divided:
        def __init__(self, real: Any) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

        def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
            return [part("NpuEP", "Conv", "Conv"), part(CPU_EP, "Pad", "Cast"), part(CPU_EP, "Pad")]

    npu = Provider("npu", "NpuEP", "test", "test")

    def open_divided(path: Path, provider: Provider, workload: Workload) -> Any:
        return Divided(open_session(path, provider_named("cpu"), workload))

    monkeypatch.setattr(session, "open_session", open_divided)
    monkeypatch.setattr(session, "check_started", lambda *_: None)
    stylizer = Stylizer(Session(models / "negative.onnx", npu))
    assert stylizer.left_to_cpu == {"Pad": 2, "Cast": 1}
    assert stylizer.notes == ("npu left 3 operations to the CPU: Pad 2, Cast 1",)


def test_the_cpu_leaves_nothing_to_itself(models):
    stylizer = Stylizer.load(models / "negative.onnx", provider="cpu")
    assert stylizer.left_to_cpu == {}
    assert stylizer.notes == ()


class PluginRuntime(FakeRuntime):
    """A plain onnxruntime that takes plugins."""

    registered: ClassVar[list[str]] = []
    devices: ClassVar[list[Any]] = []

    @staticmethod
    def get_available_providers() -> list[str]:
        # A registered plugin is listed as if it were built in.
        return [CPU_EP, *PluginRuntime.registered]

    @staticmethod
    def register_execution_provider_library(name: str, path: str) -> None:
        PluginRuntime.registered.append("OpenVINOExecutionProvider")

    @staticmethod
    def get_ep_devices() -> list[Any]:
        return PluginRuntime.devices


@pytest.fixture
def plugin_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", PluginRuntime)
    package = SimpleNamespace(get_library_path=lambda: "/nowhere/plugin.so")
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", package)
    monkeypatch.setattr(plugins, "_registered", set())
    PluginRuntime.registered, PluginRuntime.devices = [], []
    return PluginRuntime


def test_a_plugin_without_a_device_is_not_available(plugin_runtime):
    for _ in range(2):  # the second time it is registered, and so listed
        with pytest.raises(ProviderError, match="found no device here that it takes"):
            candidates("openvino")
        assert [provider.name for provider in candidates("auto")] == ["cpu"]


def test_a_plugin_with_a_device_is_tried(plugin_runtime):
    plugin_runtime.devices = [SimpleNamespace(ep_name="OpenVINOExecutionProvider")]
    assert [provider.name for provider in candidates("auto")] == ["openvino", "cpu"]


def test_a_plugin_that_does_not_load_says_why(plugin_runtime, monkeypatch):
    def fail(name: str, path: str) -> None:
        raise RuntimeError("libtbb.so.12: cannot open shared object file")

    monkeypatch.setattr(plugin_runtime, "register_execution_provider_library", fail)
    with pytest.raises(ProviderError, match=r"does not load: libtbb\.so\.12"):
        candidates("openvino")


@pytest.mark.parametrize(
    ("provider", "file"),
    [("cpu", "s.int8.onnx"), ("openvino", "s.int8.onnx"), ("cuda", "s.onnx"), ("trt", "s.onnx")],
)
def test_a_name_stands_for_the_file_that_suits_the_provider(monkeypatch, tmp_path, provider, file):
    monkeypatch.setattr(catalog, "style_folders", lambda: (tmp_path,))
    for name in ("s.onnx", "s.int8.onnx"):
        (tmp_path / name).touch()
    assert catalog.resolve("s", provider).name == file


# A start that takes minutes


def test_a_long_start_says_so(models, monkeypatch):
    compiling = Provider("engine", CPU_EP, "test", "test", compiles=True)
    monkeypatch.setattr(table, "PROVIDERS", (compiling, provider_named("cpu")))
    monkeypatch.setattr("edge_style.waiting._FIRST_S", 0.0)
    lines: list[str] = []
    started = Session.__init__

    def slow(self: Session, *arguments: Any, **options: Any) -> None:
        import time

        end_s = time.monotonic() + 10
        while not lines and time.monotonic() < end_s:
            time.sleep(0.01)
        started(self, *arguments, **options)

    monkeypatch.setattr(Session, "__init__", slow)
    Stylizer.load(models / "negative.onnx", provider="engine", size=(64, 48), tell=lines.append)
    assert lines
    assert lines[0].startswith("engine builds its engine for negative.onnx at 64x48, once: 0 s")


def test_a_quick_start_says_nothing():
    lines: list[str] = []
    with told_while("it starts", lines.append, first_s=60):
        pass
    assert lines == []


def test_ctrl_c_while_onnxruntime_is_loaded_is_no_missing_package(monkeypatch):
    def load(name: str) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:  # as native modules do
            raise ImportError(f"cannot import {name}") from error

    monkeypatch.setattr(installed.importlib, "import_module", load)
    with pytest.raises(KeyboardInterrupt):
        installed.import_onnxruntime()
