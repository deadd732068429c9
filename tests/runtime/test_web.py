"""The picture in a browser: the stream, the commands, and who is kept out."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from edge_style.controls import Command, Controls, ShowState, Style, obey
from edge_style.errors import SinkError
from edge_style.sinks import StyledFrame, open_sink
from edge_style.sinks.web import WebSink

PATIENCE_S = 20.0
STYLES = (Style("plain", "plain", 0, 0, 2), Style("negative", "The Negative, Nobody", 0, 1, 2))
ANY = (Style("red", "red", 0, 0, 2), Style("frame", "frame", 0, 1, 2, adopts=True))


class Show:
    """A show in a thread: writes frames to a sink and obeys what it asks for."""

    def __init__(
        self,
        sink: WebSink,
        fps: float = 50,
        size_px: tuple[int, int] = (64, 48),
        styles: tuple[Style, ...] = STYLES,
    ) -> None:
        self.sink = sink
        self.styles = styles
        self.controls = Controls()
        self.commands: list[Command] = []
        self.frames = 0
        self.longest_write_s = 0.0
        self.is_paused = False
        self._period_s = 1 / fps
        self._size_px = size_px
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="show")

    def __enter__(self) -> "Show":
        self.sink.open()
        self.sink.apply(ShowState(self.controls, self.styles))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self.sink.close(failed=False)

    @property
    def port(self) -> int:
        return int(self.sink.greeting.split(":")[2].split("/")[0])

    def _run(self) -> None:
        rng = np.random.default_rng(0)
        width, height = self._size_px
        images = [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(4)]
        while not self._is_over.wait(self._period_s):
            for command in self.sink.poll():
                assert isinstance(command, Command)
                self.commands.append(command)
                self.controls = obey(self.controls, command, self.styles)
                self.sink.apply(ShowState(self.controls, self.styles, notice=command.name))
            if self.is_paused:
                continue
            image = images[self.frames % 4].copy()
            image[:, :8] = self.frames % 256  # no two of them alike, wherever one looks
            start_s = time.perf_counter()
            self.sink.write(StyledFrame(image, self.frames * self._period_s, fps=50.0))
            self.longest_write_s = max(self.longest_write_s, time.perf_counter() - start_s)
            self.frames += 1


@pytest.fixture
def show() -> Iterator[Show]:
    before = set(threading.enumerate())
    with Show(WebSink("http://127.0.0.1:0")) as running:
        yield running
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in names if name.startswith(("web", "Thread-", "show"))}, names


def ask(
    show: Show, path: str, body: Any = None, method: str | None = None, **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", show.port, timeout=PATIENCE_S)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method or ("GET" if body is None else "POST"), path, data, named)
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers
    connection.close()
    return found


def wait_for(what: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    end_s = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


class Viewer:
    """Reads the stream as a browser does."""

    def __init__(self, show: Show, buffer_bytes: int | None = None) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", show.port, timeout=PATIENCE_S)
        self.connection.connect()
        if buffer_bytes is not None:
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.connection.request("GET", "/stream")
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200

    def picture(self) -> np.ndarray:
        length = None
        while True:
            line = self.answer.readline()
            assert line, "the stream has ended"
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            if line == b"\r\n" and length is not None:
                data = self.answer.read(length)
                return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


def test_several_viewers_see_the_picture(show: Show) -> None:
    viewers = [Viewer(show) for _ in range(3)]
    for viewer in viewers:
        assert viewer.picture().shape == (48, 64, 3)
        assert (viewer.picture() != viewer.picture()).any()
        viewer.close()
    wait_for(lambda: json.loads(ask(show, "/state")[1])["viewers"] == 0)


def test_nothing_is_encoded_while_nobody_looks(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_style.sinks.web import broadcast

    encoded = []
    jpeg = broadcast._jpeg
    monkeypatch.setattr(broadcast, "_jpeg", lambda *args: encoded.append(1) or jpeg(*args))
    before = show.frames
    wait_for(lambda: show.frames > before + 5)
    assert not encoded
    viewer = Viewer(show)
    viewer.picture()
    assert encoded
    viewer.close()


def test_a_viewer_that_comes_in_a_pause_sees_the_still_picture(show: Show) -> None:
    wait_for(lambda: show.frames > 3)
    show.is_paused = True
    viewer = Viewer(show)
    assert viewer.picture().shape == (48, 64, 3)
    viewer.close()


def test_a_viewer_that_reads_a_byte_a_second_slows_nobody() -> None:
    """Its buffers fill up; then its own thread waits, and only that."""
    with Show(WebSink("http://127.0.0.1:0"), fps=50, size_px=(640, 480)) as show:
        slow = socket.create_connection(("127.0.0.1", show.port))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        slow.recv(1)
        quick = Viewer(show)
        quick.picture()
        start_s, first = time.monotonic(), show.frames
        for _ in range(20):
            quick.picture()
            if time.monotonic() - start_s > 1:
                slow.recv(1)
        seconds = time.monotonic() - start_s
        # Whoever waited for the slow one would do so for 15 seconds; other work may take one.
        assert 20 / seconds > 2, "the other viewer goes on"
        assert (show.frames - first) / seconds > 4, "and so does the show"
        assert show.longest_write_s < 1
        quick.close()
        end_s = time.monotonic()
    # Closing the show does not wait for it either.
    assert time.monotonic() - end_s < 3
    slow.close()


def test_a_slow_viewer_gets_new_pictures_not_a_growing_queue() -> None:
    with Show(WebSink("http://127.0.0.1:0"), fps=50, size_px=(640, 480)) as show:
        viewer = Viewer(show, buffer_bytes=1 << 16)
        behind = 0
        for _ in range(8):
            before = show.frames
            wait_for(lambda before=before: show.frames >= before + 12)
            shown = round(float(viewer.picture()[0, :8].mean()))
            behind = (show.frames - shown) % 256
        # In a queue it would be 8 frames on, and all the others behind. JPEG adds a level or two.
        assert show.frames > 60
        assert behind < 45
        viewer.close()


COMMAND = {"X_Edge_Style": "1", "Content_Type": "application/json"}


def test_commands_reach_the_show_and_the_state_says_so(show: Show) -> None:
    assert ask(show, "/command", {"name": "strength", "value": 0.5}, **COMMAND)[0] == 200
    assert ask(show, "/command", {"name": "style", "value": 1}, **COMMAND)[0] == 200
    step = {"name": "strength", "value": -0.1, "step": True}
    assert ask(show, "/command", step, **COMMAND)[0] == 200
    wait_for(lambda: len(show.commands) == 3)
    wait_for(lambda: show.controls.strength == 0.4)
    state = json.loads(ask(show, "/state")[1])
    assert state["controls"]["strength"] == 0.4
    assert state["controls"]["style"] == 1
    assert state["styles"][1]["title"] == "The Negative, Nobody"
    assert state["notice"]["text"] == "strength"
    assert state["figures"]["size"] == "64x48"
    # What comes behind it, as in a fade with each frame, takes no notice away.
    show.sink.apply(ShowState(show.controls, show.styles))
    assert json.loads(ask(show, "/state")[1])["notice"] == state["notice"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "quit"},
        {"name": "fullscreen"},
        {"name": "missing"},
        {"name": ["style"]},
        {"name": "strength", "value": "much"},
        {"name": "strength", "value": {}},
        {},
        [],
        7,
        b"not json",
        b"[" * 1000,
        b"x" * 2000,
        b"",
    ],
)
def test_what_is_no_command_is_refused(show: Show, body: Any) -> None:
    assert ask(show, "/command", body, **COMMAND)[0] == 400
    assert ask(show, "/state")[0] == 200
    assert show.commands == []


def picture_file(suffix: str = ".png", side: int = 20) -> bytes:
    done, data = cv2.imencode(suffix, np.full((side, side, 3), (0, 0, 200), np.uint8))
    assert done
    return data.tobytes()


def test_a_picture_becomes_the_style_and_the_state_stays_small() -> None:
    with Show(WebSink("http://127.0.0.1:0"), styles=ANY) as show:
        assert ask(show, "/picture", picture_file(), X_Edge_Style="1")[0] == 200
        wait_for(lambda: show.commands)
        (command,) = show.commands
        assert command.name == "adopt"
        assert command.picture.shape == (20, 20, 3)
        assert command.picture[0, 0].tolist() == [200, 0, 0]
        assert show.controls.style == 1
        answer = ask(show, "/state")[1]
        assert len(answer) < 2000
        assert [style["adopts"] for style in json.loads(answer)["styles"]] == [False, True]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"no picture", "not a picture"),
        (picture_file(side=8), "16"),
        (b"", "no command"),
    ],
    ids=["no picture", "too small", "empty"],
)
def test_what_is_no_picture_is_refused(show: Show, body: bytes, said: str) -> None:
    status, answer, _ = ask(show, "/picture", body, method="POST", X_Edge_Style="1")
    assert status == 400
    assert said in answer.decode()
    assert show.commands == []


def test_a_picture_that_says_it_is_large_is_not_read(show: Show) -> None:
    size = {"Content_Length": str((1 << 20) + 1)}
    assert ask(show, "/picture", b"", method="POST", X_Edge_Style="1", **size)[0] == 400


def test_pictures_need_the_header_that_forms_lack(show: Show) -> None:
    assert ask(show, "/picture", picture_file())[0] == 403
    assert show.commands == []


def test_a_flood_of_commands_is_refused_and_no_queue_grows(show: Show) -> None:
    show.sink.poll = lambda: []  # type: ignore[method-assign]
    statuses = []
    connection = http.client.HTTPConnection("127.0.0.1", show.port, timeout=PATIENCE_S)
    headers = {"X-Edge-Style": "1"}
    for _ in range(260):
        connection.request("POST", "/command", json.dumps({"name": "next"}), headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses.count(200) <= 201
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8080"},
        {"Origin": "null"},
    ],
)
def test_pages_of_other_sites_neither_control_nor_look(show: Show, headers: dict[str, str]) -> None:
    wish = {"name": "strength", "value": 0}
    assert ask(show, "/command", wish, **COMMAND, **headers)[0] == 403
    for path in ("/stream", "/state", "/snapshot.jpg", "/keys"):
        assert ask(show, path, **headers)[0] == 403, path
    assert show.commands == []


def test_a_form_of_another_site_cannot_send_a_command(show: Show) -> None:
    # What a browser sends without asking first: no header of its own, a plain content type.
    wish = {"name": "strength", "value": 0}
    assert ask(show, "/command", wish, Content_Type="text/plain")[0] == 403
    assert ask(show, "/command", method="OPTIONS", Origin="http://evil.example")[0] in (403, 501)
    assert show.commands == []


def test_no_page_may_frame_this_one(show: Show) -> None:
    status, _, headers = ask(show, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    assert status == 200, "links to it work"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_other_addresses_need_the_token() -> None:
    with Show(WebSink("http://0.0.0.0:0")) as show:
        address, token = show.sink.greeting.removeprefix("watch at ").split("?token=")
        host = urlsplit(address).hostname
        assert host not in (None, "0.0.0.0"), "somebody elsewhere can type it"
        socket.create_connection((host, urlsplit(address).port), 5).close()
        assert len(token) >= 20
        for path in ("/", "/stream", "/state", "/snapshot.jpg", "/page.js", "/?token=wrong"):
            assert ask(show, path)[0] == 401, path
        wish = {"name": "strength", "value": 0}
        assert ask(show, "/command", wish, **COMMAND)[0] == 401
        assert ask(show, f"/command?token={token}", wish, **COMMAND)[0] == 401
        status, _, headers = ask(show, f"/?token={token}")
        assert (status, headers["Location"]) == (303, "/")
        assert "HttpOnly" in headers["Set-Cookie"]
        assert "SameSite=Lax" in headers["Set-Cookie"]
        assert token not in headers["Set-Cookie"]
        cookie = headers["Set-Cookie"].split(";")[0]
        assert ask(show, "/state", Cookie=cookie)[0] == 200
        assert ask(show, "/command", wish, Cookie=cookie, **COMMAND)[0] == 200
        assert ask(show, "/state", Authorization=f"Bearer {token}")[0] == 200
        assert ask(show, "/state", Cookie="edge_style_1=x; bad cookie")[0] == 401
        # Of other programs on this host.
        for others in ('theme={"dark":true,"n":1}', "flag", "theme=dark mode"):
            assert ask(show, "/state", Cookie=f"{others}; {cookie}")[0] == 200
            assert ask(show, "/state", Cookie=f"{cookie}; {others}")[0] == 200
        wait_for(lambda: len(show.commands) == 1)


def test_a_token_of_ones_own_is_needed_on_loopback_too() -> None:
    with Show(WebSink("http://127.0.0.1:0", token="open; sesame")) as show:
        assert show.sink.greeting.endswith("?token=open%3B%20sesame")
        assert ask(show, "/state")[0] == 401
        _, _, headers = ask(show, "/?token=open%3B%20sesame")
        assert ask(show, "/state", Cookie=headers["Set-Cookie"].split(";")[0])[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET " + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /command HTTP/1.1\r\nHost: localhost\r\nX-Edge-Style: 1\r\n\r\n",
        b"POST /command HTTP/1.1\r\nHost: localhost\r\nX-Edge-Style: 1\r\n"
        b"Content-Length: -1\r\n\r\n",
        b"GET /?token=%0d%0aX-Bad:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_odd_requests_do_no_harm(
    show: Show, request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", show.port), timeout=PATIENCE_S) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert b"X-Bad" not in answer
    assert b"root:" not in answer
    assert ask(show, "/state")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_an_address_that_is_taken_is_one_line(show: Show) -> None:
    with pytest.raises(SinkError, match="another port"):
        open_sink(f"http://127.0.0.1:{show.port}")


class Browser:
    """Headless Chromium, driven through ChromeDriver's own HTTP interface (W3C WebDriver)."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={self._port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._answers)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic"]
        flags += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
        flags += ["--disable-component-update", "--disable-dev-shm-usage"]
        flags += [f"--user-data-dir={folder}", "--window-size=1100,800"]
        options = {"goog:chromeOptions": {"args": flags}}
        wanted = {"capabilities": {"alwaysMatch": options}}
        self._session = self._call("POST", "/session", wanted)["sessionId"]

    def _answers(self) -> bool:
        try:
            return bool(self._call("GET", "/status")["ready"])
        except OSError:
            return False

    def _call(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}", data, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def do(self, path: str, **body: object) -> Any:
        return self._call("POST", f"/session/{self._session}{path}", body)

    def run(self, script: str) -> Any:
        return self.do("/execute/sync", script=script, args=[])

    def press(self, key: str) -> None:
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.do("/actions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def drag(self, x: int, y: int, to_x: int) -> None:
        moves = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "x": to_x, "y": y, "duration": 100},
            {"type": "pointerUp", "button": 0},
        ]
        self.do("/actions", actions=[{"type": "pointer", "id": "mouse", "actions": moves}])

    def click(self, element_id: str) -> None:
        found = self.do("/element", using="css selector", value=f"#{element_id}")
        self.do(f"/element/{next(iter(found.values()))}/click")

    def screenshot(self) -> bytes:
        import base64

        shot = self._call("GET", f"/session/{self._session}/screenshot")
        return base64.b64decode(shot)

    def close(self) -> None:
        self._call("DELETE", f"/session/{self._session}")
        self._driver.terminate()
        self._driver.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    # Continuous integration installs both and must run these tests; a laptop may lack them.
    if missing and "CI" not in os.environ:
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    running = Browser(tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


def test_the_page_shows_the_stream_and_has_the_controls(browser: Browser, tmp_path: Path) -> None:
    with Show(WebSink("http://127.0.0.1:0"), fps=20, size_px=(320, 240)) as show:
        browser.do("/url", url=f"http://127.0.0.1:{show.port}/")
        width = "return document.getElementById('picture').naturalWidth"
        wait_for(lambda: browser.run(width) == 320)
        wait_for(
            lambda: "fps" in browser.run("return document.getElementById('figures').innerText")
        )
        (tmp_path / "page.png").write_bytes(browser.screenshot())  # for people to look at
        options = browser.run("return [...document.getElementById('style').options].map(o=>o.text)")
        assert options == ["plain", "The Negative, Nobody"]
        assert first_pixels_change(browser), "the picture moves"

        for box, field in (
            ("colours", "keeps_colours"), ("steady", "is_steady"), ("mirror", "is_mirrored"),
            ("split", "is_split"), ("pause", "is_paused"), ("record", "is_recording"),
        ):  # fmt: skip
            browser.click(box)
            wait_for(lambda field=field: getattr(show.controls, field))
            if box == "split":  # a row more, which moves what is below it while that is clicked
                wait_for(lambda: browser.run("return !document.getElementById('edge-row').hidden"))
        browser.click("snapshot")
        wait_for(lambda: show.controls.snapshots == 1)
        for slider, value in (("strength", 0.3), ("edge", 0.75)):
            browser.run(
                f"const s = document.getElementById('{slider}'); s.value = {value};"
                "s.dispatchEvent(new Event('input'))"
            )
            wait_for(lambda name=slider, value=value: getattr(show.controls, name) == value)
        for select, value, field in (("style", 1, "style"), ("partner", 0, "partner")):
            wait_for(
                lambda name=select: browser.run(
                    f"return document.getElementById('{name}').options.length"
                )
            )
            browser.run(
                f"const s = document.getElementById('{select}'); s.value = {value};"
                "s.dispatchEvent(new Event('change'))"
            )
            wait_for(lambda field=field, value=value: getattr(show.controls, field) == value)
        # What others change is seen here.
        show.controls = obey(show.controls, Command("strength", 0.9), STYLES)
        show.sink.apply(ShowState(show.controls, STYLES, notice="strength 90%"))
        wait_for(lambda: browser.run("return document.getElementById('strength').value") == "0.9")
        wait_for(
            lambda: (
                browser.run("return document.getElementById('message').innerText") == "strength 90%"
            )
        )


def first_pixels_change(browser: Browser) -> bool:
    """Whether the picture in the page is another one after a while."""
    script = (
        "const i = document.getElementById('picture'), c = document.createElement('canvas');"
        "c.width = 320; c.height = 240; const g = c.getContext('2d'); g.drawImage(i, 0, 0);"
        "return Array.from(g.getImageData(0, 0, 40, 20).data).join()"
    )
    # A stream that was just opened anew has none.
    wait_for(lambda: browser.run("return document.getElementById('picture').naturalWidth"))
    first = browser.run(script)
    wait_for(lambda: browser.run(script) != first)
    return True


class Proxy:
    """Stands between the browser and the show, and cuts the stream while all else goes on.

    Attributes:
        how: "closes" the streams that are open, "is silent" on them and on new ones, or empty.
        opened_s: when a stream was asked for, `time.monotonic()`.
    """

    def __init__(self, show: Show) -> None:
        self.how = ""
        self.opened_s: list[float] = []
        self._target = ("127.0.0.1", show.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._streams: set[socket.socket] = set()
        self._fresh: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/"

    def cut(self, how: str) -> None:
        self.how = how
        if how == "closes":
            for connection in list(self._streams):
                hang_up(connection)

    def lose_all(self) -> None:
        """As when a computer comes to another network: nothing arrives, and nobody says so."""
        self._fresh.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                browser = self._listening.accept()[0]
                show = socket.create_connection(self._target)
                self._sockets += [browser, show]
                self._fresh.add(browser)
                for pump in (self._requests, self._answers):
                    ends = (browser, show)
                    threading.Thread(target=pump, args=ends, name="proxy", daemon=True).start()

    def _requests(self, browser: socket.socket, show: socket.socket) -> None:
        with suppress(OSError):
            while request := browser.recv(1 << 16):
                if request.startswith(b"GET /stream"):
                    self._streams.add(browser)
                    self.opened_s.append(time.monotonic())
                show.sendall(request)
        hang_up(show)

    def _answers(self, browser: socket.socket, show: socket.socket) -> None:
        with suppress(OSError):
            while data := show.recv(1 << 16):
                is_cut = browser in self._streams and self.how == "is silent"
                if browser in self._fresh and not is_cut:
                    browser.sendall(data)
        hang_up(browser)

    def close(self) -> None:
        for connection in (self._listening, *self._sockets):
            hang_up(connection)
            connection.close()


def hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("how", ["closes", "is silent"])
def test_a_stream_that_is_cut_is_opened_anew(browser: Browser, how: str) -> None:
    with Show(WebSink("http://127.0.0.1:0"), fps=20, size_px=(320, 240)) as show:
        proxy = Proxy(show)
        browser.do("/url", url=proxy.url)
        wait_for(lambda: browser.run("return document.getElementById('picture').naturalWidth"))
        assert first_pixels_change(browser)
        asked = len(proxy.opened_s)
        proxy.cut(how)
        wait_for(lambda: len(proxy.opened_s) > asked)
        if how == "is silent":  # also on the new one: the next try comes later
            wait_for(lambda: len(proxy.opened_s) > asked + 1)
            assert proxy.opened_s[-1] - proxy.opened_s[-2] > 6
            proxy.how = ""
            browser.run("window.dispatchEvent(new Event('online'))")
            wait_for(lambda: len(proxy.opened_s) > asked + 2)
        assert first_pixels_change(browser)
        proxy.close()


def test_a_connection_that_is_lost_without_a_word(browser: Browser) -> None:
    message = "const m = document.getElementById('message'); return m.hidden ? '' : m.innerText"
    with Show(WebSink("http://127.0.0.1:0"), fps=20, size_px=(320, 240)) as show:
        proxy = Proxy(show)
        browser.do("/url", url=proxy.url)
        wait_for(lambda: browser.run("return document.getElementById('picture').naturalWidth"))
        proxy.lose_all()
        wait_for(lambda: "no connection" in browser.run(message))
        # One try for each of the connections, six at most, that the browser kept for later.
        wait_for(lambda: browser.run(message) == "", patience_s=2 * PATIENCE_S)
        assert first_pixels_change(browser)
        browser.press("m")
        wait_for(lambda: show.controls.is_mirrored)
        proxy.close()


def test_a_picture_that_stands_still_is_not_fetched_anew(browser: Browser) -> None:
    with Show(WebSink("http://127.0.0.1:0"), fps=20, size_px=(320, 240)) as show:
        proxy = Proxy(show)
        browser.do("/url", url=proxy.url)
        wait_for(lambda: browser.run("return document.getElementById('picture').naturalWidth"))
        show.is_paused = True
        time.sleep(6)
        assert len(proxy.opened_s) == 1
        proxy.close()


def test_full_screen_on_phones_that_have_none(browser: Browser) -> None:
    with Show(WebSink("http://127.0.0.1:0"), fps=20, size_px=(320, 240)) as show:
        browser.do("/url", url=f"http://127.0.0.1:{show.port}/")
        browser.run("Object.defineProperty(document, 'fullscreenEnabled', {get: () => false})")
        browser.run("Element.prototype.requestFullscreen = undefined")
        fills = (
            "return ['stage', 'picture'].every((id) => {"
            " const box = document.getElementById(id).getBoundingClientRect();"
            " return box.top === 0 && box.left === 0"
            "  && box.width === innerWidth && box.height === innerHeight; })"
        )
        leave = "return document.getElementById('leave-full').offsetWidth > 0"
        for leave_it in (lambda: browser.click("leave-full"), lambda: browser.press("\ue00c")):
            assert browser.run(leave) is False
            browser.click("fullscreen")
            assert browser.run(fills)
            leave_it()
            assert not browser.run(fills)


def test_keys_and_the_mouse_work_on_the_page(browser: Browser) -> None:
    with Show(WebSink("http://127.0.0.1:0"), fps=20, size_px=(320, 240)) as show:
        browser.do("/url", url=f"http://127.0.0.1:{show.port}/")
        wait_for(lambda: browser.run("return document.getElementById('keys').children.length"))
        for key, field, value in (
            ("-", "strength", 0.9), ("2", "style", 1), ("b", "partner", 0), (".", "blend", 0.6),
            ("M", "is_mirrored", True), ("t", "is_steady", True), ("v", "is_split", True),
            (" ", "is_paused", True),
        ):  # fmt: skip
            browser.press(key)
            wait_for(lambda field=field, value=value: getattr(show.controls, field) == value)
        before = show.controls
        for arrow in "\ue012\ue013\ue014\ue015":
            browser.press(arrow)
        browser.run("document.getElementById('mirror').focus()")  # as after a click on it
        browser.press("c")
        wait_for(lambda: show.controls == replace(before, keeps_colours=True))
        wait_for(lambda: browser.run("return document.getElementById('split').checked"))
        box = browser.run(
            "const r = document.getElementById('picture').getBoundingClientRect();"
            "return [r.left, r.top, r.width, r.height]"
        )
        left, top, width, height = (round(number) for number in box)
        browser.drag(left + width // 2, top + height // 2, left + width * 3 // 4)
        wait_for(lambda: abs(show.controls.edge - 0.75) < 0.05)


def test_a_held_key_does_once_what_is_no_step(browser: Browser) -> None:
    with Show(WebSink("http://127.0.0.1:0"), fps=20) as show:
        browser.do("/url", url=f"http://127.0.0.1:{show.port}/")
        wait_for(lambda: browser.run("return document.getElementById('keys').children.length"))
        for key in "cs-":
            for is_repeated in ("false", "true", "true"):
                browser.run(
                    f"document.body.dispatchEvent(new KeyboardEvent('keydown', "
                    f"{{key: '{key}', repeat: {is_repeated}, bubbles: true}}))"
                )
        browser.press("v")
        wait_for(lambda: show.controls.is_split)
        wait_for(lambda: show.controls.strength == pytest.approx(0.7))
        wait_for(lambda: show.controls.snapshots and show.controls.keeps_colours)
        assert show.controls.snapshots == 1


DROP = """
const canvas = document.createElement("canvas");
canvas.width = 900; canvas.height = 600;
const g = canvas.getContext("2d"); g.fillStyle = "rgb(200,0,0)"; g.fillRect(0, 0, 900, 600);
canvas.toBlob((blob) => {
  const data = new DataTransfer();
  data.items.add(new File([blob], "red.png", { type: "image/png" }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
});
"""


def test_a_picture_that_is_dropped_on_the_page_becomes_the_style(browser: Browser) -> None:
    hidden = "return document.getElementById('any').hidden"
    with Show(WebSink("http://127.0.0.1:0"), fps=20, styles=ANY) as show:
        browser.do("/url", url=f"http://127.0.0.1:{show.port}/")
        wait_for(lambda: browser.run(hidden) is False)
        browser.run(DROP)
        wait_for(lambda: show.commands)
        picture = show.commands[0].picture
        assert picture.shape == (341, 512, 3), "made small on the way"
        assert np.abs(picture.mean(axis=(0, 1)) - (200, 0, 0)).max() < 4
        browser.press("a")
        wait_for(lambda: show.controls.adopted == 2)
        assert show.controls.adopted_picture is None
    with Show(WebSink("http://127.0.0.1:0"), fps=20) as show:
        browser.do("/url", url=f"http://127.0.0.1:{show.port}/")
        wait_for(lambda: browser.run("return document.getElementById('style').options.length"))
        assert browser.run(hidden) is True
        browser.run(DROP)
        wait_for(
            lambda: (
                "none of the networks"
                in browser.run("return document.getElementById('message').innerText")
            )
        )
        assert show.commands == []


def test_a_page_of_another_site_cannot_control_the_show(browser: Browser, tmp_path: Path) -> None:
    """With a real browser: another origin tries a form, a fetch, an image and a frame."""
    import functools
    import http.server

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with Show(WebSink("http://127.0.0.1:0"), fps=20) as show:
        target = f"http://127.0.0.1:{show.port}"
        (tmp_path / "evil.html").write_text(
            f"""<img id=i src="{target}/snapshot.jpg"><iframe src="{target}/"></iframe><script>
            window.done = 0;
            fetch("{target}/command", {{method: "POST", mode: "no-cors",
                body: '{{"name":"mirror"}}'}}).finally(() => window.done++);
            fetch("{target}/command", {{method: "POST", headers: {{"X-Edge-Style": "1"}},
                body: '{{"name":"mirror"}}'}}).catch(() => 0).finally(() => window.done++);
            fetch("{target}/state").then(() => window.read = 1).catch(() => 0)
                .finally(() => window.done++);
            </script>"""
        )
        evil = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path))
        )
        threading.Thread(target=evil.serve_forever, name="evil", daemon=True).start()
        try:
            browser.do("/url", url=f"http://localhost:{evil.server_port}/evil.html")
            wait_for(lambda: browser.run("return window.done") == 3)
            assert browser.run("return document.getElementById('i').naturalWidth") == 0
            assert browser.run("return window.read") is None
        finally:
            evil.shutdown()
            evil.server_close()
        frames = show.frames
        wait_for(lambda: show.frames > frames + 3)
        assert show.commands == []
