"""`--output http://HOST:PORT`."""

import queue
import socket
import threading
import time
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote, urlsplit

from edge_style.controls import Command, Notice, ShowState
from edge_style.errors import SinkError
from edge_style.sinks.base import Sink, StyledFrame
from edge_style.sinks.web.broadcast import Broadcast
from edge_style.sinks.web.guard import Guard
from edge_style.sinks.web.server import Server

DEFAULT_PORT = 8080
# Where nothing is sent to: for asking which of this machine's addresses the way there begins with.
_ELSEWHERE = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}
_MOST_WAITING = 200


class WebSink(Sink):
    """Serves the picture and its controls to browsers.

    Args:
        address: `http://localhost:8080`, or `http://0.0.0.0:8080` for the whole network.
        token: what viewers must know; one is made up where it is needed and none was given.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        try:
            url = urlsplit(address)
            host, port = url.hostname, url.port
        except ValueError:
            host = port = None
        if not host or url.path not in ("", "/") or url.query or url.username:
            raise SinkError(
                "expected --output http://HOST:PORT, such as http://localhost:8080, "
                f"got '{address}'"
            )
        self._broadcast = Broadcast()
        self._commands: queue.Queue[Command] = queue.Queue(_MOST_WAITING)
        self._state: ShowState | None = None
        self._frame: StyledFrame | None = None
        self._notices = 0
        self._notice = ""
        self._thread: threading.Thread | None = None
        guard = Guard(host, token)
        wanted = DEFAULT_PORT if port is None else port
        try:
            self._server = Server((host, wanted), guard, self._broadcast, self._tell, self._take)
        except OSError as error:
            raise SinkError(
                f"cannot listen on {host}:{wanted}: {error.strerror}; choose another port"
            ) from error
        host = _reachable(host)
        shown_host = f"[{host}]" if ":" in host else host
        query = "" if guard.token is None else f"?token={quote(guard.token)}"
        self.greeting = f"watch at http://{shown_host}:{self._server.server_port}/{query}"

    def open(self) -> None:
        self._broadcast.start()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="web-server", daemon=True
        )
        self._thread.start()

    def apply(self, state: ShowState) -> None:
        if state.notice:
            # Kept until the next one: what changes behind it may come before anybody asks.
            self._notices, self._notice = self._notices + 1, state.notice
        self._state = state

    def write(self, frame: StyledFrame) -> None:
        self._frame = frame
        self._broadcast.publish(frame.image)

    def poll(self) -> list[Command | Notice]:
        found: list[Command | Notice] = []
        while not self._commands.empty():
            found.append(self._commands.get_nowait())
        return found

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - it ends either way
        if self._thread is None:
            self._server.server_close()
            return
        self._server.stop()
        self._thread.join()
        self._thread = None

    # In the threads of the server

    def _take(self, command: Command) -> bool:
        try:
            self._commands.put_nowait(command)
        except queue.Full:
            return False
        return True

    def _tell(self) -> dict[str, Any]:
        state, frame = self._state, self._frame
        told: dict[str, Any] = {
            "viewers": self._broadcast.viewers,
            "pictures": self._broadcast.published,
            "at_s": time.monotonic(),
        }
        if state is not None:
            told["controls"] = asdict(replace(state.controls, adopted_picture=None))
            told["styles"] = [
                {"title": style.title, "network": style.network, "adopts": style.adopts}
                for style in state.styles
            ]
            told["notice"] = {"number": self._notices, "text": self._notice}
            told["trouble"] = state.trouble
        if frame is not None:
            told["figures"] = {
                "fps": frame.fps,
                "latency_ms": frame.latency_ms,
                "size": f"{frame.image.shape[1]}x{frame.image.shape[0]}",
                "network_size": frame.network_px and f"{frame.network_px[0]}x{frame.network_px[1]}",
                "provider": frame.provider,
                "title": frame.title,
            }
        return told


def _reachable(host: str) -> str:
    """What others can type to come here, where `host` stands for all addresses of this machine."""
    if host not in _ELSEWHERE:
        return host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((_ELSEWHERE[host], 9))
            return str(asking.getsockname()[0])
    except OSError:  # without a network there is its name at best
        return socket.gethostname()
