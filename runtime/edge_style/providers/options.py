"""What providers are told for a stream of equal frames, where that depends on the stream.

Each function gives one provider's own options as onnxruntime takes them: text to text.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

# What TensorRT prepares for where the size is left open: least, most likely and largest frame.
_OPEN_SIZES_PX = {"min": (16, 16), "opt": (640, 480), "max": (1920, 1080)}


@dataclass(frozen=True)
class Workload:
    """What a session is for; options follow from it.

    Attributes:
        model_sha256: of the file.
        precision: `fp32`, `fp16`, `int8`, or empty for a file that does not say.
        size_px: (width, height) of every frame, None where it is left open.
        image_input: name of the input of shape [1, H, W, 3] whose sides are open; empty for a
            model of another kind.
        versions: of onnxruntime and what belongs to it, for the keys of caches.
        wants_graph: record the whole run once and replay it, where the provider can (CUDA graphs).
    """

    model_sha256: str = ""
    precision: str = ""
    size_px: tuple[int, int] | None = None
    image_input: str = ""
    versions: str = ""
    wants_graph: bool = False

    @property
    def cache_key(self) -> str:
        """Names a folder for what is compiled for this file, size and versions, and no other."""
        size = "any" if self.size_px is None else f"{self.size_px[0]}x{self.size_px[1]}"
        return "-".join(filter(None, (self.model_sha256[:16], size, self.versions)))

    def without_graph(self) -> "Workload":
        """The same, run step by step."""
        return replace(self, wants_graph=False)


def cache_folder() -> Path:
    """Where engines and remembered choices are kept; it need not exist.

    The user's cache folder, or what the environment variable EDGE_STYLE_CACHE names.
    """
    named = os.environ.get("EDGE_STYLE_CACHE")
    if named:
        return Path(named)
    return Path(platformdirs.user_cache_dir("edge-style", appauthor=False))


def cuda(workload: Workload) -> Mapping[str, str]:
    """CUDA: the quickest convolutions for this size, found once, at the first frame.

    Channels last is how tensor cores want pictures, and how the contract's frames come. TF32 is
    what the tensor cores of Ampere and later do with fp32: 10 bits of mantissa, as in fp16.
    """
    options = {
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        "prefer_nhwc": "1",
        "use_tf32": "1",
    }
    if workload.wants_graph:
        options["enable_cuda_graph"] = "1"
    return options


def tensorrt(workload: Workload) -> Mapping[str, str]:
    """TensorRT: engines built once per file, size and versions, then taken from the cache."""
    root = cache_folder() / "tensorrt"
    options = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(root / workload.cache_key),
        # Timings of single layers hold for every model, so that the next engine is quicker built.
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(root / "timing"),
        # Allows what the file's own types ask for; without it fp16 layers are refused. A file of
        # fp32 stays fp32: nobody asked for less.
        "trt_fp16_enable": "0" if workload.precision == "fp32" else "1",
        "trt_int8_enable": "1" if workload.precision == "int8" else "0",
    }
    if workload.size_px is None and workload.image_input:
        for which, (width, height) in _OPEN_SIZES_PX.items():
            shape = f"{workload.image_input}:1x{height}x{width}x3"
            options[f"trt_profile_{which}_shapes"] = shape
    if workload.wants_graph:
        options["trt_cuda_graph_enable"] = "1"
    return options


def openvino(workload: Workload) -> Mapping[str, str]:
    """OpenVINO: one frame at a time, in the precision of the file.

    On CPUs that know bfloat16, OpenVINO would compute fp32 layers in it without a word. On a Zen 4
    that made the int8 file slower (28 ms instead of 18) and moved its pictures away from the
    network's.
    """
    del workload
    plain = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    return {"load_config": json.dumps({"CPU": plain, "GPU": {"PERFORMANCE_HINT": "LATENCY"}})}


def coreml(workload: Workload) -> Mapping[str, str]:
    """CoreML: an ML program on whatever is quickest, compiled once."""
    options = {
        "ModelFormat": "MLProgram",
        "MLComputeUnits": "ALL",
        "SpecializationStrategy": "FastPrediction",
        "ModelCacheDirectory": str(cache_folder() / "coreml" / workload.cache_key),
    }
    if workload.size_px is not None:
        options["RequireStaticInputShapes"] = "1"
    return options


def migraphx(workload: Workload) -> Mapping[str, str]:
    """MIGraphX: half precision where the file has it."""
    return {
        "migraphx_fp16_enable": "0" if workload.precision == "fp32" else "1",
        "migraphx_exhaustive_tune": "0",
    }


def rocm(workload: Workload) -> Mapping[str, str]:
    """ROCm: the quickest convolutions for this size, found at the first frame."""
    del workload
    return {"miopen_conv_exhaustive_search": "1", "tunable_op_enable": "1"}


def qnn(workload: Workload) -> Mapping[str, str]:
    """QNN: the NPU, at the clock that a live picture needs."""
    del workload
    return {
        "backend_type": "htp",
        "htp_performance_mode": "burst",
        "enable_htp_fp16_precision": "1",
    }


def none(workload: Workload) -> Mapping[str, str]:
    """Nothing to say."""
    del workload
    return {}
