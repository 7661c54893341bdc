"""Storage that refuses single blobs, as Azurite cannot: customer-provided keys, access control lists, network rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
from urllib3 import HTTPResponse

from storage.http_session import PreparedRequestSession

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Refusals:
    """Which reads of blobs are refused, and with which answer.

    Attributes:
        concerns: Called with the path of each GET and HEAD of a blob, ``container/name``.
        status: The status of a refusal.
        code: Its error code.
        count: How many requests were refused.
    """

    concerns: Callable[[str], bool] = lambda _path: False
    status: int = 409
    code: str = "BlobUsesCustomerSpecifiedEncryption"
    count: int = field(default=0)

    def answer(self, method: str, url: str) -> requests.Response | None:
        parts = urlsplit(url)
        path = unquote(parts.path).removeprefix("/devstoreaccount1/")
        is_read = (
            method in {"GET", "HEAD"} and "/" in path and "comp=" not in parts.query and "restype=" not in parts.query
        )
        if not (is_read and self.concerns(path)):
            return None
        self.count += 1
        body = b"" if method == "HEAD" else f"<Error><Code>{self.code}</Code><Message>no</Message></Error>".encode()
        headers = {"x-ms-error-code": self.code, "Content-Type": "application/xml", "Content-Length": str(len(body))}
        response = requests.Response()
        response.status_code, response.url, response.reason = self.status, url, "Refused"
        response.headers.update(headers)
        response.raw = HTTPResponse(BytesIO(body), headers, self.status, preload_content=False)
        return response


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Refusals:
    """Refusals of every client."""
    made = Refusals()
    send = PreparedRequestSession.request

    def request(self: PreparedRequestSession, method: str, url: str, **options: Any) -> requests.Response:
        refusal = made.answer(method, url)
        return send(self, method, url, **options) if refusal is None else refusal

    monkeypatch.setattr(PreparedRequestSession, "request", request)
    return made
