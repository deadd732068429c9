"""How a session is opened: options, providers, and what its errors mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_style.contract import HEIGHT_DIM, WIDTH_DIM
from edge_style.errors import ModelError, ProviderError
from edge_style.onnx_file import not_onnx
from edge_style.providers import (
    CPU_EP,
    Provider,
    Workload,
    find_libraries,
    import_onnxruntime,
    load_failure,
    plugin_devices,
    usable_cores,
)

_SILENT = 4
_DTYPES = {
    "tensor(uint8)": "uint8",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
# Where in onnxruntime's source an error was raised: `/onnxruntime_src/a/b.cc:729 void f(int) `.
_SOURCE_PLACE = re.compile(r"^/\S+\.(?:cc|h|cpp):\d+ .*?\) (?:const )?")
# Errors of onnxruntime that are the file's fault, whatever the provider.
_BAD_FILE = ("InvalidProtobuf", "InvalidGraph", "NoModel", "NoSuchFile")


@dataclass(frozen=True)
class TensorInfo:
    """Name, element type and shape of an input or output; dynamic sides are names or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        sides = ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} {self.dtype} [{sides}]"

    @classmethod
    def of(cls, value: Any) -> "TensorInfo":
        """From what onnxruntime says of an input or output."""
        return cls(value.name, _DTYPES.get(value.type, value.type), tuple(value.shape))


def open_session(path: Path, provider: Provider, workload: Workload) -> Any:
    """An onnxruntime session of which the provider runs a part.

    Raises:
        ModelError: the file is no model that onnxruntime takes.
        ProviderError: the provider cannot start here, or takes no part of this model.
    """
    onnxruntime = import_onnxruntime()
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        shown = str(path).encode("utf-8", "replace").decode()
        raise ModelError(f"the path '{shown}' is not UTF-8: rename the file or folder") from error
    options = session_options(onnxruntime, provider, workload)
    arguments = _provider_arguments(onnxruntime, provider, workload, options)
    try:
        # Without this, onnxruntime prints a banner and goes on with the CPU.
        session = onnxruntime.InferenceSession(str(path), options, enable_fallback=0, **arguments)
    except Exception as error:  # onnxruntime's errors derive from nothing narrower
        if type(error).__name__ == "InvalidProtobuf":
            raise not_onnx(path) from error
        if provider.ep_name == CPU_EP or type(error).__name__ in _BAD_FILE:
            raise ModelError(f"onnxruntime cannot load '{path}': {reason_of(error)}") from error
        # A missing library is told best by the system; onnxruntime's word for it varies.
        reason = load_failure(provider) or reason_of(error)
        raise ProviderError(
            f"provider '{provider.name}' did not start: {_one_line(reason)}"
        ) from error
    check_started(session, provider)
    if provider.ep_name != CPU_EP and not _takes_part(session, provider):
        raise ProviderError(
            f"provider '{provider.name}' takes no operation of '{path.name}': "
            "all of it would run on the CPU"
        )
    return session


def session_options(onnxruntime: Any, provider: Provider, workload: Workload) -> Any:
    """onnxruntime's options for a stream of frames on a provider."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.enable_mem_pattern = provider.memory_pattern
    cores = usable_cores()
    if cores is not None:
        # onnxruntime counts the machine's cores, also where a container or an affinity mask
        # grants fewer: its threads would then wait for one another.
        options.intra_op_num_threads = cores
    # Values too small to see cost the CPU a hundred times an ordinary multiplication.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for key, value in provider.session_entries.items():
        options.add_session_config_entry(key, value)
    if workload.size_px is not None:
        options.add_free_dimension_override_by_name(WIDTH_DIM, workload.size_px[0])
        options.add_free_dimension_override_by_name(HEIGHT_DIM, workload.size_px[1])
    return options


def _provider_arguments(
    onnxruntime: Any, provider: Provider, workload: Workload, options: Any
) -> dict[str, Any]:
    # A registered plugin is listed as if it were built in, but takes part by its devices only.
    devices = plugin_devices(provider)
    own = dict(provider.options(workload))
    if devices:
        options.add_provider_for_devices(devices[:1], own)
        return {}
    built_in = set(onnxruntime.get_available_providers())
    if provider.library:
        find_libraries()
    wanted: Sequence[str] = [provider.ep_name, *provider.helpers, CPU_EP]
    names = [name for name in dict.fromkeys(wanted) if name in built_in]
    return {
        "providers": names,
        "provider_options": [own if name == provider.ep_name else {} for name in names],
    }


def check_started(session: Any, provider: Provider) -> None:
    """Ask the session itself: onnxruntime falls back to the CPU without a word.

    Raises:
        ProviderError: another provider runs it.
    """
    active = session.get_providers()
    if not active or active[0] != provider.ep_name:
        reason = load_failure(provider)
        if not reason and provider.library:
            reason = "its library loads, but it found no device that it can use"
        reason = reason or "onnxruntime fell back to another one"
        raise ProviderError(f"provider '{provider.name}' did not start: {_one_line(reason)}")


def _takes_part(session: Any, provider: Provider) -> bool:
    """Whether any operation was given to the provider; True where onnxruntime cannot tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return True
    parts = session.get_provider_graph_assignment_info()
    return any(part.ep_name == provider.ep_name for part in parts)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def reason_of(error: Exception) -> str:
    """onnxruntime's message without its preamble: `[ONNXRuntimeError] : 1 : FAIL : ...`."""
    text = _one_line(str(error))
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    text = _SOURCE_PLACE.sub("", text)
    return text if len(text) <= 300 else text[:300] + "..."
