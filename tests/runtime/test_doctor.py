"""`edge-style doctor`: what it finds, what it advises, what it keeps to itself."""

import errno
import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_style.bench.job import Answer, Job
from edge_style.doctor import cameras, engines
from edge_style.doctor.cameras import examine_cameras
from edge_style.doctor.engines import examine_engines
from edge_style.doctor.examine import advice, examine
from edge_style.doctor.libraries import nvidia_libraries
from edge_style.doctor.private import without_paths
from edge_style.doctor.video import examine_video
from edge_style.providers import provider_named

# Providers


@pytest.fixture
def here(monkeypatch):
    """An onnxruntime built with CUDA, TensorRT and the CPU's provider."""
    found = tuple(provider_named(name) for name in ("cuda", "tensorrt", "cpu"))
    monkeypatch.setattr(engines, "available", lambda: found)
    monkeypatch.setattr(
        engines, "plugin_failure", lambda provider: "no device" if provider.name == "webgpu" else ""
    )


def test_what_is_built_in_is_told_apart_from_what_ran(here):
    answers = {
        "cuda": Answer(error="provider 'cuda' did not start: libcudnn.so.9: cannot open"),
        "tensorrt": Answer(
            infer_ms=(1.0,), end_to_end_ms=(1.0,), left_to_cpu={"Pad": 2, "Cast": 1}
        ),
        "cpu": Answer(infer_ms=(1.0,), end_to_end_ms=(1.0,)),
    }
    tried: list[Job] = []

    def run(job: Job, patience_s: float) -> Answer:
        tried.append(job)
        return answers[job.provider]

    found = {each["name"]: each for each in examine_engines("starry.onnx", run)}
    assert [job.provider for job in tried] == ["cuda", "tensorrt", "cpu"]
    assert (found["cuda"]["state"], found["cpu"]["state"]) == ("failed", "ran")
    assert "libcudnn.so.9" in found["cuda"]["detail"]
    assert found["tensorrt"]["detail"] == "left 3 operations to the CPU: Pad 2, Cast 1"
    assert (found["webgpu"]["state"], found["webgpu"]["detail"]) == ("failed", "no device")
    assert found["coreml"]["state"] == "absent"


def test_without_a_model_nothing_is_tried(here):
    def run(job: Job, patience_s: float) -> Answer:
        raise AssertionError

    found = {each["name"]: each for each in examine_engines(None, run)}
    assert found["cpu"]["detail"] == "there is no model to try it with"


def test_the_cpu_really_runs_a_frame(models):
    found = {each["name"]: each for each in examine_engines(str(models / "negative.onnx"))}
    assert found["cpu"]["state"] == "ran"


@pytest.mark.parametrize("odd", ["foreign_fixed.onnx", "classifier.onnx", "encoder.onnx"])
def test_files_of_the_current_folder_break_no_provider(models, tmp_path, monkeypatch, odd):
    monkeypatch.chdir(tmp_path)
    Path("exported").mkdir()
    Path("exported/aaa.onnx").write_bytes((models / odd).read_bytes())
    found = examine()
    assert next(each for each in found["providers"] if each["name"] == "cpu")["state"] == "ran"


# Libraries


def test_libraries_are_found_by_loading_them():
    def load(name: str) -> None:
        if name not in ("libcuda.so.1", "libcudart.so.12"):
            raise OSError

    found = nvidia_libraries(load, "linux")
    assert (found["driver"], found["CUDA runtime"]) == ("libcuda.so.1", "libcudart.so.12")
    assert found["cuDNN"] is None
    assert nvidia_libraries(load, "darwin") == {}


# Cameras


class Driver:
    """Answers as Video4Linux does for a camera with two formats."""

    def __init__(self, capabilities: int = 1, problem: int = 0) -> None:
        self.sizes = {
            b"YUYV": [(640, 480, [30, 15])],
            b"MJPG": [(1280, 720, [30]), (1920, 1080, [])],
        }
        self.capabilities = capabilities
        self.problem = problem

    def __call__(self, _: int, number: int, request: bytearray) -> int:
        kind = number & 0xFF
        if self.problem:
            raise OSError(self.problem, "it broke")
        if kind == 0:  # VIDIOC_QUERYCAP
            struct.pack_into("=16s32s32s3I", request, 0, b"uvcvideo", b"Web Cam", b"usb-1", 1,
                             0x84A00001, self.capabilities)  # fmt: skip
            return 0
        values = list(struct.unpack_from("=5I", request))
        formats = list(self.sizes)
        try:
            if kind == 2:  # VIDIOC_ENUM_FMT
                struct.pack_into("=4s", request, 44, formats[values[0]])
            elif kind == 74:  # VIDIOC_ENUM_FRAMESIZES
                width, height, _ = self.sizes[struct.pack("=I", values[1])][values[0]]
                struct.pack_into("=3I", request, 8, 1, width, height)
            elif kind == 75:  # VIDIOC_ENUM_FRAMEINTERVALS
                for width, height, rates in self.sizes[struct.pack("=I", values[1])]:
                    if (width, height) == (values[2], values[3]):
                        struct.pack_into("=3I", request, 16, 1, 1, rates[values[0]])
        except IndexError:
            raise OSError(errno.EINVAL, "the list is over") from None
        return 0


@pytest.fixture
def devices(tmp_path):
    (tmp_path / "video0").touch()
    (tmp_path / "video2").touch()
    return tmp_path


