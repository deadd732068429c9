"""Sources that go away and come back, GStreamer's, and the virtual camera."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from edge_style.errors import MissingExtraError, SinkError, SourceError
from edge_style.pipeline import PipelineOptions, PlainStylizer, Result, run_pipeline
from edge_style.sinks import Sink, StreamInfo, StyledFrame, open_sink
from edge_style.sinks.web import WebSink
from edge_style.sources import Frame, Source, gst, open_source
from edge_style.sources.reconnect import ReconnectingSource

PATIENCE_S = 20.0
pytestmark = pytest.mark.timeout(120)


class Fragile(Source):
    """A camera that breaks down after a few frames, and whose clock begins anew each time."""

    live = True
    fps = 100.0
    description = "camera 0"

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self.is_closed = False

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._frames):
            time.sleep(0.01)
            yield Frame(np.zeros((16, 16, 3), np.uint8), index / 100, time.perf_counter())
        raise SourceError("camera '0' stopped giving pictures: unplugged?")

    def close(self) -> None:
        self.is_closed = True


def test_a_camera_that_was_unplugged_goes_on_and_its_time_too() -> None:
    opened: list[Fragile] = []
    tries = 0

    def reopen() -> Source:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise SourceError("no camera '0'")
        opened.append(Fragile(5))
        return opened[-1]

    first = Fragile(5)
    source = ReconnectingSource(reopen, first, first_wait_s=0.05)
    times_s = []
    start_s = time.perf_counter()
    for frame in source:
        times_s.append(frame.time_s)
        assert source.trouble == ""
        if len(times_s) == 10:
            break
    # 0.05, 0.1 and 0.2 seconds of waiting before the try that works.
    assert time.perf_counter() - start_s >= 0.35
    assert times_s == sorted(times_s)
    assert times_s[-1] > 0.35
    assert first.is_closed
    source.close()
    assert opened[-1].is_closed


def test_the_run_goes_on_with_the_last_picture_and_a_notice() -> None:
    states: list[str] = []

    class Watching(Sink):
        def write(self, frame: StyledFrame) -> None:
            pass

        def apply(self, state: object) -> None:
            states.append(state.trouble)  # type: ignore[attr-defined]

    source = ReconnectingSource(lambda: Fragile(5), Fragile(5), first_wait_s=0.1)
    result = Result()
    options = PipelineOptions(max_frames=12, stall_s=0.05)
    run_pipeline(source, [PlainStylizer(lambda x: x)], [Watching()], options, result=result)
    assert result.meter.frames == 12
    assert states[0] == ""
    trouble = "camera '0' stopped giving pictures: unplugged?; trying again"
    assert trouble in states, "said while it lasts"
    assert "" in states[states.index(trouble) :], "and taken back"


def test_a_run_that_waits_for_its_camera_can_be_ended() -> None:
    def never() -> Source:
        raise SourceError("no camera '0'")

    source = ReconnectingSource(never, Fragile(3), first_wait_s=60)
    start_s = time.perf_counter()
    run_pipeline(
        source,
        [PlainStylizer(lambda x: x)],
        [open_sink("null")],
        PipelineOptions(duration_s=0.5),
    )
    assert time.perf_counter() - start_s < 5
    assert not any(thread.name == "capture" for thread in threading.enumerate())


def wait_for(what: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


class Broadcaster:
    """Serves an MJPEG stream of one grey on the loopback, until it is cut off."""

    def __init__(self, level: int, port: int = 0) -> None:
        self.sink = WebSink(f"http://127.0.0.1:{port}")
        self.port = int(self.sink.greeting.split(":")[2].split("/")[0])
        self._image = np.full((48, 64, 3), level, np.uint8)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sink.open()
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over.wait(0.03):
            self.sink.write(StyledFrame(self._image, 0.0))

    def cut_off(self) -> None:
        self._is_over.set()
        self._thread.join()
        self.sink.close(failed=False)


def test_an_http_stream_that_is_cut_off_and_brought_back() -> None:
    """For real: `cam` on an MJPEG stream, whose server goes away and comes back."""
    levels: list[int] = []

    class Levels(Sink):
        def write(self, frame: StyledFrame) -> None:
            levels.append(int(frame.image.mean()))

    broadcaster = Broadcaster(50)
    port = broadcaster.port
    source = open_source(f"http://127.0.0.1:{port}/stream", reconnect=True)
    assert source.live
    run = threading.Thread(
        target=run_pipeline,
        args=(source, [PlainStylizer(lambda x: x)], [Levels()]),
        kwargs={"options": PipelineOptions(max_frames=10_000)},
        daemon=True,
    )
    run.start()
    wait_for(lambda: levels)
    broadcaster.cut_off()
    wait_for(lambda: source.trouble)
    seen = len(levels)
    time.sleep(0.2)
    assert len(levels) <= seen + 2, "nothing comes"
    assert run.is_alive(), "the program goes on"
    broadcaster = Broadcaster(200, port)
    wait_for(lambda: levels[-1] > 190)
    assert source.trouble == ""
    source.interrupt()
    broadcaster.cut_off()
    run.join(PATIENCE_S)
    source.close()
    assert not run.is_alive()
    assert abs(levels[0] - 50) < 5


def test_a_stream_that_never_was_is_a_mistake() -> None:
    with pytest.raises(SourceError, match="cannot open"):
        open_source("http://127.0.0.1:1/stream", reconnect=True)


def test_without_pygobject_gst_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> object:
        raise ImportError("No module named 'gi'")

    monkeypatch.setattr(gst, "_import_gst", missing)
    monkeypatch.setattr(gst, "_opencv_has_gstreamer", lambda: False)
    with pytest.raises(MissingExtraError, match=r"edge-style\[gst\]"):
        open_source("gst:videotestsrc")


# Runs where PyGObject is: the system's, which is built for the system's own Python.
GST_PROGRAM = """
import sys, time
from itertools import islice
from edge_style.errors import SourceError
from edge_style.sources import open_source
red = "gst:videotestsrc is-live=true pattern=red ! video/x-raw,width=322,height=240"
with open_source(red + ",framerate=30/1") as source:
    frames = list(islice(source, 10))
    age_s = time.perf_counter() - frames[-1].captured_s
    print(source.live, source.size_px, frames[0].image.shape, frames[5].image[100, 100].tolist())
    print(frames[-1].time_s - frames[0].time_s, age_s)
