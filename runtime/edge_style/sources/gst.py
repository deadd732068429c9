"""GStreamer pipelines: `gst:v4l2src ! video/x-raw,width=1280`, `gst:nvarguscamerasrc ! nvvidconv`.

Through PyGObject, the extra `gst`; or through an OpenCV that was built with GStreamer, as JetPack's
and Debian's are. The one from PyPI is not.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edge_style.errors import MissingExtraError, SourceError
from edge_style.sources.base import Frame, Image, Source
from edge_style.sources.capture import Capture

_SINK = "edge_style_sink"
_PATIENCE_S = 10.0
_SLICE_S = 0.1
_LONGEST_LATENCY_S = 5.0  # more than that is a clock that is not ours


def open_gst(pipeline: str) -> Source:
    """Start a pipeline, given without its sink.

    Raises:
        MissingExtraError: neither PyGObject nor an OpenCV with GStreamer is there.
        SourceError: GStreamer does not take it, or it gives no pictures.
    """
    try:
        gst = _import_gst()
    except ImportError as error:
        if _opencv_has_gstreamer():
            return _OpenCvGstSource(pipeline)
        raise MissingExtraError("gst: (GStreamer)", "PyGObject", "gst") from error
    return GstSource(pipeline, gst)


def _import_gst() -> "_Gst":
    """GStreamer's module. ImportError where PyGObject or GStreamer's own files are missing."""
    import gi  # noqa: PLC0415 - optional

    try:
        gi.require_version("Gst", "1.0")
        gi.require_version("GstVideo", "1.0")
    except ValueError as error:
        raise ImportError(str(error)) from error
    from gi.repository import GLib, Gst, GstVideo  # noqa: PLC0415 - optional

    Gst.init(None)
    return _Gst(Gst, GstVideo, GLib.Error)


@dataclass(frozen=True)
class _Gst:
    """PyGObject's modules, which carry no types."""

    core: Any
    video: Any
    error: Any


class GstSource(Source):
    """A pipeline whose newest picture is taken; what nobody takes in time is dropped."""

    live = True

    def __init__(self, pipeline: str, modules: _Gst) -> None:
        self._gst = gst = modules.core
        self._video = modules.video
        self._name = f"gst:{pipeline}"
        text = (
            f"{pipeline} ! videoconvert ! video/x-raw,format=RGB ! "
            f"appsink name={_SINK} max-buffers=1 drop=true"
        )
        try:
            self._pipeline = gst.parse_launch(text)
        except modules.error as error:
            raise SourceError(f"GStreamer does not take '{pipeline}': {error.message}") from error
        self._sink = self._pipeline.get_by_name(_SINK)
        # Pictures of a camera are wanted as soon as they are there, those of a file in their time.
        is_live = self._pipeline.set_state(gst.State.PAUSED) == gst.StateChangeReturn.NO_PREROLL
        self._sink.set_property("sync", not is_live)
        self._pipeline.set_state(gst.State.PLAYING)
        try:
            self._first: Frame | None = self._pull()
        except BaseException:
            self.close()  # or it would play on, one more at each try to connect again
            raise
        if self._first is None:
            self.close()
            raise SourceError(f"'{self._name}' ended before its first picture")
        height, width = self._first.image.shape[:2]
        self.size_px = (width, height)
        self.description = f"{self._name}, {width}x{height}"

    def _pull(self) -> Frame | None:
        """The next frame, None at the end. Raises SourceError."""
        end_s = time.perf_counter() + _PATIENCE_S
        sample = None
        while sample is None:
            # In slices, since a pipeline that breaks down does not wake up who waits for it.
            sample = self._sink.emit("try-pull-sample", round(_SLICE_S * self._gst.SECOND))
            now_s = time.perf_counter()
            if sample is None:
                self._raise_failure()
                if self._sink.get_property("eos"):
                    return None
                if now_s > end_s:
                    raise SourceError(f"'{self._name}' gave no picture for {_PATIENCE_S:g} seconds")
        captured_s = now_s - self._age_s(sample.get_buffer().pts)
        image = self._image(sample)
        capture_ms = (time.perf_counter() - now_s) * 1000
        return Frame(image, 0.0, captured_s, capture_ms)

    def _age_s(self, pts_ns: int) -> float:
        """How long ago a picture was captured, as the pipeline's clock says."""
        clock = self._pipeline.get_clock()
        if clock is None or pts_ns == self._gst.CLOCK_TIME_NONE:
            return 0.0
        running_ns = clock.get_time() - self._pipeline.get_base_time()
        age_s = float(running_ns - pts_ns) / 1e9
        return age_s if 0 <= age_s <= _LONGEST_LATENCY_S else 0.0

    def _image(self, sample: Any) -> Image:
        info = self._video.VideoInfo.new_from_caps(sample.get_caps())
        buffer = sample.get_buffer()
        is_mapped, mapped = buffer.map(self._gst.MapFlags.READ)
        if not is_mapped:
            raise SourceError(f"'{self._name}': a picture cannot be read")
        try:
            stride = int(info.stride[0])
            rows = np.frombuffer(mapped.data, np.uint8, stride * info.height)
            # A copy, since the buffer goes back to the pipeline.
            rows = rows.reshape(info.height, stride)[:, : info.width * 3]
            return np.array(rows.reshape(info.height, info.width, 3), np.uint8)
        finally:
            buffer.unmap(mapped)

    def _raise_failure(self) -> None:
        message = self._pipeline.get_bus().pop_filtered(self._gst.MessageType.ERROR)
        if message is not None:
            error, _ = message.parse_error()
            raise SourceError(f"'{self._name}': {error.message}")

    def __iter__(self) -> Iterator[Frame]:
        frame, self._first = self._first or self._pull(), None
        start_s = frame.captured_s if frame is not None else 0.0
        while frame is not None:
            place_s = frame.captured_s - start_s
            yield Frame(frame.image, place_s, frame.captured_s, frame.capture_ms)
            frame = self._pull()

    def close(self) -> None:
        self._pipeline.set_state(self._gst.State.NULL)


def _opencv_has_gstreamer() -> bool:
    lines = cv2.getBuildInformation().splitlines()
    return any("GStreamer:" in line and "YES" in line for line in lines)


class _OpenCvGstSource(Source):
    """The same through OpenCV."""

    live = True

    def __init__(self, pipeline: str) -> None:
        self._name = f"gst:{pipeline}"
        text = f"{pipeline} ! videoconvert ! video/x-raw,format=BGR ! appsink max-buffers=1 drop=1"
        self._capture = Capture(cv2.VideoCapture(text, cv2.CAP_GSTREAMER))
        if not self._capture.is_open:
            raise SourceError(f"GStreamer does not take '{pipeline}', or it gives no pictures")
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.size_px = (width, height)
        self.description = f"{self._name}, {width}x{height}"

    def __iter__(self) -> Iterator[Frame]:
        start_s: float | None = None
        while self._capture.grab():
            captured_s = time.perf_counter()
            image = self._capture.retrieve()
            if image is None:
                break
            start_s = captured_s if start_s is None else start_s
            capture_ms = (time.perf_counter() - captured_s) * 1000
            yield Frame(image, captured_s - start_s, captured_s, capture_ms)

    def close(self) -> None:
        self._capture.close()
