"""One emulated account for the storage tests, and a record of the requests it gets."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from storage.blobs import SourceBlobs
from storage.clients import Clients, connect
from storage.connection import Connection
from storage.http_session import PreparedRequestSession
from storage.pipeline import classify_blob, outcome, retries
from storage.results.record import Image
from storage.results.store import Results

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

MAX_BYTES = 256 * 1024


@pytest.fixture(scope="session")
def clients(azurite: Azurite) -> Iterator[Clients]:
    """Clients as the app creates them."""
    made = connect(Connection("ImageStorage", azurite.connection_string), max_blob_bytes=MAX_BYTES)
    yield made
    made.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every HTTP request, as ``METHOD path``, of clients that are created after this fixture."""
    seen: list[str] = []

    class Recording(PreparedRequestSession):
        def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
            seen.append(f"{method} {unquote(urlsplit(url).path).removeprefix('/devstoreaccount1/')}")
            return super().request(method, url, **options)

    monkeypatch.setattr("storage.clients.PreparedRequestSession", Recording)
    return seen


class Account:
    """One test's own container, results container and tables."""

    def __init__(self, clients: Clients, names: Names) -> None:
        self.clients = clients
        self.incoming = names.container("incoming")
        self.container = names.container("results")
        self.table = names.table("rows")
        self.source = SourceBlobs(clients.blobs, MAX_BYTES)
        self.results = Results(clients, table=self.table, container=self.container)

    def over(self, clients: Clients) -> Account:
        """The same containers and tables, through other clients."""
        other = object.__new__(Account)
        vars(other).update(vars(self))
        other.clients = clients
        other.source = SourceBlobs(clients.blobs, MAX_BYTES)
        other.results = Results(clients, table=self.table, container=self.container)
        return other

    def image(self, blob_name: str = "cat.jpg") -> Image:
        return Image(self.incoming, blob_name)

    def upload(self, blob_name: str, content: bytes) -> str:
        """Put a blob; returns its ETag without quotes."""
        blob = self.clients.blobs.get_blob_client(self.incoming, blob_name)
        return str(blob.upload_blob(content, overwrite=True)["etag"]).strip('"')

    def delete(self, blob_name: str) -> None:
        self.clients.blobs.get_blob_client(self.incoming, blob_name).delete_blob()

    def index_keys(self) -> set[tuple[str, str]]:
        table = self.clients.tables.get_table_client(f"{self.table}index")
        return {(entity["PartitionKey"], entity["RowKey"]) for entity in table.list_entities()}


@pytest.fixture
def account(clients: Clients, names: Names) -> Account:
    """An account with an empty incoming container, and nothing else."""
    made = Account(clients, names)
    clients.blobs.create_container(made.incoming)
    return made


@pytest.fixture
def nothing_but_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replayed code has no clock but that of its stores, and does not log each of a million attempts."""
    for module in (classify_blob, outcome):
        monkeypatch.setattr(module, "time", types.SimpleNamespace(perf_counter=lambda: 0.0))
    for module in (outcome, retries):
        monkeypatch.setattr(module.logger, "disabled", True)
