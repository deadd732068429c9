"""The routes: the page, the stream, the state, the commands."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from edge_style.controls import Command
from edge_style.errors import ImageError
from edge_style.images import decode_image, ensure_min_side
from edge_style.sinks.keys import KEYS
from edge_style.sinks.web.broadcast import Broadcast
from edge_style.sinks.web.guard import COMMAND_HEADER, Guard

# What the page may ask for. It cannot end the program, since it could not start it again.
WEB_COMMANDS = frozenset(
    {
        *("next", "previous", "style", "partner", "blend", "strength", "colours"),
        *("steady", "mirror", "split", "edge", "pause", "snapshot", "record", "adopt"),
    }
)
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
_BOUNDARY = b"edge-style-frame"
_MOST_CONNECTIONS = 64
_LONGEST_COMMAND = 1024
_LARGEST_PICTURE = 1 << 20  # the page makes pictures small before it sends them
_SILENCE_S = 15.0  # of a client that asks for nothing, or takes nothing
_STILL_S = 5.0  # a picture that stands still is sent again, to find out who is gone
_SEND_BUFFER = 1 << 17  # a few pictures: what waits in the system's buffer is old when it is seen
_JOIN_S = 2.0


class Server(ThreadingHTTPServer):
    """Serves one show.

    Args:
        address: (host, port) to listen on.
        guard: who may do what.
        broadcast: the pictures.
        state: gives what `/state` says.
        ask: takes a command; False if there are too many.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(
        self,
        address: tuple[str, int],
        guard: Guard,
        broadcast: Broadcast,
        state: Callable[[], dict[str, Any]],
        ask: Callable[[Command], bool],
    ) -> None:
        self.guard, self.broadcast, self.state, self.ask = guard, broadcast, state, ask
        self._free = threading.Semaphore(_MOST_CONNECTIONS)
        self._busy: dict[threading.Thread, socket.socket] = {}
        self._busy_lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread per connection, but no more than there is room for."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread."""
        with self._busy_lock:
            self._busy[threading.current_thread()] = request
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._busy_lock:
                del self._busy[threading.current_thread()]
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A viewer who hangs up is no error, and nothing is printed about strangers' requests."""

    def stop(self) -> None:
        """Hang up on everybody, and wait until their threads have ended."""
        self.shutdown()
        self.broadcast.close()
        with self._busy_lock:
            busy = dict(self._busy)
        for connection in busy.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in busy:
            thread.join(_JOIN_S)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "edge-style"
    sys_version = ""
    timeout = _SILENCE_S
    disable_nagle_algorithm = True  # head and body are written apart, and would wait for each other

    def log_message(self, *_: object) -> None:
        """The terminal is not for this."""

    @property
    def _cookie_name(self) -> str:
        # Cookies do not know ports, and two shows may run on one computer.
        return f"edge_style_{self.server.server_port}"

    def do_GET(self) -> None:
        """The page and what belongs to it."""
        url = urlsplit(self.path)
        token = parse_qs(url.query).get("token", [None])[0]
        if not self._is_welcome(token, is_page=url.path == "/"):
            return
        if url.path == "/" and token:
            self._remember()
        elif url.path in _FILES:
            name, kind = _FILES[url.path]
            self._answer(HTTPStatus.OK, _read(name), kind)
        elif url.path == "/stream":
            self._stream()
        elif url.path == "/state":
            self._answer_json(self.server.state())
        elif url.path == "/keys":
            self._answer_json(_KEYS)
        elif url.path == "/snapshot.jpg":
            self._answer_snapshot()
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")

    def do_POST(self) -> None:
        """A command."""
        # What is refused is not read, so that nothing of it is taken for another request.
        self.close_connection = True
        if not self._is_welcome(None, is_page=False):
            return
        if self.headers.get(COMMAND_HEADER) is None:
            self._refuse(HTTPStatus.FORBIDDEN, f"commands need the header {COMMAND_HEADER}")
            return
        readers = {"/command": self._read_command, "/picture": self._read_picture}
        read = readers.get(urlsplit(self.path).path)
        if read is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here")
            return
        try:
            command = read()
        except ImageError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        except (ValueError, TypeError, KeyError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST, "this is no command")
            return
        self.close_connection = False
        if self.server.ask(command):
            self._answer_json({})
        else:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "too many commands")

    def _read_command(self) -> Command:
        """The command in the body; ValueError, TypeError or KeyError if it is none."""
        length = int(self.headers["Content-Length"])
        if not 0 < length <= _LONGEST_COMMAND:
            raise ValueError("too long")
        wish = json.loads(self.rfile.read(length))
        name, value = wish["name"], wish.get("value")
        if name not in WEB_COMMANDS:
            raise ValueError("unknown")
        return Command(name, None if value is None else float(value), wish.get("step") is True)

    def _read_picture(self) -> Command:
        """To paint like the picture in the body; ValueError or TypeError if it has no fit size.

        Raises:
            ImageError: it is no picture, or a very small one.
        """
        length = int(self.headers["Content-Length"])
        if not 0 < length <= _LARGEST_PICTURE:
            raise ValueError("too large")
        picture = decode_image(self.rfile.read(length))
        ensure_min_side(picture)
        return Command("adopt", picture=picture)

    def _is_welcome(self, token: str | None, *, is_page: bool) -> bool:
        reason = self.server.guard.refusal(self.headers, is_page=is_page)
        if reason is not None:
            self._refuse(HTTPStatus.FORBIDDEN, reason)
            return False
        if not self.server.guard.knows(self.headers, token, self._cookie_name):
            self._refuse(
                HTTPStatus.UNAUTHORIZED, "add ?token=... as edge-style printed it at its start"
            )
            return False
        return True

    def _remember(self) -> None:
        """Put the token into a cookie, and out of the address bar."""
        self.send_response(HTTPStatus.SEE_OTHER)
        cookie = f"{self._cookie_name}={self.server.guard.cookie}"
        self.send_header("Set-Cookie", f"{cookie}; HttpOnly; SameSite=Lax; Path=/")
        self.send_header("Location", "/")
        self._end_headers(0)

    def _stream(self) -> None:
        """JPEG pictures one behind the other, each the newest when it is sent."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.send_response(HTTPStatus.OK)
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY.decode()}"
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self._end_headers(None)
        broadcast = self.server.broadcast
        broadcast.join()
        try:
            self.wfile.write(b"--" + _BOUNDARY + b"\r\n")
            number = 0
            while True:
                number, jpeg = broadcast.newer_than(number, _STILL_S)
                if broadcast.is_closed:
                    return
                if jpeg:
                    # The boundary comes with the picture, for browsers show it only then.
                    head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                    self.wfile.write(head + jpeg + b"\r\n--" + _BOUNDARY + b"\r\n")
        finally:
            broadcast.leave()

    def _answer_snapshot(self) -> None:
        jpeg = self.server.broadcast.snapshot()
        if jpeg is None:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "no picture yet")
        else:
            self._answer(HTTPStatus.OK, jpeg, "image/jpeg")

    def _answer_json(self, value: object) -> None:
        self._answer(HTTPStatus.OK, json.dumps(value).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._answer(status, reason.encode() + b"\n", "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self._end_headers(len(body))
        self.wfile.write(body)

    def _end_headers(self, length: int | None) -> None:
        if length is not None:
            self.send_header("Content-Length", str(length))
        # No other page may frame this one and have its buttons clicked unseen.
        policy = "default-src 'self'; frame-ancestors 'none'; form-action 'none'"
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()


@lru_cache
def _read(name: str) -> bytes:
    return files("edge_style.sinks.web").joinpath(name).read_bytes()


_KEYS = [
    {
        "keys": key.keys,
        "label": key.label or key.keys,
        "help": key.help,
        "name": key.command.name,
        "value": key.command.value,
        "step": key.command.is_step,
    }
    for key in KEYS
    if key.command.name in WEB_COMMANDS
]
