"""One onnxruntime session: a model file on one provider, and nothing it does silently."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.buffers import DeviceBuffers
from edge_style.contract import INPUT_NAME, METADATA_PREFIX
from edge_style.errors import ModelError, ProviderError
from edge_style.onnx_file import summarize
from edge_style.providers import CPU_EP, Provider, Workload, package_versions
from edge_style.session_options import TensorInfo, check_started, open_session, reason_of

Tensor: TypeAlias = npt.NDArray[Any]

CONTRACT_KEY = METADATA_PREFIX + "contract_version"
_PRECISION_KEY = METADATA_PREFIX + "precision"

_OUT_OF_MEMORY = ("failed to allocate", "bad alloc", "out of memory")


class Session:
    """A model file, loaded and ready on one provider.

    Attributes:
        path: the file.
        provider: name of the provider that runs it: what onnxruntime says, not what was asked for.
        inputs, outputs: what the file takes and gives.
        metadata: its `metadata_props`.
        sha256: of the file.
        left_to_cpu: operator -> how many of them another provider left to the CPU.
        notes: what the user should know of how it runs, one line each.
    """

    def __init__(
        self,
        path: Path,
        provider: Provider,
        size_px: tuple[int, int] | None = None,
        *,
        record_graph: bool = True,
    ) -> None:
        """Load a file.

        Args:
            path: an `.onnx` file.
            provider: where to run it.
            size_px: (width, height) if all frames will have this size; onnxruntime then plans its
                memory and folds shape arithmetic for it. Other sizes are refused afterwards.
            record_graph: record the run of a fixed size and replay it, where the provider can.

        Raises:
            ModelError: the file is no model that onnxruntime takes.
            ProviderError: the provider cannot start here, or takes no part of this model.
        """
        summary = summarize(path)  # refuses damaged files and weights from elsewhere
        self.metadata = dict(summary.metadata)
        self.sha256 = summary.sha256
        follows_contract = CONTRACT_KEY in self.metadata
        if not follows_contract:
            size_px = None  # a foreign model's frames are padded to sizes of its own
        self.path = path
        self.provider = provider.name
        self.notes: tuple[str, ...] = ()
        self._entry = provider
        self._is_proven = False
        self._buffers: DeviceBuffers | None = None
        self._workload = Workload(
            model_sha256=summary.sha256,
            precision=self.metadata.get(_PRECISION_KEY, ""),
            size_px=size_px,
            image_input=INPUT_NAME if follows_contract else "",
            versions="-".join(f"{name}{number}" for name, number in package_versions().items()),
            wants_graph=record_graph and provider.records_graphs and size_px is not None,
        )
        try:
            self._session = open_session(path, provider, self._workload)
        except ProviderError as error:
            if not self._workload.wants_graph:
                raise
            self._reopen_without_graph(error)
        self.inputs = tuple(TensorInfo.of(value) for value in self._session.get_inputs())
        self.outputs = tuple(TensorInfo.of(value) for value in self._session.get_outputs())
        self.left_to_cpu = _left_to_cpu(self._session, provider)

    @property
    def planned_px(self) -> tuple[int, int] | None:
        """(width, height) that was planned for; `inputs` and `outputs` then say so too."""
        return self._workload.size_px

    @property
    def replays_graph(self) -> bool:
        """Whether the run is recorded and replayed (a CUDA graph)."""
        return self._workload.wants_graph

    def run(self, feeds: Mapping[str, Tensor], output: str) -> Tensor:
        """Run the model; the output of that name.

        Raises:
            ModelError: the model fails on these inputs.
            ProviderError: the provider fails.
        """
        try:
            result = self._run(feeds, output)
        except Exception as error:  # onnxruntime's errors derive from nothing narrower
            if self._is_proven or not self._workload.wants_graph:
                raise self._explained(error, feeds) from error
            # Recording happens at the first run, and not every graph of operations allows it.
            self._reopen_without_graph(error)
            return self.run(feeds, output)
        if not self._is_proven:
            check_started(self._session, self._entry)
            self._is_proven = True
        return result

    def _run(self, feeds: Mapping[str, Tensor], output: str) -> Tensor:
        # Only what the contract promises is known beforehand: an output like the image.
        if not self._entry.memory or self._workload.size_px is None or len(self.outputs) != 1:
            (result,) = self._session.run([output], dict(feeds))
            return np.asarray(result)
        if self._buffers is None or not self._buffers.fit(feeds):
            self._buffers = DeviceBuffers(
                self._session, self._entry.memory, feeds, output, like=INPUT_NAME
            )
        return self._buffers.run(feeds)

    def _reopen_without_graph(self, error: Exception) -> None:
        self._buffers = None
        self._workload = self._workload.without_graph()
        self._session = open_session(self.path, self._entry, self._workload)
        self.notes = (
            *self.notes,
            f"{self.provider} runs {self.path.name} step by step, it cannot be recorded as one "
            f"graph: {reason_of(error)}",
        )

    def _explained(self, error: Exception, feeds: Mapping[str, Tensor]) -> Exception:
        shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in feeds.items())
        reason = reason_of(error)
        if any(sign in reason.lower() for sign in _OUT_OF_MEMORY):
            return ModelError(
                f"'{self.path.name}' has not enough memory for {shapes}: use a smaller --size"
            )
        if type(error).__name__ == "EPFail" or self._entry.ep_name != CPU_EP:
            return ProviderError(
                f"provider '{self.provider}' failed on '{self.path.name}' with {shapes}: "
                f"{reason}; try --provider cpu"
            )
        return ModelError(f"'{self.path.name}' failed with {shapes}: {reason}")


def _left_to_cpu(session: Any, provider: Provider) -> dict[str, int]:
    """Operator -> how many the provider left to the CPU; empty where onnxruntime cannot tell."""
    if provider.ep_name == CPU_EP or not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    return dict(
        Counter(
            node.op_type
            for part in session.get_provider_graph_assignment_info()
            if part.ep_name == CPU_EP
            for node in part.get_nodes()
        ).most_common()
    )
