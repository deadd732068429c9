"""The table of execution providers: adding one is adding one entry."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge_style.errors import UsageError
from edge_style.providers import options
from edge_style.providers.options import Workload

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
        options: the provider's own options for a workload.
        session_entries: onnxruntime's session options that suit it.
        helpers: providers that take over the operations that this one leaves, before the CPU.
        plugin: the Python package, if any, that brings it as a plugin of a plain onnxruntime.
        library: file name, without prefix and suffix, of the library that onnxruntime loads for it;
            loading it by hand tells why onnxruntime could not.
        automatic: `auto` tries it.
        memory_pattern: whether it works with onnxruntime's preplanned memory.
        memory: where its tensors live, as onnxruntime calls it, if frames should be copied to
            buffers there that are kept; empty to hand arrays over and let onnxruntime copy.
        records_graphs: it can record a run and replay it, if sizes are fixed and buffers kept.
        compiles: it builds an engine for minutes before the first frame, so something is said.
        quick_int8: the int8 file of a style is the one to run on it.
    """

    name: str
    ep_name: str
    device: str
    install: str
    options: Callable[[Workload], Mapping[str, str]] = options.none
    session_entries: Mapping[str, str] = field(default_factory=dict)
    helpers: tuple[str, ...] = ()
    plugin: str = ""
    library: str = ""
    automatic: bool = True
    memory_pattern: bool = True
    memory: str = ""
    records_graphs: bool = False
    compiles: bool = False
    quick_int8: bool = False


# `auto` measures those that start, and takes the first of equals. Not tried are TensorRT and
# MIGraphX, which compile for minutes before the first frame, and QNN, which takes quantized models
# of fixed size only.
PROVIDERS = (
    Provider(
        "cuda",
        "CUDAExecutionProvider",
        "NVIDIA GPU",
        "pip install 'edge-style[gpu]' in place of [cpu]",
        options=options.cuda,
        library="onnxruntime_providers_cuda",
        memory="cuda",
        records_graphs=True,
    ),
    Provider(
        "tensorrt",
        "TensorrtExecutionProvider",
        "NVIDIA GPU",
        "pip install 'edge-style[gpu]' in place of [cpu], and tensorrt",
        options=options.tensorrt,
        helpers=("CUDAExecutionProvider",),
        library="onnxruntime_providers_tensorrt",
        automatic=False,
        memory="cuda",
        records_graphs=True,
        compiles=True,
    ),
    Provider(
        "rocm",
        "ROCMExecutionProvider",
        "AMD GPU",
        "pip install onnxruntime-rocm",
        options=options.rocm,
        library="onnxruntime_providers_rocm",
    ),
    Provider(
        "migraphx",
        "MIGraphXExecutionProvider",
        "AMD GPU",
        "pip install onnxruntime-migraphx",
        options=options.migraphx,
        library="onnxruntime_providers_migraphx",
        automatic=False,
        compiles=True,
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
        options=options.coreml,
    ),
    Provider(
        "openvino",
        "OpenVINOExecutionProvider",
        "Intel CPU, GPU and NPU",
        "pip install 'edge-style[openvino]' for Intel hardware, or for any x86 CPU "
        "onnxruntime-openvino in place of onnxruntime",
        options=options.openvino,
        plugin="onnxruntime_ep_openvino",
        library="onnxruntime_providers_openvino",
        quick_int8=True,
    ),
    Provider(
        "webgpu",
        "WebGpuExecutionProvider",
        "any GPU with Vulkan, Metal or Direct3D 12",
        "pip install 'edge-style[webgpu]'",
        plugin="onnxruntime_ep_webgpu",
    ),
    Provider(
        "qnn",
        "QNNExecutionProvider",
        "Qualcomm NPU",
        "pip install onnxruntime-qnn",
        options=options.qnn,
        plugin="onnxruntime_qnn",
        automatic=False,
        quick_int8=True,
    ),
    Provider(
        "cpu",
        CPU_EP,
        "CPU",
        "every onnxruntime has it",
        # Threads that spin while they wait gain a millisecond at best, and take processors from
        # the camera and the window: see runtime/README.md.
        session_entries={"session.intra_op.allow_spinning": "0"},
        quick_int8=True,
    ),
)

ALIASES = {"dml": "directml", "trt": "tensorrt"}
PROVIDER_NAMES = tuple(provider.name for provider in PROVIDERS)


def all_providers() -> tuple[Provider, ...]:
    """Every provider of the table, in the order in which `auto` prefers equals."""
    return PROVIDERS


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
