"""An HTTP server on the loopback address that interrupts, refuses and changes downloads on request."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Site:
    """The files that the server sends, and its faults.

    Attributes:
        files: Content by path.
        etags: ETag by path; a path without one is sent without ETag.
        cuts: For each of the next requests, how many bytes of the body are sent before the connection drops.
        statuses: For each of the next requests, the status of the response instead.
        ignores_range: Whether a request for a range gets the whole file.
        chunked: Whether the response has no ``Content-Length``.
        url: The server's address.
        requests: Path, ``Range`` and ``If-Range`` of every request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.ignores_range = False
        self.chunked = False
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.url = ""


class _Server(ThreadingHTTPServer):
    site: Site

    def handle_error(self, *_: object) -> None:
        """Print nothing: the tests make clients disconnect."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        site = self.server.site
        requested, condition = self.headers.get("Range"), self.headers.get("If-Range")
        path = self.path.partition("?")[0]
        site.requests.append((path, requested, condition))
        if site.statuses:
            self._answer(site.statuses.pop(0), b"<html>sorry</html>", {})
        elif path not in site.files:
            self._answer(404, b"<html>gone</html>", {})
        else:
            self._serve(site.files[path], site.etags.get(path), requested, condition)

    def _serve(self, content: bytes, etag: str | None, requested: str | None, condition: str | None) -> None:
        headers = {"ETag": etag} if etag else {}
        if not requested or self.server.site.ignores_range or (condition is not None and condition != etag):
            self._answer(200, content, headers)
            return
        start = int(requested.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        else:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._answer(206, content[start:], {**headers, "Content-Range": span})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        site = self.server.site
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if site.chunked:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = site.cuts.pop(0) if site.cuts else None
        self.wfile.write(body[:cut])
        if cut is not None or site.chunked:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Site]:
    """Serve a site until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.site = Site()
    server.site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
