"""Serves a site on this machine's loopback, with the headers that threads in browsers need."""

import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from edge_style.errors import UsageError
from edge_style.web.site import INDEX, VERSIONED_FOLDERS, Site

HOST = "127.0.0.1"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".gz": "application/gzip",
}
# The page is alone in its process, which browsers ask for before they give it shared memory.
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_POLICY = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"')


class WebServer:
    """A server for one site; `with` closes it.

    Attributes:
        url: where the page is.
    """

    def __init__(self, site: Site, port: int) -> None:
        """Take the port.

        Args:
            site: what to serve.
            port: 0 for any that is free.

        Raises:
            UsageError: the port is taken, or not allowed.
        """
        try:
            self._server = _Server(site, port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"port {port} cannot be used ({reason}): try another --port") from None
        self.url = f"http://{HOST}:{self._server.server_address[1]}/"

    def serve(self) -> None:
        """Serve until `stop`, from another thread, or Ctrl-C."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End `serve`."""
        self._server.shutdown()

    def __enter__(self) -> "WebServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        # The policy is written once, in the page, for hosts that send no headers.
        policy = _POLICY.search(site.read(INDEX).decode("utf-8"))
        if policy is None:
            raise ValueError(f"{INDEX} has no content security policy")
        self.policy = f"{policy[1]}; frame-ancestors 'none'"
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A tab that was closed in the middle of a file is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Answer with a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with a file's headers."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        address = unquote(urlsplit(self.path).path).removeprefix("/") or INDEX
        # Only what the site lists is served: there is no way from an address to other files.
        if address in self.server.site.files:
            status, body = HTTPStatus.OK, self.server.site.read(address)
        else:
            status, body = HTTPStatus.NOT_FOUND, b"not found\n"
        self.send_response(status)
        kind = _TYPES.get(PurePosixPath(address).suffix, "application/octet-stream")
        self.send_header("Content-Type", kind if status == HTTPStatus.OK else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        is_versioned = status == HTTPStatus.OK and address.split("/")[0] in VERSIONED_FOLDERS
        cache = "max-age=31536000, immutable" if is_versioned else "no-cache"
        self.send_header("Cache-Control", cache)
        self.send_header("Content-Security-Policy", self.server.policy)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: a page with its files is a screen full of lines."""
