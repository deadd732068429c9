"""One string names any input."""

import http.server
import io
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_style.errors import SourceError
from edge_style.images import write_image
from edge_style.sources import Source, camera, open_source
from edge_style.sources.camera import CameraSource
from edge_style.sources.clip import mask_password

FRAMES = 12
COLOURS = [(20 * index, 255 - 20 * index, 90) for index in range(FRAMES)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames of one colour each, 64x48, 10 frames a second."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for red, green, blue in COLOURS:
        writer.write(np.full((48, 64, 3), (blue, green, red), np.uint8))
    writer.release()
    return path


def frames_of(source: Source) -> list[tuple[float, np.ndarray]]:
    with source:
        return [(frame.time_s, frame.image) for frame in source]


def test_a_clip_gives_every_frame_once_in_rgb_at_its_time(clip: Path) -> None:
    source = open_source(str(clip))
    assert (source.fps, source.size_px, source.frame_count) == (10, (64, 48), FRAMES)
    assert not source.live
    frames = frames_of(source)
    assert [time_s for time_s, _ in frames] == pytest.approx([n / 10 for n in range(FRAMES)])
    for (_, image), colour in zip(frames, COLOURS, strict=True):
        assert image.dtype == np.uint8
        assert image.shape == (48, 64, 3)
        assert np.abs(image.reshape(-1, 3).mean(axis=0) - colour).max() < 6


def noise_clip(container: str, frames: int) -> bytes:
    """A file, 64x48, 25 frames a second, which a little damage hits somewhere."""
    file, noise = io.BytesIO(), np.random.default_rng(0)
    with av.open(file, "w", format=container) as clip:
        track = clip.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "25"})
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for _ in range(frames):
            image = noise.integers(0, 256, (48, 64, 3), np.uint8)
            clip.mux(track.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        clip.mux(track.encode(None))
    return file.getvalue()


def test_a_pattern_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SourceError):
        open_source(str(tmp_path / "a" / "**x.png"))


def test_a_sender_for_one_listener_is_asked_once() -> None:
    stream = noise_clip("mpegts", 200)

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as listening:
            listener.close()  # as ffmpeg with `?listen` does
            with suppress(OSError):  # it has seen enough
                listening.sendall(stream)

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    sender = threading.Thread(target=serve, args=(listener,))
    sender.start()
    with open_source(f"tcp://127.0.0.1:{port}") as source:
        assert source.live
        assert next(iter(source)).image.shape == (48, 64, 3)
    sender.join()


def test_what_lies_behind_damage_in_a_clip_is_read(tmp_path: Path) -> None:
    path, data = tmp_path / "clip.mp4", bytearray(noise_clip("mp4", 100))
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(data)
    times_s = [time_s for time_s, _ in frames_of(open_source(str(path)))]
    assert 90 < len(times_s) < 100
    assert times_s[-1] == pytest.approx(99 / 25)


@pytest.mark.parametrize(
    ("shape", "turned", "size"),
    [
        (Fraction(64, 45), False, (102, 58)),
        (Fraction(64, 45), True, (41, 72)),
        (Fraction(5000), False, (72, 58)),  # nobody's camera: a damaged file
    ],
)
def test_pixels_that_are_not_square_are_made_square(
    tmp_path: Path, shape: Fraction, turned: bool, size: tuple[int, int]
) -> None:
    path = tmp_path / "dv.mp4"
    with av.open(str(path), "w") as made:
        video = made.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 72, 58, "yuv420p"
        video.codec_context.sample_aspect_ratio = shape
        for _ in range(3):
            picture = np.zeros((58, 72, 3), np.uint8)
            picture[:, 36:] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            made.mux(video.encode(frame))
        made.mux(video.encode(None))
    if turned:
        data = path.read_bytes()
        place = data.index(b"tkhd") + 4 + 4 + 36  # its matrix: now a turn by a quarter
        turn = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 58 << 16, 0, 1 << 30)
        path.write_bytes(data[:place] + turn + data[place + 36 :])
    source = open_source(str(path))
    assert source.size_px == size
    frames = frames_of(source)
    assert len(frames) == 3
    image = frames[0][1]
    assert image.shape == (size[1], size[0], 3)
    light = image[40:] if turned else image[:, size[0] // 2 + 3 :]
    assert light.min() > 200


def test_a_clip_at_an_address_plays_like_a_file(clip: Path) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(clip.parent))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        source = open_source(f"http://127.0.0.1:{server.server_port}/{clip.name}")
        assert not source.live
        assert len(frames_of(source)) == FRAMES
    finally:
        server.shutdown()
        server.server_close()


