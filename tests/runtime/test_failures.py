"""Every thread may fail: the show then ends with that error, closes its files, and leaves nothing.

The pipeline's own threads are tested on fakes in `test_pipeline.py`; here real outputs take part.
"""

import http.client
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_style.controls import Command, Controls, Notice, ShowState
from edge_style.errors import SinkError, SourceError
from edge_style.pipeline import PipelineOptions, PlainStylizer, Result, run_pipeline
from edge_style.sinks import KeeperSink, Sink, StreamInfo, StyledFrame, open_sink
from edge_style.sources import Frame, Source, open_source

pytestmark = pytest.mark.timeout(60)
OURS = {"capture", "inference", "web-server", "web-encoder"}


class Broken(Source):
    """A camera that is unplugged after some frames."""

    live = True
    fps = 100.0
    description = "camera 0"

    def __iter__(self) -> Iterator[Frame]:
        rng = np.random.default_rng(0)
        for index in range(30):
            time.sleep(0.005)
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            yield Frame(image, index / 100, time.perf_counter())
        raise SourceError("camera '0' stopped giving pictures: unplugged?")


def out_of_memory_after(frames: int) -> PlainStylizer:
    left = iter(range(frames))

    def function(image: np.ndarray) -> np.ndarray:
        if next(left, None) is None:
            raise RuntimeError("out of memory")
        return image

    return PlainStylizer(function, "broken")


class Failing(Sink):
    """A device that breaks down after some frames."""

    def __init__(self, frames: int) -> None:
        self._left = frames

    def write(self, _frame: StyledFrame) -> None:
        self._left -= 1
        if self._left < 0:
            raise SinkError("the device is gone")


def run_all(
    folder: Path,
    source: Source,
    stylizer: PlainStylizer,
    *more: Sink,
    viewer: Callable[[int], None] | None = None,
) -> Result:
    """Run with a recording, a browser's page and a keeper; see that nothing is left behind."""
    result = Result()
    stream = StreamInfo(fps=30)
    web = open_sink("http://127.0.0.1:0")
    sinks = [open_sink(str(folder / "out.mp4"), stream), web, KeeperSink(folder, stream), *more]
    threads = []
    try:
        with ExitStack() as stack:
            for sink in sinks:
                stack.enter_context(sink)
            if viewer is not None:
                port = int(web.greeting.split(":")[2].split("/")[0])
                threads.append(threading.Thread(target=viewer, args=(port,)))
                threads[0].start()
            options = PipelineOptions(controls=Controls(is_recording=True), duration_s=20)
            run_pipeline(source, [stylizer], sinks, options, result=result)
    finally:
        for thread in threads:
            thread.join(20)
        assert not {thread.name for thread in threading.enumerate()} & OURS
        assert not any(thread.is_alive() for thread in threads), "viewers are let go"
    return result


