"""What `edge-style web build` writes, on a host that only sends files, under a sub-path."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .conftest import MODELS, PATIENCE_MS, PHOTO, Visit, clip_frames, open_page

SUB_PATH = "someone/pages/edge-style"

pytestmark = pytest.mark.usefixtures("built_page")


class PlainHost:
    """A static host: it sends files, and no header of ours.

    Attributes:
        origin: its address.
        may_send: while it is not set, files of the name in `held` wait.
        held: name of a file, or empty.
        asked: set when such a file was asked for.
    """

    def __init__(self, root: Path) -> None:
        self.held = ""
        self.asked, self.may_send = threading.Event(), threading.Event()
        self.may_send.set()
        handler = partial(_QuietHandler, host=self, directory=str(root))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def hold(self, name: str) -> None:
        """Keep everybody waiting who asks for a file of that name."""
        self.held = name
        self.asked.clear()
        self.may_send.clear()

    def close(self) -> None:
        """No connection any more."""
        self.may_send.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, host: PlainHost, **options: Any) -> None:
        self._host = host
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        """Answer with a file, when the host may send it."""
        if self._host.held and self.path.endswith(self._host.held):
            self._host.asked.set()
            self._host.may_send.wait(PATIENCE_MS / 1000)
        super().do_GET()

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


def test_what_lies_beside_the_site_is_the_hosts(
    visit: Callable[..., Visit], host: PlainHost, tmp_path: Path
) -> None:
    blog = tmp_path / SUB_PATH / "blog"
    blog.mkdir()
    (blog / "index.html").write_text("<title>a blog</title>")
    (blog / "news.txt").write_text("old")
    root = f"{host.origin}{SUB_PATH}/"
    visitor = visit(f"{root}?backend=wasm")
    visitor.wait("d.kept === 'true'")
    read = f"fetch('{root}blog/news.txt', {{cache: 'reload'}}).then((one) => one.text())"
    assert visitor.page.evaluate(read) == "old"
    (blog / "news.txt").write_text("new")
    assert visitor.page.evaluate(read) == "new"
    visitor.page.goto(f"{root}blog/")
    assert visitor.page.title() == "a blog"
    visitor.page.goto(f"{root}index.html?backend=wasm")
    visitor.wait_for_frames(1)
    assert visitor.page.evaluate("crossOriginIsolated") is True


def test_any_picture_is_a_style_offline_too(visit: Callable[..., Visit], tmp_path: Path) -> None:
    # Another precision than the styles have: what is kept for those is not what is kept for it.
    build(tmp_path / SUB_PATH, "negative16", "any")
    host = PlainHost(tmp_path)
    url = f"{host.origin}{SUB_PATH}/?backend=wasm"
    visitor = visit(url)
    visitor.wait("d.kept === 'true'")
    host.close()
    visitor.page.goto(url)
    visitor.wait_for_frames(1)
    visitor.choose("style-files", PHOTO)
    visitor.wait("d.style === 'picture-1'")
    visitor.wait_for_frames(2)


LOAD_IT = "button:has-text('Load it')"
STYLES = "label.style"


def returning(visit: Callable[..., Visit], host: PlainHost) -> tuple[str, Visit]:
    """The address, and a visitor who was here once, so that everything is kept."""
    url = f"{host.origin}{SUB_PATH}/?backend=wasm"
    visitor = visit(url)
    visitor.wait("d.kept === 'true'")
    assert visitor.page.locator(STYLES).count() == 4
    return url, visitor


def load_it(visitor: Visit) -> None:
    """Take the offer, and find the newer site after one load of the page."""
    loads: list[str] = []
    visitor.page.on("domcontentloaded", lambda page: loads.append(page.url))
    visitor.page.click(LOAD_IT)
    visitor.page.wait_for_function(f"() => document.querySelectorAll('{STYLES}').length === 1")
    visitor.wait_for_frames(1)
    assert len(loads) == 1
    assert visitor.page.locator(LOAD_IT).count() == 0


def test_a_newer_site_is_offered(
    visit: Callable[..., Visit], host: PlainHost, tmp_path: Path
) -> None:
    url, visitor = returning(visit, host)
    build(tmp_path / SUB_PATH, "negative")
    visitor.page.goto(url)
    visitor.page.wait_for_selector(LOAD_IT)
    visitor.wait_for_frames(1)
    assert visitor.page.locator(STYLES).count() == 4, "not under the visitor's hands"
    visitor.page.click("#record")
    visitor.wait_for_frames(5)
    with visitor.page.expect_download() as download:
        load_it(visitor)
    assert clip_frames(Path(download.value.path())), "what was recorded is kept"


def test_a_newer_site_comes_also_where_the_browser_hesitates(
    visit: Callable[..., Visit], host: PlainHost, tmp_path: Path
) -> None:
    """The version that waits is never let in: the page takes the newer one from the host."""
    url, visitor = returning(visit, host)
    build(tmp_path / SUB_PATH, "negative")
    visitor.page.add_init_script("ServiceWorker.prototype.postMessage = () => {}")
    visitor.page.goto(url)
    visitor.page.wait_for_selector(LOAD_IT)
    visitor.wait_for_frames(1)
    load_it(visitor)


def test_without_a_host_a_visitor_keeps_the_version_there_is(
    visit: Callable[..., Visit], host: PlainHost, tmp_path: Path
) -> None:
    """As above, and by the time the visitor says yes there is no connection."""
    url, visitor = returning(visit, host)
    build(tmp_path / SUB_PATH, "negative")
    visitor.page.add_init_script("ServiceWorker.prototype.postMessage = () => {}")
    visitor.page.goto(url)
    visitor.page.wait_for_selector(LOAD_IT)
    visitor.wait_for_frames(1)
    host.close()
    with visitor.page.expect_navigation(timeout=20_000):
        visitor.page.click(LOAD_IT)
    visitor.wait_for_frames(1)
    assert visitor.page.locator(STYLES).count() == 4


def test_a_newer_site_in_two_tabs(
    visit: Callable[..., Visit], host: PlainHost, tmp_path: Path
) -> None:
    """One finds it on its way, and is told all the same; one is told that the other let it in."""
    url, visitor = returning(visit, host)
    # Before there is anything new: browsers also look by themselves, a second after the last fetch.
    host.hold("sample.jpg")
    build(tmp_path / SUB_PATH, "negative")
    visitor.page.goto(url)
    assert host.asked.wait(PATIENCE_MS / 1000), "the newer version is not being fetched"
    late = open_page(visitor.page.context, url)
    late.wait_for_frames(1)
    assert late.page.locator(LOAD_IT).count() == 0
    host.may_send.set()
    late.page.wait_for_selector(LOAD_IT)
    visitor.page.wait_for_selector(LOAD_IT)
    load_it(late)
    assert visitor.page.locator(STYLES).count() == 4, "not under the visitor's hands"
    load_it(visitor)


def test_a_service_worker_that_cannot_be_installed(
    visit: Callable[..., Visit], host: PlainHost, tmp_path: Path
) -> None:
    """The host changes a file on its way: the page does not wait, and works on one thread."""
    index = tmp_path / SUB_PATH / "index.html"
    index.write_text(index.read_text() + "<!-- from your host -->")
    visitor = visit("about:blank")
    visitor.page.add_init_script(
        "const real = setTimeout;"
        "window.setTimeout = (run, ms, ...more) => ms >= 8000 ? 0 : real(run, ms, ...more);"
    )
    visitor.page.goto(f"{host.origin}{SUB_PATH}/?backend=wasm")
    visitor.wait_for_frames(1)
    assert visitor.page.evaluate("crossOriginIsolated") is False
    # Nor does it wait again for one that does not come at all.
    host.hold("icon.svg")
    visitor.page.goto(f"{host.origin}{SUB_PATH}/?backend=wasm")
    visitor.wait_for_frames(1)


def test_a_page_that_is_being_loaded_says_so(visit: Callable[..., Visit], host: PlainHost) -> None:
    host.hold("styles.json")
    visitor = visit(f"{host.origin}{SUB_PATH}/?backend=wasm")
    visitor.page.get_by_text("Loading", exact=True).wait_for()
    from playwright.sync_api import TimeoutError as NotClickable

    with pytest.raises(NotClickable):
        visitor.page.click("#start-camera", trial=True, timeout=1000)
    host.may_send.set()
    visitor.page.click("#start-camera")
    visitor.wait("d.source === 'camera'")


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
