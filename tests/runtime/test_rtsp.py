"""A network camera for real: `cam` on an RTSP stream whose server goes away and comes back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

MODELS = Path(__file__).parents[1] / "data" / "models"
SYSTEM_PYTHON = "/usr/bin/python3"
PATIENCE_S = 60.0
pytestmark = pytest.mark.timeout(240)

# GStreamer's own server, with the Python that it is packaged for. Port 0 is any that is free.
SERVER = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
port, pattern = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_launch(
    f"( videotestsrc is-live=true pattern={pattern} ! "
    "video/x-raw,format=I420,width=160,height=120,framerate=20/1 ! "
    "jpegenc ! rtpjpegpay name=pay0 pt=26 )"
)
server.get_mount_points().add_factory("/camera", factory)
if server.attach(None) == 0:
    sys.exit("cannot listen")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""
# What the network of the tests, a negative, makes of them.
CYAN, YELLOW = (0, 255, 255), (255, 255, 0)


def lacks_server() -> bool:
    program = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); gi.require_version('Gst', '1.0')\n"
        "from gi.repository import Gst; Gst.init(None)\n"
        "assert Gst.ElementFactory.find('rtpjpegpay') and Gst.ElementFactory.find('jpegenc')"
    )
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", program], capture_output=True, check=False)
    except OSError:
        return True
    return done.returncode != 0


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple["subprocess.Popen[str]", int]]]:
    # Continuous integration installs it and must run this; a laptop may lack it.
    if "CI" not in os.environ and lacks_server():
        pytest.skip(
            "no RTSP server: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 "
            "gstreamer1.0-plugins-good"
        )
    started = []

    def start(port: int, pattern: str) -> tuple["subprocess.Popen[str]", int]:
        server = subprocess.Popen(
            [SYSTEM_PYTHON, "-c", SERVER, str(port), pattern], stdout=subprocess.PIPE, text=True
        )
        started.append(server)
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, "the server did not start"
        return server, int(line)

    yield start
    for server in started:
        server.kill()
        server.communicate()


class Cam:
    """`cam` in a process of its own, watched through its page."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._errors = folder / "errors.txt"
        command = [sys.executable, "-m", "edge_style", "cam", "--provider", "cpu", "--model"]
        command += [str(MODELS / "negative.onnx"), "--output", "http://127.0.0.1:0", "--json"]
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.wait_for(lambda: "watch at" in self.errors)
        (self._address,) = re.findall(r"watch at (\S+)", self.errors)

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def wait_for(self, what: Callable[[], object]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not what():
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < end_s, self.errors
            time.sleep(0.05)

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._address}state", timeout=PATIENCE_S) as answer:
            return dict(json.loads(answer.read()))

    def shows(self, colour: tuple[int, int, int]) -> bool:
        with suppress(urllib.error.HTTPError):  # no picture yet
            address = f"{self._address}snapshot.jpg"
            with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
                image = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR_RGB)
            assert image.shape == (120, 160, 3)
            # Twice compressed, and GStreamer takes the colours for those of television.
            return bool(np.abs(image.mean(axis=(0, 1)) - colour).max() < 60)
        return False

    def stop(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 130, self.errors
        return dict(json.loads(out))

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def test_a_network_camera_that_was_away_is_shown_again(
    serve: Callable[..., tuple["subprocess.Popen[str]", int]], tmp_path: Path
) -> None:
    server, port = serve(0, "red")
    cam = Cam(tmp_path, "--source", f"rtsp://127.0.0.1:{port}/camera")
    try:
        cam.wait_for(lambda: cam.shows(CYAN))
        assert cam.state()["trouble"] == ""
        server.kill()
        cam.wait_for(lambda: cam.state()["trouble"])
        assert "trying again" in cam.state()["trouble"]
        assert cam.shows(CYAN), "the last picture stays"
        serve(port, "blue")
        cam.wait_for(lambda: cam.shows(YELLOW))
        cam.wait_for(lambda: cam.state()["trouble"] == "")
        assert cam.stop()["frames"] > 2
    finally:
        cam.kill()


def test_an_address_where_nobody_answers_is_one_line(
    serve: Callable[..., tuple["subprocess.Popen[str]", int]],
) -> None:
    server, port = serve(0, "red")
    for path, is_there in (("elsewhere", True), ("camera", False)):
        if not is_there:
            server.kill()
            server.wait()
        address = f"rtsp://user:secret@127.0.0.1:{port}/{path}"
        command = [sys.executable, "-m", "edge_style", "cam", "--source", address]
        command += ["--model", str(MODELS / "negative.onnx"), "--output", "null"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: cannot open the stream 'rtsp://user:***@127.0.0.1")
        assert done.stderr.count("\n") == 1, done.stderr
