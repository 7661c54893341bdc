"""Grouped writes of many threads on Azurite: the same outcomes as single writes, in fewer requests."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.data.tables import TableClient

from inference.errors import TransientError
from storage.clients import Clients, connect
from storage.connection import Connection
from storage.errors import ConflictError
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.outcome import Finished, Outcome
from storage.pipeline.stores import Stores
from storage.results.index_rows import index_rows
from storage.results.transactions import BatchedResults
from tests.storage.samples import NOON, FixedClassifier, record
from tests.storage.wire import wire
from tests.waiting import DEADLINE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.results.record import Record
    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite

LONG_SECONDS = 3600.0


def batched(account: Account, clients: Clients | None = None, **options: Any) -> BatchedResults:
    return BatchedResults(clients or account.clients, table=account.table, container=account.container, **options)


def together(results: BatchedResults, works: Sequence[Callable[[], object]]) -> list[object]:
    """Run all at once, each on a thread of its own; the results or errors, in order."""
    all_started = threading.Barrier(len(works))

    def one(work: Callable[[], object]) -> object:
        with results.participating():
            all_started.wait(DEADLINE_SECONDS)
            try:
                return work()
            except (ConflictError, TransientError) as error:
                return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def images(account: Account, count: int, folder: str = "a", **changes: Any) -> list[Record]:
    return [record(f"{folder}/{number:03}.jpg", container=account.incoming, **changes) for number in range(count)]


def write_rows(results: BatchedResults, records: Sequence[Record]) -> list[object]:
    return together(results, [partial(results.write_row, record, None) for record in records])


@pytest.fixture
def counted(azurite: Azurite, sent: list[str]) -> Clients:
    """Clients whose requests are in ``sent``."""
    return connect(Connection("ImageStorage", azurite.connection_string))


def test_rows_of_one_folder_are_one_transaction(account: Account, counted: Clients, sent: list[str]) -> None:
    account.results.write_row(record("first", container=account.incoming), None)  # creates the table
    records = images(account, 40)
    sent.clear()
    assert write_rows(batched(account, counted, max_wait_seconds=LONG_SECONDS), records) == [None] * 40
    assert sent == ["POST $batch"]
    assert [account.results.read_row(one.image).record for one in records] == records  # type: ignore[union-attr]


def test_all_groups_are_sent_when_every_thread_waits(account: Account, counted: Clients, sent: list[str]) -> None:
    """Five folders of three: no group waits for 100 writes."""
    account.results.write_row(record("first", container=account.incoming), None)
    records = [one for folder in "abcde" for one in images(account, 3, folder)]
    sent.clear()
    write_rows(batched(account, counted, max_waiting=15, max_wait_seconds=LONG_SECONDS), records)
    assert sent == ["POST $batch"] * 5


def test_max_waiting_sends_the_oldest_group_and_lets_the_others_grow(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.results.write_row(record("first", container=account.incoming), None)
    sizes = []
    submit = TableClient.submit_transaction

    def look(table: TableClient, operations: list[Any]) -> object:
        sizes.append(len(operations))
        return submit(table, operations)

    monkeypatch.setattr(TableClient, "submit_transaction", look)
    results = batched(account, max_waiting=6, max_wait_seconds=LONG_SECONDS)

    def write(one: Record) -> None:
        with results.participating():
            results.write_row(one, None)

    with ThreadPoolExecutor(6) as pool:
        with results.participating():  # this thread does not wait, so not every participant waits
            older = [pool.submit(write, one) for one in images(account, 2, "older")]
            until(lambda: results._open_groups)
            newer = [pool.submit(write, one) for one in images(account, 4, "newer")]
            assert wait(older, 30).not_done == set()
            assert sizes == [2]
        assert wait(newer, 30).not_done == set()
    assert sizes == [2, 4]
    assert all(each.result() is None for each in (*older, *newer))


def test_a_single_write_does_not_wait_and_is_no_transaction(
    account: Account, counted: Clients, sent: list[str]
) -> None:
    account.results.write_row(record("first", container=account.incoming), None)
    sent.clear()
    write_rows(batched(account, counted, max_wait_seconds=LONG_SECONDS), images(account, 1))
    assert sent == [f"POST {account.table}"]


def test_a_write_waits_no_longer_than_the_maximum_for_busy_threads(account: Account) -> None:
    results = batched(account, max_wait_seconds=0.05)
    with results.participating():
        assert write_rows(results, images(account, 3)) == [None] * 3


def test_no_transaction_has_more_than_a_hundred_writes_nor_four_mebibytes(
    account: Account, counted: Clients, sent: list[str]
) -> None:
    account.results.write_row(record("first", container=account.incoming), None)
    sent.clear()
    write_rows(batched(account, counted, max_waiting=150, max_wait_seconds=LONG_SECONDS), images(account, 150))
    assert sent == ["POST $batch"] * 2
    sent.clear()
    large = images(account, 60, "large", detail="d" * 30_000, model="m" * 30_000)
    assert write_rows(batched(account, counted, max_waiting=60, max_wait_seconds=LONG_SECONDS), large) == [None] * 60
    assert sent == ["POST $batch"] * 2


def test_a_conflict_concerns_one_write_only(account: Account) -> None:
    records = images(account, 10)
    account.results.write_row(records[3], None)
    ends = write_rows(batched(account), records)
    assert [type(end) for end in ends] == [ConflictError if number == 3 else type(None) for number in range(10)]
    assert all(account.results.read_row(one.image) for one in records)


def test_a_replacement_is_conditional_in_a_group_too(account: Account) -> None:
    records = images(account, 4)
    results = batched(account)
    write_rows(results, records)
    read = [account.results.read_row(one.image) for one in records]
    later = images(account, 4, classified_at=NOON + timedelta(days=1))
    account.results.write_row(later[0], read[0])  # another attempt was faster
    ends = together(results, [partial(results.write_row, new, old) for new, old in zip(later, read, strict=True)])
    assert [type(end) for end in ends] == [ConflictError, type(None), type(None), type(None)]


def test_index_rows_are_written_and_removed_in_groups(account: Account) -> None:
    results = batched(account)
    rows = [row for one in images(account, 5) for row in index_rows(one)]
    together(results, [partial(results.write_index_row, row) for row in rows])
    assert account.index_keys() == {tuple(row.keys) for row in rows}
    account.results.delete_index_row(rows[0].keys)  # it is missing already: no error, as for a single write
    ends = together(results, [partial(results.delete_index_row, row.keys) for row in rows])
    assert ends == [None] * 10
    assert account.index_keys() == set()


def test_missing_tables_are_created(account: Account) -> None:
    assert write_rows(batched(account), images(account, 5)) == [None] * 5


@pytest.mark.parametrize("fault", ["unreachable", "overloaded", "throttled"])
def test_a_transient_failure_is_raised_in_every_thread(
    account: Account, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Single writes instead would multiply the load on a service that is already overloaded."""
    tries = []

    def fail(_table: TableClient, operations: list[Any]) -> None:
        tries.append(len(operations))
        if fault == "unreachable":
            raise ServiceRequestError("refused")
        error = HttpResponseError("no")
        error.status_code = {"overloaded": 503, "throttled": 429}[fault]
        raise error

    monkeypatch.setattr(TableClient, "submit_transaction", fail)
    ends = write_rows(batched(account), images(account, 5))
    assert all(isinstance(end, TransientError) for end in ends)
    assert tries == [5]
    assert account.results.read_row(images(account, 1)[0].image) is None


