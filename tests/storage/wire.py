"""A loopback connection between the SDK and the emulator that counts bytes and can lose a response."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Wire:
    """Forwards HTTP/1.1 exchanges to one port, one at a time per connection.

    Attributes:
        port: Where to connect, on 127.0.0.1.
        requests: The request lines seen.
        body_bytes: Bytes of response bodies that were passed on.
        lose_answer: Called with each request line; true lets the request take effect and drops its response.
        body_limit: A response body is cut after this many bytes and the connection dropped; ``None`` passes all.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[str] = []
        self.body_bytes = 0
        self.body_limit: int | None = None
        self.lose_answer: Callable[[str], bool] = lambda _line: False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and end the thread that waits for the next connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            while True:
                head, body, length = _head(client)
                if not head:
                    return
                line = head.partition(b"\r\n")[0].decode()
                self.requests.append(line)
                server.sendall(head + body)
                for piece in _rest(client, length - len(body)):
                    server.sendall(piece)
                head, body, length = _head(server)
                if self.lose_answer(line):
                    return
                client.sendall(head)
                if line.startswith("HEAD "):
                    continue
                allowed = self.body_limit
                for piece in (body, *_rest(server, length - len(body))):
                    passed = piece if allowed is None else piece[:allowed]
                    client.sendall(passed)
                    self.body_bytes += len(passed)
                    if allowed is not None:
                        allowed -= len(passed)
                        if len(passed) < len(piece):
                            return


@contextmanager
def wire(target: int) -> Iterator[Wire]:
    """A wire to a port, for the length of the block."""
    between = Wire(target)
    try:
        yield between
    finally:
        between.close()


def _head(source: socket.socket) -> tuple[bytes, bytes, int]:
    """Headers with their blank line, the part of the body received with them, and the body's length."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = source.recv(65536)
        if not piece:
            return b"", b"", 0
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + b"\r\n\r\n", body, int(length[1]) if length else 0


def _rest(source: socket.socket, missing: int) -> Iterator[bytes]:
    while missing > 0:
        piece = source.recv(min(missing, 65536))
        if not piece:
            return
        missing -= len(piece)
        yield piece