def test_pictures_come_in_the_order_people_number_them(tmp_path: Path) -> None:
    for number, level in ((10, 200), (2, 100), (1, 0)):
        write_image(tmp_path / f"p{number}.png", np.full((20, 30, 3), level, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    for name in (str(tmp_path), str(tmp_path / "*.png"), str(tmp_path / "*")):
        assert [int(image[0, 0, 0]) for _, image in frames_of(open_source(name))] == [0, 100, 200]
    (only,) = frames_of(open_source(str(tmp_path / "p2.png")))
    assert only[1].shape == (20, 30, 3)


def test_the_test_picture_moves_repeats_and_is_cheap() -> None:
    first, again = (
        [frame.image for frame in islice(open_source("test", size_px=(320, 240)), 90)]
        for _ in range(2)
    )
    assert first[0].shape == (240, 320, 3)
    assert len({image.tobytes() for image in first}) == 90, "every frame differs"
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    assert len(np.unique(first[40])) > 100, "no flat pattern"
    costs_ms = []
    for frame in islice(open_source("test"), 60):
        costs_ms.append(frame.capture_ms)
    assert min(costs_ms) < 1


@pytest.mark.parametrize("name", ["97", "/dev/video97", "99999999999999999999"])
def test_no_such_camera(name: str) -> None:
    with pytest.raises(SourceError, match=f"no camera '{name}'"):
        open_source(name)


def test_a_missing_camera_prints_nothing_of_opencvs() -> None:
    program = (
        "from edge_style.sources import open_source\n"
        "try:\n    open_source('97')\nexcept OSError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.startswith("no camera")


def test_a_missing_clip_or_a_text_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such source"):
        open_source(str(tmp_path / "missing.mp4"))
    text = tmp_path / "text.mp4"
    text.write_text("not a clip")
    with pytest.raises(SourceError, match="not a video"):
        open_source(str(text))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_clip_whose_name_is_not_unicode(tmp_path: Path) -> None:
    """OpenCV would crash."""
    clip = tmp_path / os.fsdecode(b"clip\xff.mp4")
    clip.write_bytes(b"anything")
    with pytest.raises(SourceError, match="rename"):
        open_source(str(clip))


def test_a_text_file_prints_nothing_of_ffmpegs(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a clip")
    program = (
        "import sys\nfrom edge_style.sources import open_source\n"
        "try:\n    open_source(sys.argv[1])\nexcept OSError:\n    print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(text)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_an_empty_folder_and_a_glob_without_matches(tmp_path: Path) -> None:
    for name in (str(tmp_path), str(tmp_path / "*.jpg")):
        with pytest.raises(SourceError, match="no pictures"):
            open_source(name)


@pytest.mark.parametrize("name", ["ftp://host/clip.mp4", "gstreamer://x"])
def test_kinds_that_are_not_there_name_those_that_are(name: str) -> None:
    with pytest.raises(SourceError, match=r"camera index.*rtsp.*test"):
        open_source(name)


def test_a_dead_address_is_an_error_without_its_password() -> None:
    with pytest.raises(SourceError) as caught:
        open_source("rtsp://user:secret@127.0.0.1:1/stream")
    assert "secret" not in str(caught.value)
    assert mask_password("http://host/a:b@c") == "http://host/a:b@c"


class FakeDevice:
    """A camera driver that answers with another size and format, and is unplugged after a while."""

    def __init__(
        self,
        lasts: int = 4,
        size_px: tuple[int, int] = (640, 360),
        periods_s: dict[str, float] | None = None,
    ) -> None:
        # Nine frames go by while the rate is measured, and the first one is looked at.
        self.left = lasts + 9 if lasts else 0
        self.periods_s = periods_s or {}
        self.format = "YUYV"
        self.size_px = size_px
        self.asked: list[int] = []
        self.is_released = False

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return not self.is_released

    def set(self, what: int, value: float) -> bool:
        self.asked.append(what)
        if what == cv2.CAP_PROP_FOURCC:
            wanted = int(value).to_bytes(4, "little").decode()
            if self.periods_s:
                if wanted not in self.periods_s:
                    return False
                self.format = wanted
        return True

    def get(self, what: int) -> float:
        code = cv2.VideoWriter.fourcc(*self.format)
        answers = {cv2.CAP_PROP_FPS: 30, cv2.CAP_PROP_FOURCC: code}
        return answers.get(what, 0)

    def grab(self) -> bool:
        self.left -= 1
        time.sleep(self.periods_s.get(self.format, 0))
        return self.left >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        width, height = self.size_px
        return True, np.full((height, width, 3), (30, 20, 10), np.uint8)

    def release(self) -> None:
        self.is_released = True


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDevice]:
    fake = FakeDevice()
    monkeypatch.setattr(camera.cv2, "VideoCapture", lambda *_: fake)
    yield fake
    assert fake.is_released


def test_a_camera_says_what_arrives_and_asks_for_mjpg_where_it_helps(device: FakeDevice) -> None:
    with open_source("0", size_px=(1280, 720)) as source:
        assert source.live
        assert source.size_px == (640, 360)
        assert source.description.startswith("camera 0, 640x360 YUYV, ")
        # Drivers offer sizes per format, so the format has to come first.
        assert device.asked.index(cv2.CAP_PROP_FOURCC) < device.asked.index(
            cv2.CAP_PROP_FRAME_WIDTH
        )
        frame = next(iter(source))
        assert frame.image[0, 0].tolist() == [10, 20, 30]
        assert frame.time_s == 0
        assert abs(frame.captured_s - time.perf_counter()) < 1


@pytest.mark.parametrize(
    ("periods_s", "chosen"),
    [
        ({"YUYV": 0.2, "MJPG": 0.02}, "MJPG"),
        ({"YUYV": 0.1, "MJPG": 0.2}, "YUYV"),
        ({"YUYV": 0.2}, "YUYV"),
        ({"YUYV": 0.02, "MJPG": 0.02}, "YUYV"),
    ],
    ids=["compressed is quicker", "both are slow", "there is one only", "both are quick"],
)
def test_the_format_that_gives_the_frame_rate_is_chosen(
    monkeypatch: pytest.MonkeyPatch, periods_s: dict[str, float], chosen: str
) -> None:
    """The driver states 30 frames a second whatever the format, as drivers do."""
    fake = FakeDevice(lasts=100, periods_s=periods_s)
    monkeypatch.setattr(camera.cv2, "VideoCapture", lambda *_: fake)
    with open_source("0") as source:
        assert fake.format == chosen
        assert f"640x360 {chosen}, " in source.description
        measured = float(source.description.split(", ")[2].split()[0])
    period_s = periods_s[chosen]
    assert 0.4 / period_s < measured <= 1 / period_s


def test_an_unplugged_camera_is_an_error_after_its_last_frame(device: FakeDevice) -> None:
    with CameraSource("0") as source:
        frames = iter(source)
        assert len(list(islice(frames, 3))) == 3
        with pytest.raises(SourceError, match="unplugged"):
            next(frames)


def test_a_camera_without_pictures_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDevice(lasts=0)
    monkeypatch.setattr(camera.cv2, "VideoCapture", lambda *_: fake)
    with pytest.raises(SourceError, match="another program"):
        open_source("0")
    assert fake.is_released
