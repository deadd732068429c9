"""A camera that other programs see: video calls, OBS, browsers. Needs the extra `virtual`."""

import importlib.util
import sys
from typing import TYPE_CHECKING

import numpy as np

from edge_style.controls import Command, Notice
from edge_style.errors import MissingExtraError, SinkError
from edge_style.sinks.base import Sink, StreamInfo, StyledFrame
from edge_style.sinks.video import Shape

if TYPE_CHECKING:
    import pyvirtualcam

# What pyvirtualcam stands on, for each system it runs on.
_INSTRUCTIONS = {
    "linux": "load the kernel module first: sudo modprobe v4l2loopback exclusive_caps=1 "
    "card_label=edge-style (package v4l2loopback-dkms)",
    "darwin": "install OBS Studio, start its virtual camera once, and stop it again",
    "win32": "install OBS Studio, which brings a virtual camera along",
}


class VirtualSink(Sink):
    """Sends frames to a virtual camera, which has the size of the first one.

    Args:
        device: `/dev/video10`, or another name that pyvirtualcam knows; the first one if None.
        stream: its frame rate is what the camera states.
    """

    def __init__(self, device: str | None, stream: StreamInfo) -> None:
        if importlib.util.find_spec("pyvirtualcam") is None:
            raise MissingExtraError("--output virtual", "pyvirtualcam", "virtual")
        self._device = device
        self._stream = stream
        self._shape = Shape()
        self._camera: pyvirtualcam.Camera | None = None
        self._said: list[Command | Notice] = []

    def write(self, frame: StyledFrame) -> None:
        image = np.ascontiguousarray(self._shape.fit(frame.image))
        if self._camera is None:
            self._camera = self._start(image.shape[1], image.shape[0])
            self._said.append(Notice(f"virtual camera: {self._camera.device}"))
        try:
            self._camera.send(image)
        except (OSError, RuntimeError) as error:
            raise SinkError(f"the virtual camera broke down: {error}") from error

    def _start(self, width: int, height: int) -> "pyvirtualcam.Camera":
        import pyvirtualcam  # noqa: PLC0415 - optional

        try:
            return pyvirtualcam.Camera(width, height, self._stream.fps, device=self._device)
        except RuntimeError as error:
            how = _INSTRUCTIONS.get(sys.platform, "this system has none that is known")
            reason = " ".join(str(error).split())
            raise SinkError(f"no virtual camera: {how}; {reason}") from error

    def poll(self) -> list[Command | Notice]:
        said, self._said = self._said, []
        return said

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - it goes away either way
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()