def test_cameras_tell_their_modes(devices):
    first, second = examine_cameras("linux", devices, Driver())
    assert (first["source"], second["source"]) == ("0", "2")
    assert first["name"] == "Web Cam"
    assert first["modes"] == (
        "YUYV 640x480 at 30 frames/s", "MJPG 1280x720 at 30 frames/s", "MJPG 1920x1080",
    )  # fmt: skip


def test_devices_without_pictures_are_no_cameras(devices):
    assert examine_cameras("linux", devices, Driver(capabilities=0x00800000)) == []


def test_a_camera_that_does_not_answer_is_told_of(devices):
    first, _ = examine_cameras("linux", devices, Driver(problem=errno.ENODEV))
    assert first["problem"] == "it broke"


def test_a_camera_that_may_not_be_opened(devices, monkeypatch):
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(cameras.os, "open", refuse)
    first, _ = examine_cameras("linux", devices, Driver())
    assert first["problem"] == "no permission"


# Windows and codecs


def test_a_codec_counts_if_a_clip_comes_back(tmp_path):
    found = examine_video()
    assert ".avi MJPG" in found["writes"]
    assert found["gui"]


def test_without_a_folder_for_such_things_no_codec_counts(monkeypatch):
    def none(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryDirectory", none)
    assert examine_video()["writes"] == []


def test_pyav_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "av.codec", None)
    assert examine_video()["pyav_encoders"] is None


# Advice


def report(**changes: Any) -> dict[str, Any]:
    """A machine on which nothing is missing."""
    providers = [
        {"name": name, "state": "absent", "detail": "", "install": f"get {name}"}
        for name in ("cuda", "openvino", "cpu")
    ]
    healthy: dict[str, Any] = {
        "packages": {"onnxruntime": "1"},
        "machine": {"gpus": [], "cpu": "AMD"},
        "providers": providers,
        "libraries": {"cuDNN": None},
        "models": ["starry"],
        "cameras": [{"source": "0", "name": "Cam", "modes": (), "problem": ""}],
        "video": {"gui": "QT5", "display": True, "writes": [".avi MJPG"], "pyav_encoders": []},
        "folders": [{"purpose": "cache", "path": "~/c", "size_mb": 0, "writable": True}],
    }
    return healthy | changes


def failed(name: str) -> list[dict[str, str]]:
    return [
        each | ({"state": "failed", "detail": "it broke"} if each["name"] == name else {})
        for each in report()["providers"]
    ]


def test_where_nothing_is_missing_there_is_no_advice():
    assert advice(report()) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"packages": {"onnxruntime": "1", "onnxruntime-gpu": "1"}}, "overwrite each other"),
        ({"providers": failed("openvino")}, "openvino did not run: it broke (get openvino)"),
        ({"providers": failed("cuda")}, "were not found: cuDNN; NVIDIA's driver"),
        ({"machine": {"gpus": ["RTX"], "cpu": "AMD"}}, "(RTX) that nothing here can use: get cuda"),
        ({"machine": {"gpus": [], "cpu": "Intel"}}, "openvino may be quicker"),
        ({"models": []}, "no styles"),
        ({"cameras": []}, "--source test"),
        ({"cameras": [{"source": "1", "problem": "no permission"}]}, "usermod -aG video"),
        ({"cameras": [{"source": "1", "problem": "it broke"}]}, "camera 1 does not answer"),
        ({"video": report()["video"] | {"gui": "NONE"}}, "opencv-python in place of"),
        ({"video": report()["video"] | {"display": False}}, "no display"),
        ({"video": report()["video"] | {"pyav_encoders": None}}, "edge-style[video]"),
        ({"folders": [report()["folders"][0] | {"writable": False}]}, "cannot be written"),
        ({"no_onnxruntime": "needs the package 'onnxruntime'"}, "'onnxruntime'"),
    ],
)
def test_each_thing_missing_has_its_advice(changes, says):
    assert any(says in line for line in advice(report(**changes)))


def test_a_plugin_is_no_second_build():
    packages = {"onnxruntime": "1", "onnxruntime-ep-openvino": "1", "onnxruntime-qnn": "2"}
    assert advice(report(packages=packages)) == []


# Privacy, and the command


def test_homes_and_environments_are_not_told():
    value = {"a": ["/home/jo/x", ("/opt/env/lib/y",)], "b": 1, "c": "cannot open /home/jo/z"}
    assert without_paths(value, Path("/home/jo"), "/opt/env") == {
        "a": ["~/x", ["<python>/lib/y"]], "b": 1, "c": "cannot open ~/z",
    }  # fmt: skip
    assert without_paths("/a/b", Path("/"), "/") == "/a/b"


def test_the_command(cli):
    result = cli("doctor", "--json")
    assert result.status == 0, result.err
    found = json.loads(result.out)
    assert set(found) >= {"edge_style", "packages", "machine", "providers", "libraries", "models",
                          "cameras", "video", "folders", "advice"}  # fmt: skip
    assert str(Path.home()) not in result.out
    assert sys.prefix not in result.out
    assert next(each for each in found["providers"] if each["name"] == "cpu")["state"] == "ran"
    assert "starry" in found["models"]
    assert not [name for name in found["models"] if "encoder" in name]
    shown = cli("doctor")
    assert shown.status == 0
    assert "every" not in shown.out  # what is absent is one word, how to get it is advice
    for word in ("cpu", "ran", "cameras", "folders"):
        assert word in shown.out


def test_without_onnxruntime_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = examine()
    assert found["providers"] == []
    (line,) = found["advice"]
    assert "pip install 'edge-style[cpu]'" in line
