"""Rows at many addresses: few requests where rows lie together, and never more than their number allows."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage.keys import RowKeys, image_keys
from storage.query.lookup import RowLookup
from storage.query.plan import Filter
from storage.query.query import Query
from storage.results.index_rows import index_rows
from storage.results.serialization import to_entity
from tests.storage.query.fake_table import FakeTable, table_of
from tests.storage.query.folders import NAMES, folders
from tests.storage.query.paging_service import PagingService
from tests.storage.samples import record


def found(table: FakeTable, addresses: list[RowKeys]) -> set[RowKeys]:
    with RowLookup(table) as lookup:
        return set(lookup.records(addresses))


@given(st.sets(NAMES, min_size=1, max_size=60), st.sets(NAMES, max_size=60), st.integers(1, 7))
@example({"0", "000", "=", "0/"}, {"9", "0", "00"}, 1)
@settings(max_examples=300, deadline=None)
def test_an_address_costs_two_requests_at_most(names: set[str], with_row: set[str], page: int) -> None:
    table = table_of(with_row, page)
    addresses = [image_keys("incoming", name) for name in names]
    assert found(table, addresses) == {image_keys("incoming", name) for name in names & with_row}
    assert table.requests <= 2 * len(names)


def test_no_address_costs_no_request() -> None:
    table = table_of(folders(10, 10))
    assert found(table, []) == set()
    assert table.requests == 0


def test_a_few_names_in_a_full_folder_do_not_read_the_folder() -> None:
    table = table_of(folders(20_000, 20_000))
    addresses = [image_keys("incoming", f"site-00000/IMG_{place:06d}.JPG") for place in (0, 9_000, 19_999)]
    assert found(table, addresses) == set(addresses)
    assert table.requests <= 6


@pytest.mark.parametrize(
    ("patience", "least", "most"), [(1_000_000, 3, 20), (100, 500, 600)], ids=["few other rows", "many other rows"]
)
def test_the_service_filters_a_range_until_it_returns_short_pages(patience: int, least: int, most: int) -> None:
    """Where the service has to scan too much, only a few requests are spent on ranges; the rest are points."""
    ours = [record(f"site {number % 50:02d}/{number // 50:02d}.jpg") for number in range(500)]
    others = ({"PartitionKey": f"incoming|site {n % 50:02d}", "RowKey": f"{n:05d}.png"} for n in range(50_000))
    service = PagingService()
    service.put("rows", itertools.chain((to_entity(each) for each in ours), others))
    service.put("rowsindex", (row.to_entity() for each in ours for row in index_rows(each)))
    service.empty_every, service.patience = 0, patience
    query = Query(service.client(), "rows", Filter("incoming", label="cat"), verify=True)
    assert len(list(query.records())) == 500
    assert least <= query.requests <= most
