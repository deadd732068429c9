"""One onnxruntime session: a model file on one provider, and nothing it does silently."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.contract import HEIGHT_DIM, METADATA_PREFIX, WIDTH_DIM
from edge_style.errors import ModelError, ProviderError
from edge_style.onnx_file import not_onnx, summarize
from edge_style.providers import (
    CPU_EP,
    Provider,
    import_onnxruntime,
    load_failure,
    plugin_devices,
)

Tensor: TypeAlias = npt.NDArray[Any]

CONTRACT_KEY = METADATA_PREFIX + "contract_version"

_SILENT = 4
_DTYPES = {
    "tensor(uint8)": "uint8",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
_OUT_OF_MEMORY = ("failed to allocate", "bad alloc", "out of memory")
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


class Session:
    """A model file, loaded and ready on one provider.

    Attributes:
        path: the file.
        provider: name of the provider that runs it: what onnxruntime says, not what was asked for.
        inputs, outputs: what the file takes and gives.
        metadata: its `metadata_props`.
    """

    def __init__(
        self, path: Path, provider: Provider, size_px: tuple[int, int] | None = None
    ) -> None:
        """Load a file.

        Args:
            path: an `.onnx` file.
            provider: where to run it.
            size_px: (width, height) if all frames will have this size; onnxruntime then plans its
                memory and folds shape arithmetic for it. Other sizes are refused afterwards.

        Raises:
            ModelError: the file is no model that onnxruntime takes.
            ProviderError: the provider cannot start here, or takes no part of this model.
        """
        summary = summarize(path)  # refuses damaged files and weights from elsewhere
        self.metadata = dict(summary.metadata)
        if CONTRACT_KEY not in self.metadata:
            size_px = None  # a foreign model's frames are padded to sizes of its own
        self.path = path
        self.provider = provider.name
        self._entry = provider
        self._session = _open(path, provider, size_px)
        self.inputs = tuple(_info(value) for value in self._session.get_inputs())
        self.outputs = tuple(_info(value) for value in self._session.get_outputs())

    def run(self, feeds: Mapping[str, Tensor], output: str) -> Tensor:
        """Run the model; the output of that name.

        Raises:
            ModelError: the model fails on these inputs.
            ProviderError: the provider fails.
        """
        try:
            (result,) = self._session.run([output], dict(feeds))
        except Exception as error:  # onnxruntime's errors derive from nothing narrower
            shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in feeds.items())
            reason = _reason(error)
            if any(sign in reason.lower() for sign in _OUT_OF_MEMORY):
                raise ModelError(
                    f"'{self.path.name}' has not enough memory for {shapes}: use a smaller --size"
                ) from error
            if type(error).__name__ == "EPFail" or self._entry.ep_name != CPU_EP:
                raise ProviderError(
                    f"provider '{self.provider}' failed on '{self.path.name}' with {shapes}: "
                    f"{reason}; try --provider cpu"
                ) from error
            raise ModelError(f"'{self.path.name}' failed with {shapes}: {reason}") from error
        _check_started(self._session, self._entry)
        return np.asarray(result)


def _open(path: Path, provider: Provider, size_px: tuple[int, int] | None) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    options.enable_mem_pattern = provider.memory_pattern
    # Values too small to see cost the CPU a hundred times an ordinary multiplication.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if size_px is not None:
        options.add_free_dimension_override_by_name(WIDTH_DIM, size_px[0])
        options.add_free_dimension_override_by_name(HEIGHT_DIM, size_px[1])
    arguments = _provider_arguments(onnxruntime, provider, options)
    try:
        # Without this, onnxruntime prints a banner and goes on with the CPU.
        session = onnxruntime.InferenceSession(str(path), options, enable_fallback=0, **arguments)
    except Exception as error:  # onnxruntime's errors derive from nothing narrower
        if type(error).__name__ == "InvalidProtobuf":
            raise not_onnx(path) from error
        if provider.ep_name == CPU_EP or type(error).__name__ in _BAD_FILE:
            raise ModelError(f"onnxruntime cannot load '{path}': {_reason(error)}") from error
        raise ProviderError(
            f"provider '{provider.name}' did not start: {_reason(error)}"
        ) from error
    _check_started(session, provider)
    if provider.ep_name != CPU_EP and not _takes_part(session, provider):
        raise ProviderError(
            f"provider '{provider.name}' takes no operation of '{path.name}': "
            "all of it would run on the CPU"
        )
    return session


def _provider_arguments(onnxruntime: Any, provider: Provider, options: Any) -> dict[str, Any]:
    # A registered plugin is listed as if it were built in, but takes part by its devices only.
    devices = plugin_devices(provider)
    if devices:
        options.add_provider_for_devices(devices[:1], dict(provider.options))
        return {}
    built_in = set(onnxruntime.get_available_providers())
    if provider.library and hasattr(onnxruntime, "preload_dlls"):
        # Finds the CUDA libraries that pip installed; they are on no search path of the system.
        # What it prints where there are none is told by `load_failure` if it matters.
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    wanted: Sequence[str] = [provider.ep_name, *provider.helpers, CPU_EP]
    names = [name for name in dict.fromkeys(wanted) if name in built_in]
    own_options = [dict(provider.options) if name == provider.ep_name else {} for name in names]
    return {"providers": names, "provider_options": own_options}


def _check_started(session: Any, provider: Provider) -> None:
    """Ask the session itself: onnxruntime falls back to the CPU without a word."""
    active = session.get_providers()
    if not active or active[0] != provider.ep_name:
        reason = load_failure(provider) or "onnxruntime fell back to another one"
        raise ProviderError(f"provider '{provider.name}' did not start: {_one_line(reason)}")


def _takes_part(session: Any, provider: Provider) -> bool:
    """Whether any operation was given to the provider; True where onnxruntime cannot tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return True
    parts = session.get_provider_graph_assignment_info()
    return any(part.ep_name == provider.ep_name for part in parts)


def _info(value: Any) -> TensorInfo:
    return TensorInfo(value.name, _DTYPES.get(value.type, value.type), tuple(value.shape))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _reason(error: Exception) -> str:
    """onnxruntime's message without its preamble: `[ONNXRuntimeError] : 1 : FAIL : ...`."""
    text = _one_line(str(error))
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    return text if len(text) <= 300 else text[:300] + "..."
