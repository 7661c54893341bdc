"""Storage applies what no key holds, returns few rows that do not match, and never leaves out one that does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from storage.query.condition import condition
from storage.query.plan import Filter
from storage.results.index_rows import index_rows
from storage.results.record import IndexRow, Status
from storage.tables import TableReader
from tests.storage.samples import NOON, record, rejected, write_results

if TYPE_CHECKING:
    from tests.storage.conftest import Account

MAY, JUNE = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
COLUMNS_OF_VERSION_1 = ("container", "blob_name", "status", "label", "score", "etag", "classified_at")
EVERY_PART: dict[str, Any] = {
    "label": "cat",
    "min_score": 0.5,
    "since": MAY,
    "until": JUNE,
    "status": Status.CLASSIFIED,
    "reason": "empty",
    "model": "shapes",
    "damaged": True,
    "taken_since": MAY,
    "taken_until": JUNE,
}


@pytest.fixture
def table(account: Account) -> Account:
    """Images that differ from ``plain.jpg`` in one thing each."""
    changes: dict[str, dict[str, Any]] = {
        "plain": {},
        "damaged": {"damaged": True, "decoded_fraction": 0.5},
        "model": {"model": "other"},
        "version": {"model_version": "other"},
        "late": {"classified_at": NOON + timedelta(hours=1)},
        "sure": {"score": 1.0},
        "may": {"taken_at": "2024-05-31T23:59:59.5+02:00"},
        "june": {"taken_at": "2024-06-02T00:00:00"},
        "serial": {"camera_serial": "HC 6"},
        "camera": {"camera_make": "HC", "camera_model": "6"},
        "HC 6/folder": {},
    }
    write_results(
        account.results,
        *(record(f"{name}.jpg", container=account.incoming, **columns) for name, columns in changes.items()),
        rejected("rejected.jpg", container=account.incoming, reason="empty"),
    )
    return account


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"damaged": True}, {"damaged"}),
        ({"model": "other"}, {"model", "version"}),
        ({"since": NOON + timedelta(hours=1)}, {"late"}),
        ({"min_score": 1.0}, {"sure"}),
        ({"taken_since": MAY, "taken_until": JUNE}, {"may"}),
        ({"taken_since": JUNE}, {"june"}),
        ({"camera": "HC 6"}, {"serial", "camera", "HC 6/folder"}),
        ({"reason": "empty"}, {"rejected"}),
        ({"reason": "empty", "status": Status.FAILED}, set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_storage_returns_the_matching_rows_alone(table: Account, parts: dict[str, Any], expected: set[str]) -> None:
    for in_index in (False, True):
        client = table.clients.tables.get_table_client(f"{table.table}index" if in_index else table.table)
        reader = TableReader(client, condition=condition(Filter(table.incoming, **parts), in_index=in_index))
        found = {entity["blob_name"].removesuffix(".jpg") for page in reader.pages() for entity in page}
        assert found == expected


def test_an_index_row_of_version_1_passes_where_it_lacks_the_column(account: Account) -> None:
    image = record("a.jpg", container=account.incoming)
    for row in index_rows(image):
        account.results.write_index_row(IndexRow(row.keys, {name: row.columns[name] for name in COLUMNS_OF_VERSION_1}))
    client = account.clients.tables.get_table_client(f"{account.table}index")
    for field in ("model", "damaged", "taken_since", "taken_until", "reason"):
        only = Filter(account.incoming, **{field: EVERY_PART[field]})
        reader = TableReader(client, condition=condition(only, in_index=True))
        assert sum(len(page) for page in reader.pages()) == 2, field


@pytest.mark.parametrize("in_index", [False, True])
@pytest.mark.parametrize("camera", ["HC600", "a b", "a b c d e f g h"])
def test_a_request_has_at_most_fifteen_comparisons(camera: str, *, in_index: bool) -> None:
    """Of which a range of keys takes four; the service refuses more."""
    text, values = condition(Filter("incoming", **EVERY_PART, camera=camera), in_index=in_index)
    assert 8 <= len(re.findall(r" (?:eq|ne|ge|gt|le|lt) ", text)) <= 15 - 4
    assert set(re.findall(r"@(\w+)", text)) == set(values)


def test_the_ends_of_time_need_no_comparison() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert condition(Filter("incoming", since=first, until=last)).text == "container eq @container"
