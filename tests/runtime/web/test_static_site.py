"""What `edge-style web build` writes, on a host that only sends files, under a sub-path."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from .conftest import MODELS, Visit

SUB_PATH = "someone/pages/edge-style"

pytestmark = pytest.mark.usefixtures("built_page")


class PlainHost:
    """A static host: it sends files, and no header of ours."""

    def __init__(self, root: Path) -> None:
        handler = partial(_QuietHandler, directory=str(root))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No connection any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def build(folder: Path, *models: str) -> None:
    names = ",".join(str(MODELS / f"{name}.onnx") for name in models)
    subprocess.run(
        [sys.executable, "-m", "edge_style", "web", "build", str(folder), "--model", names],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PlainHost]:
    build(tmp_path / SUB_PATH, "negative", "many")
    started = PlainHost(tmp_path)
    yield started
    with contextlib.suppress(OSError):
        started.close()


def test_offline_after_the_first_visit(
    visit: Callable[..., Visit], host: PlainHost, tmp_path: Path
) -> None:
    url = f"{host.origin}{SUB_PATH}/?backend=wasm"
    visitor = visit(url)
    visitor.wait_for_frames(2)
    # The service worker isolates the page, which the host does not: threads work.
    assert visitor.page.evaluate("crossOriginIsolated") is True
    assert visitor.complaints == []
    visitor.wait("d.kept === 'true'")
    root = f"{host.origin}{SUB_PATH}/"
    asked = [address for address in visitor.requests if not address.startswith("blob:")]
    assert [address for address in asked if not address.startswith(root)] == []

    host.close()
    visitor.page.goto(url)
    visitor.wait("d.style === 'negative'")
    visitor.wait_for_frames(2)
    visitor.page.keyboard.press("4")  # a style that was never looked at
    visitor.wait("d.style === 'many-3'")
    visitor.page.click("#start-camera")
    visitor.wait("d.source === 'camera'")
    visitor.wait_for_frames(2)


def test_a_newer_site_is_offered(
    visit: Callable[..., Visit], host: PlainHost, tmp_path: Path
) -> None:
    url = f"{host.origin}{SUB_PATH}/?backend=wasm"
    visitor = visit(url)
    visitor.wait("d.kept === 'true'")
    assert visitor.page.locator("label.style").count() == 4
    build(tmp_path / SUB_PATH, "negative")
    from playwright.sync_api import TimeoutError as TooSlow

    is_new = "() => document.querySelectorAll('label.style').length === 1"
    offered = visitor.page.get_by_role("button", name="Load it")
    visitor.page.goto(url)
    offered.wait_for()
    assert visitor.page.locator("label.style").count() == 4, "not under the visitor's hands"
    for _ in range(3):
        # The button goes while the page loads itself anew.
        with contextlib.suppress(TooSlow):
            offered.click(timeout=5000)
        try:
            visitor.page.wait_for_function(is_new, timeout=10_000)
            break
        except TooSlow:
            # A page that was replaced while it loaded its parts comes with the next visit.
            visitor.page.goto(url)
    visitor.page.wait_for_function(is_new)
    visitor.wait_for_frames(1)


def test_without_a_service_worker(visit: Callable[..., Visit], host: PlainHost) -> None:
    """Private windows of some browsers have none: one thread, and it works."""
    visitor = visit("about:blank")
    visitor.page.add_init_script(
        "Object.defineProperty(navigator, 'serviceWorker', { value: undefined })"
    )
    visitor.page.goto(f"{host.origin}{SUB_PATH}/?backend=wasm")
    visitor.wait_for_frames(2)
    assert visitor.page.evaluate("crossOriginIsolated") is False
    visitor.page.locator("#figures").get_by_text("on one thread").wait_for()