def test_transactions_whose_responses_are_lost_leave_consistent_results(account: Account, azurite: Azurite) -> None:
    """The SDK repeats no POST, so every image fails for now although its writes took effect, and is tried again."""
    names = [f"a/{number}.jpg" for number in range(6)]
    for name in names:
        account.upload(name, b"pixels")
    classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image(names[0]))
    port = re.search(r"TableEndpoint=http://[^:]+:(\d+)/", azurite.connection_string)
    assert port is not None
    with wire(int(port[1])) as between:
        through = azurite.connection_string.replace(f":{port[1]}/", f":{between.port}/")
        clients = connect(Connection("ImageStorage", through))
        results = batched(account, clients)
        attempts = [
            partial(classify_blob, Stores(account.source, results), FixedClassifier(), account.image(name))
            for name in names
        ]
        for lost in range(3):  # index rows by status, by label, rows
            transactions: list[str] = []

            def lose(line: str, transactions: list[str] = transactions, lost: int = lost) -> bool:
                if "$batch" in line:
                    transactions.append(line)
                return len(transactions) == lost + 1

            between.lose_answer = lose
            first, *others = together(results, attempts)
            assert isinstance(first, Finished)
            assert first.outcome is Outcome.DUPLICATE
            assert all(isinstance(end, TransientError) for end in others)
        between.lose_answer = lambda _line: False
        ends = together(results, attempts)
        clients.close()
    assert all(isinstance(end, Finished) and end.outcome is Outcome.DUPLICATE for end in ends)
    rows = [account.results.read_row(account.image(name)) for name in names]
    expected = {key for row in rows if row and row.record for key in row.record.index_keys()}
    assert account.index_keys() == expected
    for name, row in zip(names, rows, strict=True):
        sidecar = account.results.read_sidecar(account.image(name))
        assert sidecar is not None
        assert row is not None
        assert sidecar.record == row.record


def test_the_first_read_of_a_row_without_listing_entry_is_skipped(
    account: Account, counted: Clients, sent: list[str]
) -> None:
    results = batched(account, counted)
    one = images(account, 1)[0]
    account.results.write_row(one, None)
    sent.clear()
    results.expect_no_row(one.image)
    assert results.read_row(one.image) is None
    assert sent == []
    assert results.read_row(one.image) == account.results.read_row(one.image)


def test_an_expectation_that_is_out_of_date_rewrites_nothing(account: Account) -> None:
    """The trigger was faster than the listing: its row stays as it is."""
    account.upload("a.jpg", b"pixels")
    image = account.image("a.jpg")
    classify_blob(Stores(account.source, account.results), FixedClassifier("cat"), image)
    before = account.results.read_row(image)
    results = batched(account)
    results.expect_no_row(image)
    finished = classify_blob(Stores(account.source, results), FixedClassifier("dog"), image)
    assert finished.record is not None
    assert finished.record.label == "cat"
    assert account.results.read_row(image) == before
