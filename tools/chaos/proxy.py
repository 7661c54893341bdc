"""A proxy between the app and Azurite that drops, delays and refuses storage calls.

It parses just enough HTTP/1.1 to find the end of each request and response. Shared-key signatures cover the path and
some headers, but not the port, so requests pass unchanged. A request that has arrived is executed even when its caller
was killed meanwhile, as on a real network.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING, NamedTuple

from tools.azurite.azurite import Ports
from tools.chaos.faults import Call, FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.chaos.faults import SelectFault

_HOST = "127.0.0.1"
_MAX_HEAD_BYTES = 256 * 1024
_ERRORS = {
    FaultKind.BUSY: ("503 Service Unavailable", "ServerBusy", "The server is busy."),
    FaultKind.ERROR: ("500 Internal Server Error", "InternalError", "The server encountered an internal error."),
    FaultKind.ERROR_AFTER: ("500 Internal Server Error", "OperationTimedOut", "The operation could not be completed."),
    FaultKind.LOCKED: (
        "409 Conflict",
        "BlobUsesCustomerSpecifiedEncryption",
        "The blob has another key.",
    ),
    FaultKind.DENIED: ("403 Forbidden", "AuthorizationPermissionMismatch", "This request is not authorized."),
}


class _Message(NamedTuple):
    """One request or response as received: first line and headers, then the body with its chunk framing."""

    head: bytes
    body: bytes

    @property
    def first_line(self) -> list[str]:
        return self.head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)


@contextlib.contextmanager
def fault_proxy(ports: Ports, select_fault: SelectFault) -> Iterator[Ports]:
    """Run the proxy for the length of the block; yields its ports, to use instead of Azurite's.

    Args:
        ports: Azurite's ports.
        select_fault: Called once for each call, on the proxy's thread; must not block.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy", daemon=True)
    thread.start()
    proxy = _Proxy(select_fault)

    def run(work: object) -> object:
        return asyncio.run_coroutine_threadsafe(work, loop).result()  # type: ignore[arg-type]

    try:
        proxy_ports = {service: run(proxy.listen(service, port)) for service, port in ports._asdict().items()}
        yield Ports(**proxy_ports)  # type: ignore[arg-type]
    finally:
        run(proxy.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Proxy:
    def __init__(self, select_fault: SelectFault) -> None:
        self._select_fault = select_fault
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, service: str, port: int) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task:
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await _Connection(service, port, self._select_fault, reader, writer).serve()

        server = await asyncio.start_server(serve, _HOST, 0, limit=_MAX_HEAD_BYTES)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Connection:
    """One connection from a client, and the connection to Azurite that belongs to it."""

    def __init__(
        self,
        service: str,
        port: int,
        select_fault: SelectFault,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._service, self._port, self._select_fault = service, port, select_fault
        self._reader, self._writer = reader, writer
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def serve(self) -> None:
        try:
            while await self._forward_one():
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a peer disconnected, or the proxy is closing
        finally:
            self._writer.transport.abort()
            if self._upstream:
                self._upstream[1].transport.abort()

    async def _forward_one(self) -> bool:
        """Forward one call; return False if the connection must be dropped."""
        request = await _read(self._reader)
        method, target, _ = request.first_line
        fault = self._select_fault(Call(self._service, method, target.partition("?")[0]))
        kind, delay_seconds = fault or (None, 0.0)
        if kind in (FaultKind.DROPPED, FaultKind.HANG):
            await asyncio.sleep(delay_seconds)  # 0 unless it hangs
            return False
        if kind in (FaultKind.BUSY, FaultKind.ERROR, FaultKind.LOCKED, FaultKind.DENIED):
            return await self._respond(_error_response(kind, self._service, method))
        if kind is FaultKind.LATE_REQUEST:
            await asyncio.sleep(delay_seconds)
        response = await self._execute(request, method)
        if kind is FaultKind.DROPPED_AFTER:
            return False
        if kind is FaultKind.ERROR_AFTER:
            return await self._respond(_error_response(kind, self._service, method))
        if kind is FaultKind.TRUNCATED:
            if response.body:  # a response without a body is dropped instead
                await self._respond(response.head + response.body[: len(response.body) // 2])
            return False
        if kind is FaultKind.LATE_RESPONSE:
            await asyncio.sleep(delay_seconds)
        return await self._respond(response.head + response.body)

    async def _execute(self, request: _Message, method: str) -> _Message:
        if self._upstream is None:
            self._upstream = await asyncio.open_connection(_HOST, self._port, limit=_MAX_HEAD_BYTES)
        reader, writer = self._upstream
        writer.write(request.head + request.body)
        await writer.drain()
        return await _read(reader, response_to=method)

    async def _respond(self, content: bytes) -> bool:
        self._writer.write(content)
        await self._writer.drain()
        return True


async def _read(reader: asyncio.StreamReader, *, response_to: str | None = None) -> _Message:
    """Read a request, or the response to a request with the method ``response_to``."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = {}
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    if response_to == "HEAD" or (response_to and head.split(b" ", 2)[1] in (b"204", b"304")):
        return _Message(head, b"")
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        return _Message(head, await _chunks(reader))
    return _Message(head, await reader.readexactly(int(headers.get(b"content-length", b"0"))))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a chunked body with its framing; storage sends no trailers."""
    parts = []
    while True:
        size = await reader.readuntil(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        parts += [size, await reader.readexactly(length + len(b"\r\n"))]
        if length == 0:
            return b"".join(parts)


def _error_response(kind: FaultKind, service: str, method: str) -> bytes:
    """Build an error response as storage sends it: XML from blobs and queues, OData JSON from tables."""
    status, code, message = _ERRORS[kind]
    if service == "table":
        content_type = "application/json;odata=minimalmetadata"
        text = json.dumps({"odata.error": {"code": code, "message": {"lang": "en-US", "value": message}}})
    else:
        content_type = "application/xml"
        text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    headers = (
        f"HTTP/1.1 {status}",
        f"x-ms-error-code: {code}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(text)}",
    )
    return "\r\n".join((*headers, "", "" if method == "HEAD" else text)).encode()
