"""Clips that survive: killed recordings, sound as it was, conversions that go on."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edge_style import cli
from edge_style.sinks import ConversionSink, StreamInfo, StyledFrame, open_sink

MODELS = Path(__file__).parents[1] / "data" / "models"
NEGATIVE = ["--model", str(MODELS / "negative.onnx"), "--provider", "cpu"]
FPS = 10
FRAMES = 140

# Records what happens now, a frame each 50 ms, and says what it has handed over.
RECORDER = """
import sys, time
import numpy as np
from pathlib import Path
from edge_style.sinks import StreamInfo, StyledFrame, open_sink
sink = open_sink(sys.argv[1], StreamInfo(fps=30))
sink.open()
start_s = time.perf_counter()
while True:
    time_s = time.perf_counter() - start_s
    # Nearly nothing happens: muxers like to keep little back until there is more.
    image = np.full((96, 128, 3), 90, np.uint8)
    image[:8, : int(20 * time_s) % 128] = 200
    sink.write(StyledFrame(image, time_s))
    print(time_s, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
def test_a_killed_recording_is_playable_up_to_its_last_second(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    recorder = subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert recorder.stdout is not None
    given_s: list[float] = []
    for line in recorder.stdout:
        given_s.append(float(line))
        if given_s[-1] - given_s[0] > 3.3:
            recorder.send_signal(signal.SIGKILL)
            break
    given_s += [float(line) for line in recorder.stdout]  # before the signal arrived
    recorder.wait()
    assert list(tmp_path.iterdir()) == [path], "under its final name"
    with av.open(str(path)) as clip:
        times_s = [frame.time for frame in clip.decode(video=0) if frame.time is not None]
    # What was given in the last second, or is the last frame where a second had none.
    assert given_s[-2] - given_s[0] - times_s[-1] <= 1.0
    expected_s = [time_s - given_s[0] for time_s in given_s[: len(times_s)]]
    assert times_s == pytest.approx(expected_s, abs=2e-3), "no hole in it"


# Records moments of its own, 20 frames a second, and is killed behind the last one.
KILLED = """
import os, signal, sys
import numpy as np
from edge_style.sinks import StreamInfo, StyledFrame, open_sink
sink = open_sink(sys.argv[1], StreamInfo(fps=20))
sink.open()
rng = np.random.default_rng(0)
for index in range(int(sys.argv[2])):
    sink.write(StyledFrame(rng.integers(0, 256, (96, 128, 3), np.uint8), index / 20))
os.kill(os.getpid(), signal.SIGKILL)
"""
FRAGMENT_FRAMES = 10  # half a second


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
@pytest.mark.parametrize("frames", [61, 69, 75, 79])
def test_a_killed_recording_loses_its_last_half_second_at_most(
    tmp_path: Path, suffix: str, frames: int
) -> None:
    """Whatever the place among the keyframes, of which there is one a second."""
    path = tmp_path / f"out{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(frames)], check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    with av.open(str(path)) as clip:
        times_s = [frame.time for frame in clip.decode(video=0)]
    assert times_s == pytest.approx([n / 20 for n in range(len(times_s))], abs=2e-3)
    assert frames - FRAGMENT_FRAMES <= len(times_s) <= frames


def level(index: int) -> int:
    """Grey of a frame of the clip."""
    return 230 - 8 * (index % 24)


def write_clip(path: Path, frames: int = FRAMES, *, has_sound: bool = True, **options: str) -> None:
    """A clip of a picture that gets darker, with a tone in AAC; options are the video encoder's."""
    with av.open(str(path), "w") as clip:
        video = clip.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = clip.add_stream("aac", rate=44100) if has_sound else None
        for index in range(frames):
            image = np.full((48, 64, 3), level(index), np.uint8)
            clip.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for start in range(0, 44100 * frames // FPS, 1024) if sound is not None else ():
            times = np.arange(start, start + 1024) / 44100
            tone = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)[None]
            part = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            part.rate, part.pts = 44100, start
            clip.mux(sound.encode(part))
        if sound is not None:
            clip.mux(sound.encode(None))
        clip.mux(video.encode(None))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    write_clip(path)
    return path


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, errors = capfd.readouterr()
        return int(str(ended.value.code)), out, errors

    return run


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def duration_s(path: Path) -> float:
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / 1e6


def levels(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [
            float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_sounds_packets_are_copied(
    command: Command, clip: Path, tmp_path: Path, suffix: str
) -> None:
    output = tmp_path / f"out{suffix}"
    status, _, errors = command("video", clip, *NEGATIVE, "-o", output)
    assert status == 0, errors
    assert sound_packets(output) == sound_packets(clip)
    assert duration_s(output) == pytest.approx(duration_s(clip), abs=0.03)
    assert len(levels(output)) == len(levels(clip)) == FRAMES
    assert "anew" not in errors
    assert sound_starts_s(output) == pytest.approx(sound_starts_s(clip), abs=2e-3)


def test_a_whole_matroska_file_lacks_nothing(command: Command, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"  # it states no number of frames, OpenCV makes one up
    with av.open(str(clip), "w") as made:
        video = made.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(8):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = index * (1 + index), Fraction(1, FPS)
            made.mux(video.encode(frame))
        made.mux(video.encode(None))
    status, _, errors = command("video", clip, *NEGATIVE, "-o", tmp_path / "out.mkv")
    assert status == 0, errors
    assert len(levels(tmp_path / "out.mkv")) == 8
    assert "could be decoded" not in errors


def sound_starts_s(path: Path) -> list[float]:
    """When each packet of the sound begins, counted from the first frame."""
    with av.open(str(path)) as container:
        zero_s = next(container.decode(video=0)).time
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [float(packet.pts * packet.time_base) - zero_s for packet in packets]


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_of_a_broadcast_that_was_cut_anywhere(
    command: Command, tmp_path: Path, suffix: str
) -> None:
    """It begins with packets that refer to a frame before the cut: no frames come of them."""
    whole, cut = tmp_path / "whole.ts", tmp_path / "cut.ts"
    write_clip(whole, frames=60, g="20", keyint_min="20", sc_threshold="0", bf="0")
    with av.open(str(whole)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    cut.write_bytes(whole.read_bytes()[places[8] // 188 * 188 :])
    with av.open(str(cut)) as container:
        first_s = float(next(container.decode(video=0)).time)
        sound_s = [frame.time for frame in container.decode(audio=0)]
    output = tmp_path / f"out{suffix}"
    status, _, errors = command("video", cut, *NEGATIVE, "-o", output)
    assert status == 0, errors
    assert len(levels(output)) == 40
    expected_s = sound_s[-1] - first_s
    assert sound_starts_s(output)[-1] == pytest.approx(expected_s, abs=0.03)
    assert -0.1 < sound_starts_s(output)[0] < 0.05


def test_webm_gets_opus_and_it_is_said(command: Command, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.webm"
    status, _, errors = command("video", clip, *NEGATIVE, "-o", output)
    assert status == 0, errors
    assert "encoded anew, as opus" in errors
    assert duration_s(output) == pytest.approx(duration_s(clip), abs=0.1)
    with av.open(str(output)) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
    assert len(levels(output)) == FRAMES


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("how", ["video", "cam"])
def test_damaged_sound_is_left_out_and_said(
    command: Command, clip: Path, tmp_path: Path, how: str, suffix: str
) -> None:
    with av.open(str(clip)) as container:
        places = [(p.pos, p.size) for p in container.demux(audio=0) if p.size][20:26:2]
    data = bytearray(clip.read_bytes())
    for place, size in places:
        data[place : place + size] = b"\xa5" * size
    clip.write_bytes(data)
    output = tmp_path / f"out{suffix}"
    arguments = ["--source", clip, "--no-pace", "--output", output] if how == "cam" else []
    arguments = arguments or [clip, "--output", output]
    status, _, errors = command(how, *NEGATIVE, *arguments)
    assert status == 0, errors
    assert ("parts of the sound are damaged" in errors) == (suffix == ".webm")
    assert len(levels(output)) == FRAMES
    assert len(sound_packets(output)) > 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", output.name]


def test_a_recorded_clip_keeps_its_sound_too(command: Command, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    arguments = ["--source", clip, "--output", output, "--max-frames", 20, "--no-pace"]
    status, _, errors = command("cam", *NEGATIVE, *arguments)
    assert status == 0, errors
    copied, whole = sound_packets(output), sound_packets(clip)
    assert copied == whole[: len(copied)]
    # Up to where the pictures end, and no further.
    assert len(copied) == pytest.approx(2.0 * 44100 / 1024, abs=2)


def stop_after(count: int) -> str:
    """A program that runs `edge-style` and is killed in the middle of a conversion."""
    return (
        "import os, signal, sys\n"
        "from edge_style import cli\n"
        "from edge_style.sinks import ConversionSink\n"
        "how = sys.argv.pop(1)\n"
        "write, calls = ConversionSink.write, iter(range(1000))\n"
        "def stop(self, frame):\n"
        "    write(self, frame)\n"
        f"    if next(calls) == {count}: os.kill(os.getpid(), getattr(signal, how))\n"
        "ConversionSink.write = stop\n"
        "cli.main(sys.argv[1:])\n"
    )


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_conversion_that_was_cut_short_goes_on(
    command: Command, clip: Path, tmp_path: Path, how: str, suffix: str
) -> None:
    output = tmp_path / f"out{suffix}"
    arguments = ["video", str(clip), *NEGATIVE, "-o", str(output)]
    # Twice, so that three runs make the clip.
    for stops_at in (100, 20):
        done = subprocess.run(
            [sys.executable, "-c", stop_after(stops_at), how, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == {"SIGKILL": -9, "SIGINT": 130}[how], done.stderr
        assert not output.exists()
        if how == "SIGINT":
            assert "goes on from there" in done.stderr
    status, out, errors = command(*arguments, "--json")
    assert status == 0, errors
    assert "of an earlier run" in errors
    assert json.loads(out)["frames"] <= FRAMES - 40, "and not from the start"
    found = levels(output)
    assert len(found) == FRAMES
    assert found == pytest.approx([255 - level(n) for n in range(FRAMES)], abs=5)
    with av.open(str(output)) as made:
        times_s = [frame.time for frame in made.decode(video=0)]
    assert times_s == pytest.approx([n / FPS for n in range(FRAMES)], abs=2e-3)
    assert len(sound_packets(output)) > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", output.name]


def test_the_style_of_the_first_frame_lasts_beyond_a_cut(command: Command, tmp_path: Path) -> None:
    clip, output = tmp_path / "clip.mp4", tmp_path / "out.mp4"
    write_clip(clip, frames=60, has_sound=False)
    network = ["--model", str(MODELS / "any.onnx"), "--style", "frame", "--provider", "cpu"]
    arguments = ["video", str(clip), *network, "-o", str(output)]
    done = subprocess.run(
        [sys.executable, "-c", stop_after(50), "SIGKILL", *arguments], check=False, timeout=60
    )
    assert done.returncode == -9
    status, _, errors = command(*arguments)
    assert status == 0, errors
    assert "of an earlier run" in errors
    found = levels(output)
    assert len(found) == 60
    assert found == pytest.approx([found[0]] * 60, abs=5)


def test_a_folder_of_clips(command: Command, tmp_path: Path) -> None:
    clips, done = tmp_path / "clips", tmp_path / "done"
    clips.mkdir()
    done.mkdir()
    for name in ("b.mp4", "a.mp4"):
        write_clip(clips / name, frames=5, has_sound=False)
    (clips / "notes.txt").write_text("no clip")
    (clips / "broken.mkv").write_text("no clip either")
    (done / "b-negative.mp4").write_bytes(b"from before")
    status, out, errors = command("video", clips, *NEGATIVE, "-o", done, "--json")
    assert status == 2, "one could not be converted"
    assert errors.strip().split("\n")[-1] == "error: 1 of 3 clips could not be converted"
    report = json.loads(out)
    assert [Path(one["output"]).name for one in report["results"]] == ["a-negative.mp4"]
    assert report["results"][0]["frames"] == 5
    assert [Path(name).name for name in report["failed"]] == ["broken.mkv"]
    assert len(levels(done / "a-negative.mp4")) == 5
    assert (done / "b-negative.mp4").read_bytes() == b"from before"
    assert sorted(path.name for path in done.iterdir()) == ["a-negative.mp4", "b-negative.mp4"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["empty", "-o", "done/"], "no clips in 'empty'"),
        (["full", "-o", "out.mp4"], "need a folder"),
        (["full/a.mp4", "full/b.mp4", "-o", "out.mp4"], "need a folder"),
        (["full", "full/a.mp4", "-o", "done"], "same name"),
        (["full", "-o", "missing/"], "does not exist"),
        (["full/a.mp4", "kept/a-negative.mp4", "-o", "kept"], "among what is to be read"),
        (["kept", "-o", "kept"], "among what is to be read"),
    ],
)
def test_mistakes_with_folders(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "full", "done", "kept"):
        Path(folder).mkdir()
    for name in ("full/a.mp4", "full/b.mp4", "kept/a.mp4", "kept/a-negative.mp4"):
        Path(name).write_bytes(b"")
    status, _, errors = command("video", *arguments, *NEGATIVE)
    assert status == 2
    assert says in errors


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_parts_are_joined_where_frames_get_farther_apart(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    stream = StreamInfo(30, recording=False, job="one")

    def convert(times_s: Sequence[float], *, breaks_off: bool) -> None:
        sink = open_sink(str(path), stream)
        assert isinstance(sink, ConversionSink)
        with sink:
            for index in range(sink.frames_done, len(times_s)):
                image = np.full((48, 64, 3), 90, np.uint8)
                image[:, index % 56 : index % 56 + 8] = 255  # so that there are B-frames
                sink.write(StyledFrame(image, times_s[index]))
            if breaks_off:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert([index / 30 for index in range(75)], breaks_off=True)
    seam = ConversionSink(path, stream).frames_done
    assert seam > 20
    times_s = [min(index, seam - 1) / 30 + max(0, index - seam + 1) / 5 for index in range(90)]
    convert(times_s, breaks_off=False)
    with av.open(str(path)) as clip:
        found_s = [frame.time for frame in clip.decode(video=0)]
    assert found_s == pytest.approx(times_s, abs=0.002)


def test_parts_of_another_job_are_not_used(tmp_path: Path) -> None:
    def sink(job: str) -> ConversionSink:
        made = open_sink(str(tmp_path / "out.mp4"), StreamInfo(FPS, recording=False, job=job))
        assert isinstance(made, ConversionSink)
        return made

    def write(target: ConversionSink, first: int, frames: int) -> None:
        for index in range(first, first + frames):
            image = np.full((48, 64, 3), 4 * index, np.uint8)
            target.write(StyledFrame(image, index / FPS))

    def break_off(target: ConversionSink) -> None:
        with target:
            write(target, 0, 50)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off(sink("one"))
    assert sink("one").frames_done >= 20
    assert sink("other").frames_done == 0
    assert list(tmp_path.iterdir()) == [], "nobody wants them any more"


def test_a_broken_conversion_that_is_too_short_leaves_nothing(tmp_path: Path) -> None:
    def break_off() -> None:
        with open_sink(str(tmp_path / "out.mp4"), StreamInfo(FPS, recording=False)) as sink:
            sink.write(StyledFrame(np.zeros((48, 64, 3), np.uint8), 0.0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert list(tmp_path.iterdir()) == []
