"""A proxy between the app and Azurite that loses, delays and refuses calls as it is told.

It understands just enough HTTP/1.1 to know where a request and its answer end. Shared-key signatures cover the path and
some headers, not the port, so requests pass unchanged. A call that has begun is carried to its end even when its caller
has died: what a killed process had sent still arrives, as on a real network.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING, NamedTuple

from tools.azurite.azurite import Ports
from tools.chaos.faults import Call, Fault, Mishap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Choose = Callable[[Call], Mishap | None]

_HOST = "127.0.0.1"
_HEAD_BYTES = 256 * 1024
_ERRORS = {
    Fault.BUSY: ("503 Service Unavailable", "ServerBusy", "The server is busy."),
    Fault.BROKEN: ("500 Internal Server Error", "InternalError", "The server encountered an internal error."),
    Fault.BROKEN_AFTER: ("500 Internal Server Error", "OperationTimedOut", "The operation could not be completed."),
}


class _Message(NamedTuple):
    """One request or answer as it came: first line and headers, then the body with its framing."""

    head: bytes
    body: bytes

    @property
    def first_line(self) -> list[str]:
        return self.head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)


@contextlib.contextmanager
def between(ports: Ports, choose: Choose) -> Iterator[Ports]:
    """Stand before Azurite for the length of the block; yields the ports to use instead of its own.

    Args:
        ports: Where Azurite listens.
        choose: Asked once for each call, on the proxy's own thread; must not block.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    proxy = _Proxy(choose)

    def run(work: object) -> object:
        return asyncio.run_coroutine_threadsafe(work, loop).result()  # type: ignore[arg-type]

    try:
        fronts = {service: run(proxy.listen(service, port)) for service, port in ports._asdict().items()}
        yield Ports(**fronts)  # type: ignore[arg-type]
    finally:
        run(proxy.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Proxy:
    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, service: str, port: int) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task:
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await _Connection(service, port, self._choose, reader, writer).serve()

        server = await asyncio.start_server(serve, _HOST, 0, limit=_HEAD_BYTES)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Connection:
    """One connection of a client, and the one to Azurite behind it."""

    def __init__(
        self,
        service: str,
        port: int,
        choose: Choose,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._service, self._port, self._choose = service, port, choose
        self._reader, self._writer = reader, writer
        self._behind: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def serve(self) -> None:
        try:
            while await self._pass_one():
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side is gone, or the proxy ends: so does this connection
        finally:
            self._writer.transport.abort()
            if self._behind:
                self._behind[1].transport.abort()

    async def _pass_one(self) -> bool:
        """Pass one call; False when the connection is to be dropped."""
        request = await _read(self._reader)
        method, target, _ = request.first_line
        mishap = self._choose(Call(self._service, method, target.partition("?")[0])) or None
        fault, seconds = mishap or (None, 0.0)
        if fault is Fault.DROPPED:
            return False
        if fault in (Fault.BUSY, Fault.BROKEN):
            return await self._answer(_refusal(fault, self._service, method))
        if fault is Fault.LATE:
            await asyncio.sleep(seconds)
        answer = await self._forwarded(request, method)
        if fault is Fault.DROPPED_AFTER:
            return False
        if fault is Fault.BROKEN_AFTER:
            return await self._answer(_refusal(fault, self._service, method))
        if fault is Fault.CUT:
            if answer.body:  # without one there is nothing to cut: it is dropped
                await self._answer(answer.head + answer.body[: len(answer.body) // 2])
            return False
        if fault is Fault.SLOW:
            await asyncio.sleep(seconds)
        return await self._answer(answer.head + answer.body)

    async def _forwarded(self, request: _Message, method: str) -> _Message:
        if self._behind is None:
            self._behind = await asyncio.open_connection(_HOST, self._port, limit=_HEAD_BYTES)
        reader, writer = self._behind
        writer.write(request.head + request.body)
        await writer.drain()
        return await _read(reader, answers=method)

    async def _answer(self, content: bytes) -> bool:
        self._writer.write(content)
        await self._writer.drain()
        return True


async def _read(reader: asyncio.StreamReader, *, answers: str | None = None) -> _Message:
    """Read one message; ``answers`` is the method of the request it answers, ``None`` for a request."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = {}
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    if answers == "HEAD" or (answers and head.split(b" ", 2)[1] in (b"204", b"304")):
        return _Message(head, b"")
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        return _Message(head, await _chunks(reader))
    return _Message(head, await reader.readexactly(int(headers.get(b"content-length", b"0"))))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a chunked body to its end, framing included; trailers are not used by storage."""
    parts = []
    while True:
        size = await reader.readuntil(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        parts += [size, await reader.readexactly(length + len(b"\r\n"))]
        if length == 0:
            return b"".join(parts)


def _refusal(fault: Fault, service: str, method: str) -> bytes:
    """What the service itself answers: XML from blobs and queues, OData's JSON from tables."""
    status, code, message = _ERRORS[fault]
    if service == "table":
        kind = "application/json;odata=minimalmetadata"
        text = json.dumps({"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}})
    else:
        kind = "application/xml"
        text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    headers = (
        f"HTTP/1.1 {status}",
        f"x-ms-error-code: {code}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(text)}",
    )
    return "\r\n".join((*headers, "", "" if method == "HEAD" else text)).encode()
