"""A table service in memory that answers through the SDK's own transport, with pages as the real service returns them.

Azurite fills every page. The real service returns up to 1,000 entities, or fewer, or none, and a continuation token.
"""

from __future__ import annotations

import io
import json
import operator
import re
import threading
from bisect import bisect_left, bisect_right
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableServiceClient
from requests.adapters import BaseAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_TERM = re.compile(r"(\w+) (eq|ge|le|lt) (datetime'[^']*'|'(?:[^']|'')*'|[\d.]+)")
_POINT = re.compile(r"/(\w+)\(PartitionKey='(.*)',RowKey='(.*)'\)$")
_SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ge": operator.ge,
    "le": operator.le,
    "lt": operator.lt,
}
_ENTITY = "application/json;odata=minimalmetadata"


class PagingService(BaseAdapter):
    """Tables by name, each entity a flat mapping with its keys.

    Attributes:
        asked: The path of every request.
        empty_every: One in so many pages of a query is empty and not the last; 0 for never. Counted by query, so that
            the result does not depend on how the threads of a lookup interleave.
        given: How many entities all pages together had.
        patience: How many entities are scanned for one page; the real service stops after five seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[str, tuple[list[tuple[str, str]], list[Mapping[str, Any]]]] = {}
        self.asked: list[str] = []
        self.empty_every = 3
        self._given: dict[tuple[str, str], int] = {}
        self._giving = threading.Lock()
        self.given = 0
        self.patience = 1_000_000

    def put(self, table: str, entities: Iterable[Mapping[str, Any]]) -> None:
        """Create a table with these entities."""
        ordered = sorted(entities, key=lambda entity: (entity["PartitionKey"], entity["RowKey"]))
        self._tables[table] = ([(entity["PartitionKey"], entity["RowKey"]) for entity in ordered], ordered)

    def client(self) -> TableServiceClient:
        """A client of this service."""
        session = requests.Session()
        session.mount("http://", self)
        transport = RequestsTransport(session=session, session_owner=False)
        return TableServiceClient.from_connection_string(
            "DefaultEndpointsProtocol=http;AccountName=paging;AccountKey=AAAA;TableEndpoint=http://paging.test/;",
            transport=transport,
        )

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """Answer one request."""
        parts = urlsplit(request.url or "")
        path = unquote(parts.path)
        self.asked.append(path)
        assert request.method == "GET", "a query only reads"
        point = _POINT.search(path)
        if point:
            table, partition, row = (text.replace("''", "'") for text in point.groups())
            return _answer(request, self._point(table, (partition, row)))
        table = path.strip("/").removesuffix("()")
        return _answer(request, *self._page(table, {name: values[0] for name, values in parse_qs(parts.query).items()}))

    def close(self) -> None:
        """See ``BaseAdapter``."""

    def _number(self, query: tuple[str, str]) -> int:
        """Number the pages of a query from a different start for each, so that for some the first page is empty."""
        with self._giving:
            self._given[query] = self._given.get(query, len(self._given)) + 1
            return self._given[query]

    def _point(self, table: str, key: tuple[str, str]) -> Mapping[str, Any] | None:
        keys, entities = self._tables.get(table, ([], []))
        at = bisect_left(keys, key)
        return _written(entities[at]) if at < len(keys) and keys[at] == key else None

    def _page(self, table: str, options: Mapping[str, str]) -> tuple[Mapping[str, Any] | None, dict[str, str]]:
        if table not in self._tables:
            return None, {}
        keys, entities = self._tables[table]
        terms = _TERM.findall(options.get("$filter", ""))
        bounds = {(name, sign): _read(value) for name, sign, value in terms}
        partition = bounds.get(("PartitionKey", "eq"))
        first = partition or bounds.get(("PartitionKey", "ge"), "")
        last = partition or bounds.get(("PartitionKey", "le"), "\U0010ffff")
        start = bisect_left(keys, (first, bounds.get(("RowKey", "ge"), "")))
        end = bisect_right(keys, (last, bounds.get(("RowKey", "le"), "\U0010ffff") if partition else "\U0010ffff"))
        if "NextPartitionKey" in options:
            start = bisect_left(keys, (options["NextPartitionKey"], options.get("NextRowKey", "")))
        top, found = int(options.get("$top", "1000")), list[dict[str, Any]]()
        page = self._number((table, options.get("$filter", "")))
        columns = [(name, _SIGNS[sign], _read(value)) for name, sign, value in terms if not name.endswith("Key")]
        rows = [(_SIGNS[sign], _read(value)) for name, sign, value in terms if name == "RowKey"]
        if not (self.empty_every and page % self.empty_every == 0):
            looked_to = start + self.patience
            while start < min(end, looked_to) and len(found) < top:
                entity = entities[start]
                if all(compare(entity["RowKey"], bound) for compare, bound in rows) and all(
                    entity.get(name) is not None and compare(entity[name], value) for name, compare, value in columns
                ):
                    found.append(_written(entity))
                start += 1
        self.given += len(found)
        headers = {}
        if start < end:
            headers = {"NextPartitionKey": keys[start][0], "NextRowKey": keys[start][1]}
        return {"value": found}, {f"x-ms-continuation-{name}": value for name, value in headers.items()}


def _read(value: str) -> Any:
    if value.startswith("datetime'"):
        return datetime.fromisoformat(value.removeprefix("datetime")[1:-1])
    return value[1:-1].replace("''", "'") if value.startswith("'") else float(value)


def _written(entity: Mapping[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {"odata.etag": 'W/"1"'}
    for name, value in entity.items():
        plain = getattr(value, "value", value)
        if isinstance(plain, datetime):
            written |= {f"{name}@odata.type": "Edm.DateTime", name: plain.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        elif isinstance(plain, int) and plain is not value:
            written |= {f"{name}@odata.type": "Edm.Int64", name: str(plain)}
        else:
            written[name] = plain
    return written


def _answer(
    request: requests.PreparedRequest, document: Mapping[str, Any] | None, headers: Mapping[str, str] | None = None
) -> requests.Response:
    response = requests.Response()
    response.status_code = 404 if document is None else 200
    error = {"odata.error": {"code": "ResourceNotFound", "message": {"value": "There is no such thing."}}}
    response.raw = io.BytesIO(json.dumps(error if document is None else document).encode())
    response.headers.update({"Content-Type": _ENTITY, **(headers or {})})
    response.request, response.url = request, request.url or ""
    return response