def watch(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    while answer.read(4096):
        pass
    connection.close()


def is_playable(path: Path) -> bool:
    return bool(cv2.VideoCapture(str(path)).read()[0])


def assert_recordings_are_kept(folder: Path) -> None:
    recordings = list(folder.glob("*.mp4"))
    assert len(recordings) == 2, "the output, and what the keeper recorded"
    assert all(is_playable(path) for path in recordings)
    assert not list(folder.glob(".*")), "no parts"


def test_a_source_that_raises(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="unplugged"):
        run_all(tmp_path, Broken(), PlainStylizer(lambda image: image), viewer=watch)
    assert_recordings_are_kept(tmp_path)


def test_a_network_that_raises(tmp_path: Path) -> None:
    source = open_source("test", size_px=(64, 48))
    with pytest.raises(RuntimeError, match="out of memory"):
        run_all(tmp_path, source, out_of_memory_after(10), viewer=watch)
    assert_recordings_are_kept(tmp_path)


def test_a_sink_that_raises(tmp_path: Path) -> None:
    source = open_source("test", size_px=(64, 48))
    with pytest.raises(SinkError, match="device is gone"):
        run_all(tmp_path, source, PlainStylizer(lambda image: image), Failing(10), viewer=watch)
    assert_recordings_are_kept(tmp_path)


def test_a_window_that_is_closed(tmp_path: Path) -> None:
    class Closed(Sink):
        frames = 0

        def write(self, _frame: StyledFrame) -> None:
            self.frames += 1

        def poll(self) -> list[Command | Notice]:
            return [Command("quit")] if self.frames >= 10 else []

    source = open_source("test", size_px=(64, 48))
    stylizer = PlainStylizer(lambda image: image)
    result = run_all(tmp_path, source, stylizer, Closed(), viewer=watch)
    assert result.meter.frames >= 9
    assert_recordings_are_kept(tmp_path)


def test_a_full_disk_ends_a_recording_by_key_but_not_the_show(tmp_path: Path) -> None:
    """As the encoder meets it: no file may grow beyond a limit."""
    said: list[str] = []

    class Listening(Sink):
        def write(self, frame: StyledFrame) -> None:
            pass

        def apply(self, state: ShowState) -> None:
            if state.notice:
                said.append(state.notice)

    rng = np.random.default_rng(0)
    stylizer = PlainStylizer(lambda image: rng.integers(0, 256, image.shape, dtype=np.uint8))
    keeper = KeeperSink(tmp_path, StreamInfo(fps=30))
    options = PipelineOptions(
        pace=False, drop=False, max_frames=150, controls=Controls(is_recording=True)
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with keeper:
            source = open_source("test", size_px=(320, 240))
            result = run_pipeline(source, [stylizer], [keeper, Listening()], options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.meter.frames == 150
    assert not result.controls.is_recording
    assert any(line.startswith("not recorded: cannot write") for line in said), said
    (recording,) = tmp_path.glob("*.mp4")
    assert is_playable(recording), "as far as it came"


def test_a_snapshot_that_cannot_be_saved_is_no_end(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    keeper = KeeperSink(folder, StreamInfo())
    folder.rmdir()
    keeper.write(StyledFrame(np.zeros((16, 16, 3), np.uint8), 0.0, style="starry"))
    keeper.apply(ShowState(Controls(snapshots=1)))
    (notice,) = keeper.poll()
    assert isinstance(notice, Notice)
    assert notice.text.startswith("not saved: ")


def test_a_folder_in_which_nothing_need_be_saved_may_be_missing(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    with pytest.raises(SinkError, match="snapshots: "):
        KeeperSink(folder, StreamInfo())
    keeper = KeeperSink(folder, StreamInfo(), is_needed=False)
    keeper.write(StyledFrame(np.zeros((16, 16, 3), np.uint8), 0.0))
    keeper.apply(ShowState(Controls(is_recording=True)))
    keeper.write(StyledFrame(np.zeros((16, 16, 3), np.uint8), 0.1))
    said = keeper.poll()
    assert isinstance(said[0], Notice)
    assert said[0].text.startswith("not recorded: ")
    assert said[1] == Command("record", 0)


def test_a_style_with_a_long_name_can_be_kept(tmp_path: Path) -> None:
    keeper = KeeperSink(tmp_path, StreamInfo())
    style = "\u753b" * 100
    keeper.apply(ShowState(Controls(snapshots=1, is_recording=True)))
    with keeper:
        keeper.write(StyledFrame(np.zeros((16, 16, 3), np.uint8), 0.0, style=style))
    said = [line.text for line in keeper.poll() if isinstance(line, Notice)]
    assert not [line for line in said if line.startswith("not ")]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".mp4", ".png"]
    assert all(style[:26] in path.name for path in tmp_path.iterdir())


def test_a_sink_that_raises_while_it_is_told_of_a_change(tmp_path: Path) -> None:
    class Touchy(Sink):
        def write(self, frame: StyledFrame) -> None:
            pass

        def apply(self, state: ShowState) -> None:
            if state.controls.is_mirrored:
                raise SinkError("not like that")

        def poll(self) -> list[Command | Notice]:
            return [Command("mirror", 1)]

    source = open_source("test", size_px=(64, 48))
    with pytest.raises(SinkError, match="not like that"):
        run_all(tmp_path, source, PlainStylizer(lambda image: image), Touchy())
