"""Execution providers: the names users type, what onnxruntime calls them, and which are here.

One entry of `PROVIDERS` per provider; nothing else in the program knows their options.
"""

import ctypes
import difflib
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import platformdirs

from edge_style.errors import MissingExtraError, ProviderError, UsageError

AUTO = "auto"
CPU_EP = "CPUExecutionProvider"


@dataclass(frozen=True)
class Provider:
    """One execution provider.

    Attributes:
        name: what users type after `--provider`.
        ep_name: what onnxruntime calls it.
        device: what it runs on, for people.
        install: how to get an onnxruntime that has it.
        options: the provider's own options.
        helpers: providers that take over the operations that this one leaves, before the CPU.
        plugin: the Python package, if any, that brings it as a plugin of a plain onnxruntime.
        library: file name, without prefix and suffix, of the library that onnxruntime loads for it;
            loading it by hand tells why onnxruntime could not.
        automatic: `auto` tries it.
        memory_pattern: whether it works with onnxruntime's preplanned memory.
    """

    name: str
    ep_name: str
    device: str
    install: str
    options: Mapping[str, str] = field(default_factory=dict)
    helpers: tuple[str, ...] = ()
    plugin: str = ""
    library: str = ""
    automatic: bool = True
    memory_pattern: bool = True


_ENGINE_CACHE = Path(platformdirs.user_cache_dir("edge-style", appauthor=False)) / "tensorrt"

# In the order in which `auto` tries them. Not tried are TensorRT and MIGraphX, which compile for
# minutes before the first frame; QNN, which takes quantized models of fixed size only; and
# OpenVINO, which is quicker than the CPU provider on some networks and slower on others.
PROVIDERS = (
    Provider(
        "cuda",
        "CUDAExecutionProvider",
        "NVIDIA GPU",
        "pip install 'edge-style[gpu]' in place of [cpu]",
        library="onnxruntime_providers_cuda",
    ),
    Provider(
        "tensorrt",
        "TensorrtExecutionProvider",
        "NVIDIA GPU",
        "pip install 'edge-style[gpu]' in place of [cpu], and tensorrt",
        options={
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(_ENGINE_CACHE),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(_ENGINE_CACHE),
            # Allows what the file's own types ask for; without it fp16 layers are refused.
            "trt_fp16_enable": "1",
        },
        helpers=("CUDAExecutionProvider",),
        library="onnxruntime_providers_tensorrt",
        automatic=False,
    ),
    Provider("rocm", "ROCMExecutionProvider", "AMD GPU", "pip install onnxruntime-rocm"),
    Provider(
        "migraphx",
        "MIGraphXExecutionProvider",
        "AMD GPU",
        "pip install onnxruntime-migraphx",
        automatic=False,
    ),
    Provider(
        "directml",
        "DmlExecutionProvider",
        "any GPU on Windows",
        "pip install onnxruntime-directml in place of onnxruntime",
        memory_pattern=False,
    ),
    Provider(
        "coreml",
        "CoreMLExecutionProvider",
        "Apple GPU and Neural Engine",
        "the onnxruntime wheel for macOS has it",
        options={"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"},
    ),
    Provider(
        "openvino",
        "OpenVINOExecutionProvider",
        "Intel CPU, GPU and NPU",
        "pip install onnxruntime-ep-openvino beside onnxruntime",
        plugin="onnxruntime_ep_openvino",
        automatic=False,
    ),
    Provider(
        "webgpu",
        "WebGpuExecutionProvider",
        "any GPU with Vulkan, Metal or Direct3D 12",
        "pip install onnxruntime-ep-webgpu beside onnxruntime",
        plugin="onnxruntime_ep_webgpu",
    ),
    Provider(
        "qnn",
        "QNNExecutionProvider",
        "Qualcomm NPU",
        "pip install onnxruntime-qnn in place of onnxruntime",
        options={"backend_type": "htp"},
        automatic=False,
    ),
    Provider("cpu", CPU_EP, "CPU", "every onnxruntime has it"),
)

ALIASES = {"dml": "directml", "trt": "tensorrt"}
PROVIDER_NAMES = tuple(provider.name for provider in PROVIDERS)


def import_onnxruntime() -> ModuleType:
    """The onnxruntime module, told to keep its log to itself: failures become our own one line.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError("running a model", "onnxruntime", "cpu", "gpu") from error
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def provider_named(name: str) -> Provider:
    """Look a provider up by the name that users type.

    Raises:
        UsageError: there is none of that name.
    """
    wanted = ALIASES.get(name.lower(), name.lower())
    for provider in PROVIDERS:
        if provider.name == wanted:
            return provider
    near = difflib.get_close_matches(wanted, PROVIDER_NAMES, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise UsageError(
        f"no provider is called '{name}': {hint}There are: {AUTO}, {', '.join(PROVIDER_NAMES)}"
    )


def available() -> tuple[Provider, ...]:
    """The providers that the installed onnxruntime was built with, or has a plugin for.

    That one of them also works here is known only after a first run.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    onnxruntime = import_onnxruntime()
    built_in = set(onnxruntime.get_available_providers())
    return tuple(
        provider
        for provider in PROVIDERS
        if provider.ep_name in built_in or plugin_devices(provider)
    )


def candidates(name: str) -> tuple[Provider, ...]:
    """The providers to try, in order: several for `auto`, else the one that was asked for.

    Raises:
        UsageError: no provider has that name.
        ProviderError: the installed onnxruntime does not have it.
        MissingExtraError: onnxruntime is not installed.
    """
    if name.lower() == AUTO:
        return tuple(provider for provider in available() if provider.automatic)
    wanted = provider_named(name)
    here = available()
    if wanted not in here:
        reason = f"the installed onnxruntime has no provider '{wanted.name}' ({wanted.install})"
        if wanted.name in _registered_plugins:
            reason = f"provider '{wanted.name}' found no device here that it can use"
        raise ProviderError(f"{reason}; available: {', '.join(provider.name for provider in here)}")
    return (wanted,)


def plugin_devices(provider: Provider) -> list[Any]:
    """The devices that a provider's plugin offers here; empty without plugin or device."""
    if not provider.plugin:
        return []
    onnxruntime = import_onnxruntime()
    if not hasattr(onnxruntime, "register_execution_provider_library"):
        return []  # before onnxruntime 1.23 there were no plugins
    try:
        plugin = importlib.import_module(provider.plugin)
    except ImportError:
        return []
    if provider.name not in _registered_plugins:
        try:
            onnxruntime.register_execution_provider_library(
                provider.name, str(plugin.get_library_path())
            )
        except Exception:  # onnxruntime's errors derive from nothing narrower
            return []
        _registered_plugins.add(provider.name)
    return [device for device in onnxruntime.get_ep_devices() if device.ep_name == provider.ep_name]


# onnxruntime keeps a plugin for the life of the process and refuses to take it twice.
_registered_plugins: set[str] = set()


def load_failure(provider: Provider) -> str:
    """Why onnxruntime could not load a provider's library, in the system's words; may be empty."""
    if not provider.library:
        return ""
    onnxruntime = import_onnxruntime()
    prefix, suffix = ("", ".dll") if sys.platform == "win32" else ("lib", ".so")
    folder = Path(onnxruntime.__path__[0]) / "capi"
    try:
        ctypes.CDLL(str(folder / f"{prefix}{provider.library}{suffix}"))
    except OSError as error:
        return str(error).replace(str(folder) + "/", "")
    return "its library loads, but it found no device that it can use"
