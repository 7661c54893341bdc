"""The join of blobs with rows: correct for any names and page sizes, linear in requests, in constant memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import tables
from storage.keys import RowKeys
from storage.query.join import join_blobs_with_rows
from storage.results.serialization import SUMMARY_COLUMNS
from tests.storage.query.fake_table import LISTING_PAGE, TABLE_PAGE, FakeListing, FakeTable, listed, row_of, table_of
from tests.storage.query.folders import NAMES, folders
from tests.storage.samples import AWKWARD_NAMES, record

if TYPE_CHECKING:
    from tests.storage.conftest import Account


@given(
    listing=st.sets(NAMES, max_size=40),
    others=st.sets(NAMES, max_size=40),
    without=st.sets(st.integers(0, 39), max_size=20),
    listing_page=st.integers(1, 15),
    table_page=st.integers(1, 7),
    pause=st.integers(0, 3),
)
@settings(max_examples=300, deadline=None)
def test_every_blob_is_joined_with_its_own_row(  # noqa: PLR0917 - hypothesis draws them by name
    listing: set[str], others: set[str], without: set[int], listing_page: int, table_page: int, pause: int
) -> None:
    names = sorted(listing, key=lambda name: name.encode("utf-16-be"))
    with_row = (set(names) - {name for place, name in enumerate(names) if place in without}) | others
    table = table_of(with_row, table_page, pause if pause != 1 else 0)
    pages = FakeListing(map(listed, names), listing_page)
    joined = [
        (blob.name, row.blob_name if row else None) for blob, row in join_blobs_with_rows(pages, "incoming", table)
    ]
    assert joined == [(name, name if name in with_row else None) for name in names]


@pytest.mark.parametrize(
    ("names", "most_requests"),
    [
        (folders(20_000, 20_000), 20),
        (folders(20_000, 1_000), 24),
        (folders(20_000, 50), 28),
        (folders(20_000, 1), 28),
        # Listed before the digits, stored after them: a join that relies on either order reads many unrelated rows.
        (sorted([f"x#{i:05d}" for i in range(10_000)] + [f"x-{i:05d}" for i in range(10_000)]), 28),
    ],
    ids=["one folder", "twenty folders", "small folders", "a folder for each image", "escapes that change the order"],
)
def test_a_request_reads_a_thousand_rows(names: list[str], most_requests: int) -> None:
    table = table_of(names)
    listing = FakeListing(map(listed, names))
    assert all(row for _, row in join_blobs_with_rows(listing, "incoming", table))
    assert listing.requests == 5
    assert table.requests <= most_requests


def test_an_empty_table_costs_one_request_per_page_of_the_listing() -> None:
    table = table_of([])
    names = folders(20_000, 100)
    assert not any(row for _, row in join_blobs_with_rows(FakeListing(map(listed, names)), "incoming", table))
    assert table.requests == 4


class Addresses(Sequence[RowKeys]):
    """A million sorted addresses that take no memory."""

    def __init__(self, images: int, per_folder: int) -> None:
        self._images, self._per_folder = images, per_folder

    def __len__(self) -> int:
        return self._images

    def __getitem__(self, place: Any) -> Any:
        folder, file = divmod(place, self._per_folder)
        return RowKeys(f"incoming|site-{folder:05d}", f"IMG_{file:06d}.JPG")


def test_memory_does_not_grow_with_the_container() -> None:
    peak_of_join(1_000)  # for the objects that the first run creates
    # With five times as many images the difference is a tenth: objects that are not collected yet.
    assert peak_of_join(5_000) < peak_of_join(1_000) * 1.5


def peak_of_join(images: int, per_folder: int = 300) -> int:
    """Bytes at the peak, with pages a tenth of the real ones: a listing of 5,000 stands for one of 50,000."""
    entity = row_of("site-00000/IMG_000000.JPG")

    def row(address: RowKeys) -> dict[str, object]:
        name = f"{address.partition_key.removeprefix('incoming|')}/{address.row_key}"
        return entity | {"PartitionKey": address.partition_key, "RowKey": address.row_key, "blob_name": name}

    table = FakeTable(Addresses(images, per_folder), row, TABLE_PAGE // 10)
    names = (f"site-{i // per_folder:05d}/IMG_{i % per_folder:06d}.JPG" for i in range(images))
    tracemalloc.start()
    try:
        pages = FakeListing(map(listed, names), LISTING_PAGE // 10)
        joined = sum(1 for _, found in join_blobs_with_rows(pages, "incoming", table) if found)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert joined == images
    return peak


def test_awkward_names_are_joined_in_the_emulator(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAGE", 4)
    short = [name for name in AWKWARD_NAMES.values() if "\\" not in name]  # storage replaces a backslash by a slash
    names = [*short, "x" * 700, "x" * 700 + "y", "deep/" * 120 + "a.jpg", "z\ue000.jpg", "z\U0001f431.jpg"]
    for name in names:
        account.upload(name, b"x")
    for name in names[::2]:
        account.results.write_row(record(name, container=account.incoming), None)
    pages, rows = account.source.pages(account.incoming), account.results.row_reader(SUMMARY_COLUMNS)
    joined = list(join_blobs_with_rows(pages, account.incoming, rows))
    assert sorted(blob.name for blob, _ in joined) == sorted(names)
    assert {blob.name: row.blob_name if row else None for blob, row in joined} == {
        name: name if place % 2 == 0 else None for place, name in enumerate(names)
    }
