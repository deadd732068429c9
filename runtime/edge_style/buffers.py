"""Frames and pictures in a provider's own memory, in buffers that are kept from frame to frame.

Without them onnxruntime allocates on the device for every frame; and a recorded run (a CUDA graph)
reads and writes the addresses that it was recorded with.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.providers import import_onnxruntime

Tensor: TypeAlias = npt.NDArray[Any]


class DeviceBuffers:
    """Input and output buffers of one session, for inputs of one shape.

    Args:
        session: an onnxruntime session.
        memory: where its tensors live, as onnxruntime calls it: `cuda`.
        feeds: inputs of the shapes and types to come.
        output: name of the output.
        like: the input whose shape and type the output has.
    """

    def __init__(
        self, session: Any, memory: str, feeds: Mapping[str, Tensor], output: str, like: str
    ) -> None:
        self._session = session
        self._binding = session.io_binding()
        make = import_onnxruntime().OrtValue.ortvalue_from_shape_and_type
        self._shapes = {name: value.shape for name, value in feeds.items()}
        self._inputs = {
            name: make(list(value.shape), value.dtype.type, memory, 0)
            for name, value in feeds.items()
        }
        self._output = make(list(feeds[like].shape), feeds[like].dtype.type, memory, 0)
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_ortvalue_output(output, self._output)
        # What `numpy()` gives is a copy from a device, and the buffer itself on the CPU.
        self._is_shared = memory == "cpu"

    def fit(self, feeds: Mapping[str, Tensor]) -> bool:
        """Whether the inputs have the shapes that the buffers were made for."""
        return self._shapes == {name: value.shape for name, value in feeds.items()}

    def run(self, feeds: Mapping[str, Tensor]) -> Tensor:
        """Copy the inputs in, run, copy the output out: an array of the caller's own."""
        for name, value in feeds.items():
            self._inputs[name].update_inplace(np.ascontiguousarray(value))
        self._session.run_with_iobinding(self._binding)
        result = np.asarray(self._output.numpy())
        return result.copy() if self._is_shared else result
