"""A real browser, a real server, and a camera that plays a clip of ours."""

import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_style.sources.pan import PanSource
from edge_style.web.site import INDEX, PAGE

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "tests" / "data" / "models"
PHOTO = ROOT / "exported" / "gallery" / "astronaut.jpg"
CAMERA_SIZE_PX = (640, 480)
PATIENCE_MS = 60_000
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def need(missing: str, remedy: str) -> None:
    """Leave a test out where a tool is missing, but never in continuous integration."""
    if missing and "CI" in os.environ:
        pytest.fail(f"{missing}: {remedy}")
    if missing:
        pytest.skip(f"{missing}: {remedy}")


@pytest.fixture(scope="session")
def built_page() -> Path:
    """The page that `make web` built."""
    need("" if (PAGE / INDEX).is_file() else "the page is not built", "make web (needs Node.js)")
    return PAGE


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    need("" if found else "no Chromium", "apt-get install chromium")
    return str(found)


@pytest.fixture(scope="session")
def camera_frames() -> list[np.ndarray]:
    """What the camera sees: a second of a view that glides across a photo."""
    return [frame.image for frame in list(PanSource(PHOTO, CAMERA_SIZE_PX))[::5]]


@pytest.fixture(scope="session")
def camera_clip(camera_frames: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a clip for the browser's camera, uncompressed."""
    path = tmp_path_factory.mktemp("camera") / "clip.y4m"
    width, height = CAMERA_SIZE_PX
    with path.open("wb") as clip:
        clip.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420\n".encode())
        for image in camera_frames:
            clip.write(b"FRAME\n" + cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@pytest.fixture(scope="session")
def launch(chromium: str) -> Iterator[Callable[..., Any]]:
    """Starts browsers, each with a profile of its own; flags are Chromium's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield lambda *flags: playwright.chromium.launch(
            executable_path=chromium, args=[*_FLAGS, *flags]
        )


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Any], camera_clip: Path) -> Iterator[Any]:
    """A browser with a camera."""
    with launch(
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={camera_clip}",
    ) as started:
        yield started


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """`edge-style web` as a user starts it: the address of the page."""
    server = subprocess.Popen(
        [sys.executable, "-m", "edge_style", "web", "--port", "0", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    line = server.stderr.readline()
    try:
        found = re.match(r"(http://127\.0\.0\.1:\d+/) shows", line)
        assert found, line + server.stderr.read()
        yield found[1]
    finally:
        server.terminate()
        server.communicate()


@dataclass
class Visit:
    """A visitor at the page.

    Attributes:
        page: Playwright's page.
        requests: every address that anything on the page asked for.
        complaints: what the browser wrote to its console, and errors nobody caught.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def data(self, name: str) -> str | None:
        """One of the stage's `data-` attributes."""
        value = self.page.locator("#stage").get_attribute(f"data-{name}")
        return None if value is None else str(value)

    def wait(self, condition: str) -> None:
        """Wait until JavaScript holds; `d` is the stage's dataset."""
        self.page.wait_for_function(
            f"() => {{ const d = document.getElementById('stage').dataset; return {condition}; }}",
            timeout=PATIENCE_MS,
        )

    def wait_for_frames(self, count: int) -> None:
        """Wait until so many more pictures were shown."""
        target = int(self.data("frames") or 0) + count
        self.wait(f"Number(d.frames) >= {target}")

    def hold(self, address: str | re.Pattern[str]) -> list[Any]:
        """Let requests wait: they come into the list, and go on with `continue_`."""
        held: list[Any] = []

        def keep(route: Any) -> None:
            held.append(route)

        self.page.context.route(address, keep)
        return held

    def wait_for_request(self, held: list[Any]) -> None:
        """Wait until there is one in a list of `hold`."""
        end_s = time.monotonic() + PATIENCE_MS / 1000
        while not held:
            assert time.monotonic() < end_s, "nothing was asked for"
            self.page.wait_for_timeout(20)  # requests are told while one waits for the page

    def settle(self) -> None:
        """Wait until what was asked for last is on the canvas."""
        self.wait("d.settled === 'true'")

    def snapshot(self) -> np.ndarray:
        """What key `s` saves: uint8 [H, W, 3], RGB."""
        with self.page.expect_download(timeout=PATIENCE_MS) as download:
            self.page.keyboard.press("s")
        assert download.value.suggested_filename.endswith(".png")
        return read_png(Path(download.value.path()).read_bytes())

    def choose(self, field: str, files: Any) -> None:
        """Choose files with one of the page's inputs, which listen once the page has started."""
        self.wait("d.settled !== undefined")
        self.page.set_input_files(f"#{field}", files)

    def set_range(self, name: str, percent: int) -> None:
        """Move a slider, as a hand does."""
        self.page.locator(f"#{name}").fill(str(percent))


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens addresses, each in a context of its own."""
    contexts = []

    def opened(url: str, **options: Any) -> Visit:
        context = browser.new_context(**{"permissions": ["camera"], **options})
        contexts.append(context)
        return open_page(context, url)

    yield opened
    for context in contexts:
        context.close()


def open_page(context: Any, url: str) -> Visit:
    """Open an address, and listen to everything it says and asks for."""
    visit = Visit(context.new_page())
    # Of the context, not the page: workers' requests and service workers' are among them.
    context.on("request", lambda request: visit.requests.append(request.url))
    visit.page.on("console", lambda message: visit.complaints.append(message.text))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.goto(url)
    return visit


def read_png(data: bytes) -> np.ndarray:
    """A PNG file's pixels: uint8 [H, W, 3], RGB."""
    bgr = cv2.imdecode(np.frombuffer(io.BytesIO(data).read(), np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two pictures of one size, in levels."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def clip_frames(path: Path) -> list[np.ndarray]:
    """All frames of a clip: uint8 [H, W, 3], RGB."""
    clip, frames = cv2.VideoCapture(str(path)), []
    while True:
        done, bgr = clip.read()
        if not done:
            return frames
        frames.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
