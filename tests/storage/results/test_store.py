"""Results on the emulator, through a wire that loses responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError, TransientError
from storage.clients import connect
from storage.connection import Connection
from storage.errors import ConflictError
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.stores import Stores
from storage.results.index_rows import index_rows
from tests.storage.samples import MODEL, FixedClassifier, record
from tests.storage.wire import Wire, wire
from tools.azurite.azurite import connection_string

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite


@pytest.fixture
def tables(azurite: Azurite) -> Iterator[Wire]:
    """A wire to the emulator's table service."""
    with wire(azurite.ports.table) as made:
        yield made


@pytest.fixture
def blobs(azurite: Azurite) -> Iterator[Wire]:
    """A wire to the emulator's blob service."""
    with wire(azurite.ports.blob) as made:
        yield made


@pytest.fixture
def open_account(
    account: Account, azurite: Azurite, tables: Wire, blobs: Wire, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """The account behind both wires, with clients that retry without waiting."""
    monkeypatch.setattr("azure.storage.blob._shared.policies.StorageRetryPolicy.sleep", lambda *_: None)
    monkeypatch.setattr("azure.core.pipeline.policies.RetryPolicy.sleep", lambda *_, **__: None)
    text = connection_string(azurite.ports._replace(blob=blobs.port, table=tables.port))
    clients = connect(Connection("ImageStorage", text))
    yield account.over(clients)
    clients.close()


def lose_once(through: Wire, method: str) -> list[str]:
    """Lose the response of the next request with this method; the request takes effect."""
    lost: list[str] = []

    def lose(line: str) -> bool:
        if lost or not line.startswith(method):
            return False
        lost.append(line)
        return True

    through.lose_answer = lose
    return lost


def test_reading_creates_nothing(account: Account, clients: object) -> None:
    account.results.read_row(account.image())
    account.results.read_sidecar(account.image())
    assert account.table not in {table.name for table in account.clients.tables.list_tables()}
    assert account.container not in {found.name for found in account.clients.blobs.list_containers()}


@pytest.mark.parametrize("place", ["row", "sidecar"])
def test_a_write_whose_response_was_lost_is_a_conflict_with_itself(
    open_account: Account, tables: Wire, blobs: Wire, place: str
) -> None:
    """The SDK sends it again and finds its own result; the commit protocol recognises that.

    The SDK does not send an insert (POST) again: then the host delivers again, and that delivery finds the result.
    """
    outcome = record(container=open_account.incoming)
    write = open_account.results.write_row if place == "row" else open_account.results.write_sidecar
    read = open_account.results.read_row if place == "row" else open_account.results.read_sidecar
    write(record("first.jpg", container=open_account.incoming), None)  # the table and the container are there
    lost = lose_once(*((tables, "POST") if place == "row" else (blobs, "PUT")))
    with pytest.raises(TransientError if place == "row" else ConflictError):
        write(outcome, None)
    assert lost
    with pytest.raises(ConflictError):
        write(outcome, None)
    stored = read(outcome.image)
    assert stored is not None
    assert stored.record == outcome
    lost = lose_once(tables if place == "row" else blobs, "PUT")
    with pytest.raises(ConflictError):
        write(outcome, stored)
    assert lost


@pytest.mark.parametrize(
    ("service", "method"),
    [("blobs", "GET"), ("blobs", "PUT"), ("tables", "GET"), ("tables", "POST"), ("tables", "PUT")],
)
@pytest.mark.parametrize("before", ["nothing", "another content"])
def test_classify_blob_survives_any_one_lost_response(
    open_account: Account, tables: Wire, blobs: Wire, *, service: str, method: str, before: str
) -> None:
    """Where the SDK must not send again (a POST that may have taken effect), the host delivers again."""
    stores = Stores(open_account.source, open_account.results)
    open_account.upload("first.jpg", b"creates tables and container")
    classify_blob(stores, FixedClassifier("first"), open_account.image("first.jpg"))
    before_keys = open_account.index_keys()
    if before == "another content":
        open_account.upload("cat.jpg", b"old")
        classify_blob(stores, FixedClassifier("old"), open_account.image())
    open_account.upload("cat.jpg", b"new")
    lost = lose_once(tables if service == "tables" else blobs, method)
    try:
        classify_blob(stores, FixedClassifier("new"), open_account.image())
    except TransientError:
        classify_blob(stores, FixedClassifier("new"), open_account.image())
    assert lost or method == "POST"
    tables.lose_answer = blobs.lose_answer = lambda _line: False
    row, sidecar = (
        open_account.results.read_row(open_account.image()),
        open_account.results.read_sidecar(open_account.image()),
    )
    assert row is not None
    assert row.record is not None
    assert sidecar is not None
    assert sidecar.record == row.record
    assert row.record.label == "new"
    assert open_account.index_keys() - before_keys == row.record.index_keys()


def test_an_unavailable_service_is_transient(open_account: Account, tables: Wire, blobs: Wire) -> None:
    tables.close()
    blobs.close()
    outcome = record(container=open_account.incoming)
    index_row = index_rows(outcome)[0]
    calls: list[Callable[[], object]] = [
        lambda: open_account.results.read_row(outcome.image),
        lambda: open_account.results.read_sidecar(outcome.image),
        lambda: open_account.results.write_row(outcome, None),
        lambda: open_account.results.write_sidecar(outcome, None),
        lambda: open_account.results.write_index_row(index_row),
        lambda: open_account.results.delete_index_row(index_row.keys),
    ]
    for call in calls:
        with pytest.raises(TransientError):
            call()


def test_a_wrong_key_is_a_configuration_error(account: Account, azurite: Azurite) -> None:
    from tools.azurite.azurite import ACCOUNT_KEY

    text = azurite.connection_string.replace(ACCOUNT_KEY, f"AAAA{ACCOUNT_KEY[4:]}")
    clients = connect(Connection("ImageStorage", text))
    refused = account.over(clients)
    with pytest.raises(ConfigurationError, match="403"):
        refused.results.read_sidecar(account.image())
    with pytest.raises(ConfigurationError, match=r"40[13]"):
        refused.results.read_row(account.image())
    with pytest.raises(ConfigurationError, match="403"):
        refused.source.read(account.image())
    clients.close()


def test_an_edited_sidecar_has_no_record_and_can_be_replaced(account: Account) -> None:
    account.results.write_sidecar(record("other.jpg", container=account.incoming), None)
    account.clients.blobs.get_blob_client(account.container, "cat.jpg.json").upload_blob(b"edited")
    stored = account.results.read_sidecar(account.image())
    assert stored is not None
    assert stored.record is None
    account.results.write_sidecar(record(container=account.incoming, model=MODEL.name), stored)


def test_a_removal_whose_response_was_lost_is_done(open_account: Account, tables: Wire, blobs: Wire) -> None:
    """The repeated request finds nothing. Treated as a conflict, pruning would leave half of a result."""
    written = record(container=open_account.incoming)
    open_account.results.write_sidecar(written, None)
    open_account.results.write_row(written, None)
    sidecar, row = open_account.results.read_sidecar(written.image), open_account.results.read_row(written.image)
    assert sidecar is not None
    assert row is not None
    with pytest.raises(ConflictError):
        open_account.results.delete_sidecar(written.image, row.etag)
    for through in (blobs, tables):
        lose_once(through, "DELETE")
    open_account.results.delete_sidecar(written.image, sidecar.etag)
    open_account.results.delete_row(written.image, row.etag)
    assert open_account.results.read_sidecar(written.image) is None
    assert open_account.results.read_row(written.image) is None
