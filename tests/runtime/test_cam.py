"""`edge-style cam` and `edge-style video`, from the command line to the file."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_style import cli
from edge_style.images import read_image, write_image

MODELS = Path(__file__).parents[1] / "data" / "models"
NEGATIVE = ["--model", str(MODELS / "negative.onnx"), "--provider", "cpu"]
FRAMES = 24
KEYS = ["frames", "dropped", "fps", "latency_ms", "stage_ms", "model", "precision", "provider"]
MORE_KEYS = {
    *("size", "style", "network_size", "size_changes", "arrived_fps", "display_latency_ms"),
    "speed",
}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run a command as `main` does; its status and what it printed, OpenCV included."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, errors = capfd.readouterr()
        return int(str(ended.value.code)), out, errors

    return run


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """24 frames of 66x50 at 30000/1001 a second, darker from one to the next."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 66, 50, "yuv420p"
        for index in range(FRAMES):
            image = np.full((50, 66, 3), 240 - 8 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def levels(path: Path) -> list[float]:
    capture = cv2.VideoCapture(str(path))
    found = []
    while (frame := capture.read())[0]:
        found.append(float(frame[1].mean()))
    return found


def test_video_stylizes_every_frame_at_the_clips_rate(
    command: Command, clip: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    status, out, errors = command("video", str(clip), *NEGATIVE, "-o", str(output), "--json")
    assert status == 0, errors
    report = json.loads(out)
    assert list(report)[: len(KEYS)] == KEYS
    assert set(report) - set(KEYS) == MORE_KEYS
    assert (report["frames"], report["dropped"]) == (FRAMES, 0)
    assert list(report["latency_ms"]) == ["p50", "p95", "p99"]
    assert list(report["stage_ms"]) == ["capture", "pre", "infer", "post", "output"]
    assert report["model"] == "negative"
    assert (report["precision"], report["provider"]) == ("fp32", "cpu")
    assert report["size"] == "66x50"
    assert levels(output) == pytest.approx([15 + 8 * n for n in range(FRAMES)], abs=4)
    with av.open(str(output)) as made:
        assert made.streams.video[0].average_rate == Fraction(30000, 1001)


@pytest.mark.parametrize(("size", "expected"), [("32x48", "32x48"), ("33", "33x25")])
def test_the_network_runs_at_the_size_that_was_asked_for(
    command: Command, clip: Path, tmp_path: Path, size: str, expected: str
) -> None:
    output = tmp_path / "out.mp4"
    arguments = ["-o", str(output), "--size", size, "--json"]
    status, out, errors = command("video", str(clip), *NEGATIVE, *arguments)
    assert status == 0, errors
    assert json.loads(out)["size"] == expected
    assert len(levels(output)) == FRAMES


def test_cam_plays_a_clip_at_its_own_speed(command: Command, clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    start_s = time.perf_counter()
    status, out, errors = command(
        "cam", *NEGATIVE, "--source", str(clip), "--output", str(output), "--json"
    )
    assert status == 0, errors
    assert time.perf_counter() - start_s > FRAMES / 30
    report = json.loads(out)
    assert report["frames"] + report["dropped"] == FRAMES
    assert len(levels(output)) == report["frames"]
    with av.open(str(output)) as made:
        assert made.duration is not None
        # A loaded machine may have dropped the last ones.
        assert report["frames"] / 30 - 0.07 <= made.duration / 1e6 <= FRAMES / 30 + 0.07


def test_a_conversion_is_faster_than_the_clip_plays(command: Command, tmp_path: Path) -> None:
    """A clip of 20 seconds at 2 frames a second: any machine has more."""
    clip, frames = tmp_path / "slow.mp4", 40
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=2)
        stream.width, stream.height, stream.pix_fmt = 66, 50, "yuv420p"
        for index in range(frames):
            image = np.full((50, 66, 3), 6 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    arguments = ["video", str(clip), *NEGATIVE]
    status, out, errors = command(*arguments, "-o", str(tmp_path / "a.mp4"), "--json")
    assert status == 0, errors
    report = json.loads(out)
    assert report["frames"] == frames
    assert report["speed"] == pytest.approx(report["fps"] / 2, abs=2e-3)
    assert report["speed"] > 1.5
    status, _, errors = command(*arguments, "-o", str(tmp_path / "b.mp4"))
    assert status == 0, errors
    assert "times as fast as it plays" in errors


def test_cam_without_pace_takes_every_frame(command: Command, clip: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_image(tmp_path / f"photo{number}.png", np.full((20, 30, 3), number, np.uint8))
    outputs = ["-o", str(tmp_path / "a_%d.png"), "-o", "null"]
    source = str(tmp_path / "photo*.png")
    status, _, errors = command("cam", *NEGATIVE, "-s", source, *outputs, "--no-pace")
    assert status == 0, errors
    made = [int(read_image(tmp_path / f"a_{n}.png")[0, 0, 0]) for n in (1, 2, 3)]
    assert made == [254, 253, 252]


def test_cam_ends_at_its_limits(command: Command) -> None:
    test_source = ["cam", *NEGATIVE, "--source", "test", "--output", "null", "--size", "64x48"]
    status, out, errors = command(*test_source, "--no-pace", "--max-frames", "9", "--json")
    assert status == 0, errors
    report = json.loads(out)
    assert (report["frames"], report["dropped"], report["size"]) == (9, 0, "64x48")
    status, out, errors = command(*test_source, "--duration", "0.3")
    assert status == 0, errors
    assert out == ""
    assert "frames/s" in errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cam", *NEGATIVE, "--source", "97", "-o", "null"], "no camera '97'"),
        (["cam", *NEGATIVE, "--source", "missing.mp4", "-o", "null"], "no such source"),
        (["cam", *NEGATIVE, "--source", "text.mp4", "-o", "null"], "not a video"),
        (["cam", *NEGATIVE, "--source", "empty", "-o", "null"], "no pictures"),
        (["cam", *NEGATIVE, "--source", "~nosuchuser/x.mp4", "-o", "null"], "no such source"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "~nosuchuser/x.mp4"], "does not exist"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "no/out.mp4"], "does not exist"),
        (["cam", *NEGATIVE, "--source", "photos", "-o", "photos"], "would replace"),
        (["cam", *NEGATIVE, "--source", "photos", "-o", "photos/frame_%d.png"], "would replace"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "rtsp://x"], "'rtsp://x'"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "http://localhost:1/x"], "HOST:PORT"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "null", "--style", "none"], "negative"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "null", "--blend", "1=2"], "STYLE=SHARE"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "null", "--blend", "1"], "two styles"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "null", "--strength", "2"], "strength"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "null", "-o", "null"], "twice"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "null", "--size", "big"], "WIDTHxHEIGHT"),
        (["cam", *NEGATIVE, "--source", "test", "-o", "null", "--max-frames", "0"], "max-frames"),
        (["cam", "--model", "missing.onnx", "--source", "test", "-o", "null"], "missing"),
        (["video", "missing.mp4", *NEGATIVE, "-o", "out.mp4"], "no such clip"),
        (["video", "text.mp4", *NEGATIVE, "-o", "out.mp4"], "not a video"),
        (["video", "clip.mp4", *NEGATIVE, "-o", "clip.mp4"], "another name"),
        (["video", "clip.mp4", *NEGATIVE, "-o", "out.xyz"], "--output takes"),
        (["video", "clip.mp4", "--model", "a,b", "-o", "out.mp4"], "one style"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    command: Command,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").mkdir()
    write_image(tmp_path / "photos" / "frame_000012.png", np.full((20, 30, 3), 90, np.uint8))
    (tmp_path / "text.mp4").write_text("not a clip")
    before = sorted(path.name for path in tmp_path.iterdir())
    status, out, errors = command(*arguments)
    assert status == 2
    assert out == ""
    last = errors.strip().split("\n")[-1]
    assert last.startswith("error: ")
    assert says in last
    assert "Traceback" not in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_closes_the_recording_and_prints_the_figures(
    tmp_path: Path, how: signal.Signals
) -> None:
    output = ["--output", str(tmp_path / "out.mp4"), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_style", "cam", *NEGATIVE, "--source", "test", *output],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end_s = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.iterdir()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_s
        time.sleep(0.02)
    process.send_signal(how)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    # Ctrl-C may fall between writing a frame and counting it, or before the first one.
    assert len(levels(tmp_path / "out.mp4")) - json.loads(out)["frames"] in (0, 1)


def test_an_interrupt_before_the_first_frame_reports_none(tmp_path: Path) -> None:
    program = (
        "import sys, time, _thread\n"
        "from edge_style import cli\n"
        "from edge_style.stylizer import Stylizer\n"
        "def never(self, *arguments):\n"
        "    _thread.interrupt_main()\n"
        "    time.sleep(60)\n"
        "Stylizer.warm_up = lambda *arguments: None\n"
        "Stylizer.infer = never\n"
        "cli.main(sys.argv[1:])\n"
    )
    output = ["--output", str(tmp_path / "out.mp4"), "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, "cam", *NEGATIVE, "--source", "test", *output],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 130, done.stderr
    report = json.loads(done.stdout)
    assert (report["frames"], report["fps"], report["size"]) == (0, None, None)
    assert "Traceback" not in done.stderr


def test_an_interrupted_conversion_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    program = (
        "import sys, _thread\n"
        "from edge_style import cli\n"
        "from edge_style.stylizer import Stylizer\n"
        "finish, calls = Stylizer.finish, iter(range(100))\n"
        "def interrupt(self, *arguments):\n"
        "    if next(calls) == 10: _thread.interrupt_main()\n"
        "    return finish(self, *arguments)\n"
        "Stylizer.finish = interrupt\n"
        "cli.main(sys.argv[1:])\n"
    )
    output = str(tmp_path / "out.mp4")
    done = subprocess.run(
        [sys.executable, "-c", program, "video", str(clip), *NEGATIVE, "--output", output],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 130, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_truncated_clip_gives_what_is_there_and_says_so(command: Command, tmp_path: Path) -> None:
    whole = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(20):
        writer.write(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    status, _, errors = command("video", str(cut), *NEGATIVE, "-o", str(tmp_path / "out.mp4"))
    assert status == 0, errors
    assert 5 <= len(levels(tmp_path / "out.mp4")) < 20
    assert "could be decoded" in errors
