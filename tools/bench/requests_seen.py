"""Which storage requests are sent: seen where every one must pass, at the standard library's HTTP connection."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tools.azurite.azurite import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def requests_seen(ports: Mapping[int, str]) -> Iterator[list[str]]:
    """Collect, in order, what is sent while the block runs, each as ``blob GET incoming/a.jpg``.

    Args:
        ports: The emulator's, and the name of what serves there.
    """
    seen: list[str] = []
    lock = threading.Lock()
    send = http.client.HTTPConnection.putrequest

    def putrequest(self: http.client.HTTPConnection, method: str, url: str, *args: Any, **options: Any) -> None:
        place = unquote(urlsplit(url).path).partition(f"/{ACCOUNT}/")[2]
        with lock:
            seen.append(f"{ports.get(self.port, 'other')} {method} {place}")
        send(self, method, url, *args, **options)

    http.client.HTTPConnection.putrequest = putrequest  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        http.client.HTTPConnection.putrequest = send  # type: ignore[method-assign]
