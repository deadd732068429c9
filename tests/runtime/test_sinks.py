"""One string names any output, and nothing half-written is left."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_style.errors import SinkError
from edge_style.images import read_image
from edge_style.sinks import Sink, StreamInfo, StyledFrame, conversion, open_sink, video
from edge_style.sinks.overlay import draw_lines

NTSC_FPS = 30000 / 1001
CONVERSION = StreamInfo(fps=NTSC_FPS, recording=False)


def without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (video, conversion):
        monkeypatch.setattr(module, "has_pyav", lambda: False)


@pytest.fixture(params=["pyav", "opencv"])
def encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With PyAV and without it."""
    if request.param == "opencv":
        without_pyav(monkeypatch)
    return str(request.param)


def picture(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    image = np.full((height, width, 3), (200, 60, 20), np.uint8)
    image[:, : (index * 3) % width] = (20, 90, 200)
    return image


def write_frames(sink: Sink, count: int, fps: float = NTSC_FPS, **size: int) -> None:
    with sink:
        for index in range(count):
            sink.write(StyledFrame(picture(index, **size), index / fps))


def read_clip(path: Path) -> tuple[list[np.ndarray], float]:
    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    while True:
        arrived, image = capture.read()
        if not arrived:
            return frames, fps
        frames.append(image[..., ::-1])


@pytest.mark.parametrize("suffix", video.VIDEO_SUFFIXES)
@pytest.mark.parametrize("stream", [CONVERSION, StreamInfo(fps=NTSC_FPS)], ids=["clip", "live"])
def test_every_frame_arrives_at_the_frame_rate_in_its_colours(
    tmp_path: Path, encoder: str, suffix: str, stream: StreamInfo
) -> None:
    path = tmp_path / f"out{suffix}"
    write_frames(open_sink(str(path), stream), 20)
    frames, fps = read_clip(path)
    assert len(frames) == 20
    assert fps == pytest.approx(NTSC_FPS, rel=2e-3)
    assert np.abs(frames[10][24, 50].astype(int) - (200, 60, 20)).max() < 16
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_odd_sizes_gain_a_pixel(tmp_path: Path, encoder: str, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_frames(open_sink(str(path)), 5, width=67, height=45)
    frames, _ = read_clip(path)
    assert frames[0].shape == (46, 68, 3)


def test_mp4_is_what_every_player_takes(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    write_frames(open_sink(str(path), CONVERSION), 31)
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == Fraction(30000, 1001)
        assert float(clip.duration or 0) / 1e6 == pytest.approx(31 / NTSC_FPS, abs=2e-3)


def test_a_recording_keeps_the_moments_frames_came_at(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "out.mp4"
    with open_sink(str(path), StreamInfo(fps=10)) as sink:
        for index in (7, 8, 12):  # counted from the first one; three are missing
            sink.write(StyledFrame(picture(index), index / 10))
    with av.open(str(path)) as clip:
        times_s = [frame.time for frame in clip.decode(video=0)]
        assert clip.duration is not None
        assert clip.duration / 1e6 == pytest.approx(0.6, abs=0.01)
    assert times_s[0] == 0
    assert times_s[-1] == pytest.approx(0.5)


def test_frames_behind_a_long_gap_do_not_stand_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pyav(monkeypatch)
    path = tmp_path / "out.avi"
    with open_sink(str(path), StreamInfo(10)) as sink:
        for time_s in (0.0, 60.0, 60.1, 60.2):
            sink.write(StyledFrame(picture(0), time_s))
    assert len(read_clip(path)[0]) == 1 + 100 + 2, "ten seconds of the gap, then frame by frame"


def test_a_recording_is_playable_while_it_grows(tmp_path: Path) -> None:
    with open_sink(str(tmp_path / "out.mp4"), StreamInfo(fps=10)) as sink:
        for index in range(35):
            sink.write(StyledFrame(picture(index), index / 10))
        (growing,) = tmp_path.iterdir()
        with av.open(str(growing)) as clip:
            assert len(list(clip.decode(video=0))) >= 20


def test_frames_of_another_size_are_fitted_in(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with open_sink(str(path)) as sink:
        sink.write(StyledFrame(np.full((48, 64, 3), 200, np.uint8), 0.0))
        sink.write(StyledFrame(np.full((96, 64, 3), 200, np.uint8), 1.0))
    frames, _ = read_clip(path)
    assert frames[1].shape == (48, 64, 3)
    assert frames[1][24, 32, 0] > 180
    assert frames[1][24, 4, 0] < 40, "black bars"


def write_clip_with_sound(path: Path, codec: str) -> None:
    with av.open(str(path), "w") as clip:
        picture_track = clip.add_stream("libx264", rate=10)
        picture_track.width, picture_track.height = 64, 48
        picture_track.pix_fmt = "yuv420p"
        sound_track = clip.add_stream(codec, rate=44100)
        times = np.arange(44100) / 44100
        tone = (np.sin(2 * np.pi * 440 * times) * 0.5).astype(np.float32)[None]
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            clip.mux(picture_track.encode(frame))
        for start in range(0, 44100, 4410):
            sound = av.AudioFrame.from_ndarray(
                tone[:, start : start + 4410], format="fltp", layout="mono"
            )
            sound.rate, sound.pts = 44100, start
            clip.mux(sound_track.encode(sound))
        clip.mux(sound_track.encode(None))
        clip.mux(picture_track.encode(None))


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".webm", "opus"), (".avi", "aac")])
def test_a_conversion_keeps_the_sound(tmp_path: Path, suffix: str, codec: str) -> None:
    source = tmp_path / "source.mp4"
    write_clip_with_sound(source, "aac")
    path = tmp_path / f"out{suffix}"
    write_frames(open_sink(str(path), StreamInfo(10, recording=False, clip=source)), 10, fps=10)
    with av.open(str(path)) as clip:
        assert clip.streams.audio[0].codec_context.name.removeprefix("lib") == codec
        samples = np.concatenate(
            [frame.to_ndarray().mean(axis=0) for frame in clip.decode(audio=0)]
        )
        rate_hz = clip.streams.audio[0].rate
    assert len(samples) / rate_hz == pytest.approx(1, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[:rate_hz]))
    loudest_hz = np.argmax(spectrum) * rate_hz / len(samples[:rate_hz])
    assert loudest_hz == pytest.approx(440, abs=5)
    frames, _ = read_clip(path)
    assert len(frames) == 10


@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize(
    ("source", "codec", "target", "is_copied"),
    [
        # What a muxer refuses although it knows the codec: by the header, by the first packet.
        ("ac3.mkv", "ac3", ".mp4", {True: False, False: True}),
        ("aac.ts", "aac", ".mov", {True: False, False: True}),
        ("pcm.avi", "pcm_s16le", ".mp4", {True: False, False: False}),
        ("aac.ts", "aac", ".avi", {True: False, False: False}),
    ],
)
def test_sound_that_the_target_does_not_take_as_it_is(
    tmp_path: Path,
    source: str,
    codec: str,
    target: str,
    is_copied: dict[bool, bool],
    recording: bool,
) -> None:
    clip, path = tmp_path / source, tmp_path / f"out{target}"
    write_clip_with_sound(clip, codec)
    sink = open_sink(str(path), StreamInfo(10, recording=recording, clip=clip))
    write_frames(sink, 10, fps=10)
    assert bool(sink.notes) != is_copied[recording]
    with av.open(str(path)) as made:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in made.decode(audio=0)])
        rate_hz = made.streams.audio[0].rate
    assert len(samples) / rate_hz == pytest.approx(1, abs=0.12)
    spectrum = np.abs(np.fft.rfft(samples[: rate_hz // 2].astype(float)))
    assert np.argmax(spectrum) * 2 == pytest.approx(440, abs=5)
    assert len(read_clip(path)[0]) == 10


def test_without_pyav_the_missing_sound_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pyav(monkeypatch)
    source = tmp_path / "source.mp4"
    write_clip_with_sound(source, "aac")
    sink = open_sink(str(tmp_path / "out.mp4"), StreamInfo(10, recording=False, clip=source))
    assert "edge-style[video]" in sink.notes[0]


def test_the_clip_that_is_read_is_not_overwritten(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"precious")
    for recording in (True, False):
        with pytest.raises(SinkError, match="another name"):
            open_sink(str(clip), StreamInfo(10, recording=recording, clip=clip))
    assert clip.read_bytes() == b"precious"


def test_a_broken_conversion_leaves_nothing(tmp_path: Path, encoder: str) -> None:
    (tmp_path / "out.mp4").write_bytes(b"from before")
    sink = open_sink(str(tmp_path / "out.mp4"), CONVERSION)
    with pytest.raises(KeyboardInterrupt):
        write_frames_and_fail(sink)
    assert [item.name for item in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"from before"


def test_a_recording_is_kept_whatever_ended_it(tmp_path: Path, encoder: str) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        write_frames_and_fail(open_sink(str(path), StreamInfo(fps=10)))
    assert len(read_clip(path)[0]) == 5
    assert [item.name for item in tmp_path.iterdir()] == ["out.mp4"]


def write_frames_and_fail(sink: Sink) -> None:
    with sink:
        for index in range(5):
            sink.write(StyledFrame(picture(index), index / 10))
        raise KeyboardInterrupt


def test_no_frames_no_file(tmp_path: Path, encoder: str) -> None:
    with open_sink(str(tmp_path / "out.mp4")):
        pass
    assert list(tmp_path.iterdir()) == []


@contextmanager
def small_disk(limit_bytes: int) -> Iterator[None]:
    """No file may grow beyond this, which the encoder meets as it would meet a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(sink: Sink) -> None:
    noise = np.random.default_rng(0)
    with sink:
        for index in range(60):
            image = noise.integers(0, 256, (240, 320, 3), dtype=np.uint8)
            sink.write(StyledFrame(image, index / 10))


def test_a_full_disk_ends_a_conversion_and_leaves_nothing(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "out.mp4"), CONVERSION)
    with small_disk(300_000), pytest.raises(SinkError, match=r"cannot write .*out\.mp4"):
        fill(sink)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_a_recording_which_is_playable_as_far_as_it_came(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "out.mp4"), StreamInfo(fps=10))
    with small_disk(2_000_000), pytest.raises(SinkError, match=r"cannot write .*out\.mp4"):
        fill(sink)
    assert len(read_clip(tmp_path / "out.mp4")[0]) >= 10


def test_numbered_pictures_and_folders(tmp_path: Path) -> None:
    write_frames(open_sink(str(tmp_path / "out_%03d.png")), 2)
    write_frames(open_sink(str(tmp_path)), 1)
    names = sorted(item.name for item in tmp_path.iterdir())
    assert names == ["frame_000001.png", "out_001.png", "out_002.png"]
    assert (read_image(tmp_path / "out_002.png") == picture(1)).all()


def test_what_is_drawn_anew_in_a_pause_is_no_frame(tmp_path: Path) -> None:
    with open_sink(str(tmp_path)) as sink:
        sink.write(StyledFrame(picture(0), 0.0))
        sink.write(StyledFrame(picture(1), 0.0, is_repeat=True))
    assert [path.name for path in tmp_path.iterdir()] == ["frame_000001.png"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing/out.mp4", "does not exist"),
        ("missing/out_%d.png", "does not exist"),
        ("missing/", "does not exist"),
        ("out.png", "out_%04d.png"),
        ("out_%d_%d.png", "number them"),
        ("out.doc", "--output takes window"),
        (f"{'long' * 60}.mp4", "too long a name"),
        ("rtsp://0.0.0.0:8080", "--output takes window"),
        ("http://localhost:8080/x", "http://HOST:PORT"),
        ("http://localhost:x", "http://HOST:PORT"),
        ("http://", "http://HOST:PORT"),
    ],
)
def test_mistakes_are_said_before_any_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SinkError) as caught:
        open_sink(name)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_codec_is_said_before_any_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_style.sinks import av_writer

    monkeypatch.setattr(av_writer, "_H264", ("libmissing264",))
    with pytest.raises(SinkError, match="libmissing264"):
        open_sink(str(tmp_path / "out.mp4"))
    without_pyav(monkeypatch)
    monkeypatch.setattr(cv2.VideoWriter, "isOpened", lambda _: False)
    with pytest.raises(SinkError, match=r"edge-style\[video\]"):
        open_sink(str(tmp_path / "out.mp4"))
    assert list(tmp_path.iterdir()) == []


def test_figures_are_readable_on_any_picture() -> None:
    for level in (0, 128, 255):
        image = np.full((120, 160, 3), level, np.uint8)
        draw_lines(image, ["30.0 fps  12 ms  a-style-with-a-long-name  tensorrt", "paused"])
        letters = (image >= 250).all(axis=2)
        around = (image <= 5).all(axis=2)
        assert letters.any()
        assert around.any()
        assert not letters[60:].any() or level == 255, "the picture stays free"