with open_source("gst:videotestsrc num-buffers=5 ! video/x-raw,width=64,height=48") as source:
    print(len(list(source)))
for wrong in ("nonsense ! x", "videotestsrc ! nonsense", "filesrc location=/missing ! decodebin"):
    try:
        open_source("gst:" + wrong)
    except SourceError as error:
        print("refused", error)
"""


def test_a_gstreamer_pipeline(tmp_path: Path) -> None:
    system = Path("/usr/lib/python3/dist-packages/gi")
    if system.is_dir():
        (tmp_path / "gi").symlink_to(system)  # alone: what lies beside it is not for this Python
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", GST_PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # Continuous integration installs it, for the Python that Debian has.
    must_run = "CI" in os.environ and built_for() == sys.version_info[:2]
    if "edge-style[gst]" in done.stderr and not must_run:
        pytest.skip("no PyGObject with GStreamer for this Python")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().split("\n")
    assert lines[0] == "True (322, 240) (240, 322, 3) [255, 0, 0]"
    seconds, age_s = (float(text) for text in lines[1].split())
    assert 0.2 < seconds < 3
    assert 0 <= age_s < 0.5, "as old as the pipeline's clock says"
    assert lines[2] == "5"
    assert [line.split()[0] for line in lines[3:]] == ["refused"] * 3
    assert "Traceback" not in done.stderr


def built_for() -> tuple[int, ...]:
    """Version of the system's own Python."""
    program = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run(
        ["/usr/bin/python3", "-c", program], capture_output=True, text=True, check=False
    )
    return tuple(int(part) for part in done.stdout.split())


class FakeCamera:
    """A back end of pyvirtualcam, as its documentation asks for."""

    sent: ClassVar[list[np.ndarray]] = []
    is_missing = False

    def __init__(self, *, width: int, height: int, device: str | None, **_: object) -> None:
        if FakeCamera.is_missing:
            raise RuntimeError("no /dev/video10\ndetails")
        self.size_px = (width, height)
        self._device = device or "/dev/video10"

    def close(self) -> None:
        FakeCamera.sent.append(np.zeros(0, np.uint8))

    def send(self, frame: np.ndarray) -> None:
        width, height = self.size_px
        FakeCamera.sent.append(frame.reshape(height, width, 3).copy())

    def device(self) -> str:
        return self._device

    def native_fourcc(self) -> int | None:
        return None


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    import pyvirtualcam.camera

    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {"fake": FakeCamera})
    monkeypatch.setattr(FakeCamera, "sent", [])
    monkeypatch.setattr(FakeCamera, "is_missing", False)
    return FakeCamera


def test_frames_reach_the_virtual_camera(backend: type[FakeCamera]) -> None:
    with open_sink("virtual:/dev/video7", StreamInfo(fps=25)) as sink:
        for level, size in ((10, (48, 64)), (20, (48, 64)), (30, (96, 128))):
            sink.write(StyledFrame(np.full((*size, 3), level, np.uint8), 0.0))
        assert [note.text for note in sink.poll()] == ["virtual camera: /dev/video7"]
    *pictures, closed = backend.sent
    assert [picture.shape for picture in pictures] == [(48, 64, 3)] * 3
    assert [int(picture[20, 30, 0]) for picture in pictures] == [10, 20, 30]
    assert closed.size == 0


def test_a_missing_virtual_camera_says_how_to_get_one(
    backend: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCamera, "is_missing", True)
    monkeypatch.setattr(sys, "platform", "linux")
    sink = open_sink("virtual")
    with pytest.raises(SinkError, match="modprobe v4l2loopback") as caught:
        sink.write(StyledFrame(np.zeros((48, 64, 3), np.uint8), 0.0))
    assert "\n" not in str(caught.value)


def test_without_pyvirtualcam_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_style.sinks import virtual

    monkeypatch.setattr(virtual.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"edge-style\[virtual\]"):
        open_sink("virtual")
