"""The folder of day files after each run holds the rows of the table, each image once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from inference.errors import ConfigurationError
from storage.query.plan import Filter
from storage.results.record import Status
from storage.reviews.join import ReviewedRow
from tests.storage.samples import record, review
from tools.export.formats import parquet_days
from tools.export.formats.parquet_days import STATE, update
from tools.export.formats.parquet_file import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.results.record import Record
    from tools.export.formats.table import Table as OneTable

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
ALL = Filter("incoming")


class Table:
    """The results table of these tests: one row for each image, read newest first as the index is."""

    def __init__(self) -> None:
        self.rows: dict[str, Record] = {}
        self.new_reviews: list[str] = []
        self.read: list[str] = []

    def put(self, name: str, days_ago: int, **changes: object) -> None:
        at = TODAY - timedelta(days=days_ago) + timedelta(hours=1 + len(self.rows) % 20)
        self.rows[name] = record(name, classified_at=at, **changes)

    def reviewed(self, row_filter: Filter) -> Iterator[ReviewedRow]:
        assert row_filter.since is not None
        for row in sorted(self.rows.values(), key=lambda row: row.classified_at, reverse=True):
            if row.classified_at >= row_filter.since and (
                row_filter.until is None or row.classified_at < row_filter.until
            ):
                self.read.append(row.blob_name)
                yield ReviewedRow(row, (review("fox"),) if row.blob_name in self.new_reviews else ())

    def reviewed_since(self, _time: datetime) -> Iterator[ReviewedRow]:
        return (ReviewedRow(self.rows[name], (review("fox"),)) for name in self.new_reviews)


def days(folder: Path) -> dict[int, dict[str, str]]:
    """Labels by name, by how many days ago the day was."""
    found = {}
    for path in folder.glob("*.parquet"):
        with duckdb.connect() as database:
            rows = database.execute(f"SELECT blob_name, label FROM read_parquet('{path}')").fetchall()
        found[(TODAY.date() - datetime.fromisoformat(path.stem).date()).days] = dict(rows)
    return found


@pytest.fixture
def table() -> Table:
    table = Table()
    for name, days_ago in (("a", 9), ("b", 9), ("c", 8), ("d", 0)):
        table.put(name, days_ago)
    return table


def run(folder: Path, table: Table, row_filter: Filter = ALL, *, since_last: bool = True) -> dict[str, int]:
    table.read.clear()
    return update(folder, row_filter, table.reviewed, table.reviewed_since, since_last=since_last)


def test_a_second_run_reads_only_the_last_days(table: Table, tmp_path: Path) -> None:
    assert run(tmp_path / "out", table) == {"files_written": 3, "files_changed": 0, "files_removed": 0}
    assert sorted(table.read) == ["a", "b", "c", "d"]
    table.put("late", 1)
    table.put("e", 0)
    assert run(tmp_path / "out", table)["files_written"] == 2
    assert sorted(table.read) == ["d", "e", "late"]
    assert {ago: set(rows) for ago, rows in days(tmp_path / "out").items()} == {
        9: {"a", "b"},
        8: {"c"},
        1: {"late"},
        0: {"d", "e"},
    }


def test_an_image_that_is_classified_again_leaves_its_earlier_day(table: Table, tmp_path: Path) -> None:
    run(tmp_path, table)
    table.put("a", 0, label="dog")
    table.put("c", 0, label="dog")
    assert run(tmp_path, table) == {"files_written": 1, "files_changed": 1, "files_removed": 1}
    assert days(tmp_path) == {9: {"b": "cat"}, 0: {"a": "dog", "c": "dog", "d": "cat"}}


def test_so_does_one_that_no_longer_matches_the_filter(table: Table, tmp_path: Path) -> None:
    cats = replace(ALL, label="cat")
    run(tmp_path, table, cats)
    table.put("a", 0, label="dog")
    run(tmp_path, table, cats)
    assert days(tmp_path) == {9: {"b": "cat"}, 8: {"c": "cat"}, 0: {"d": "cat"}}


@pytest.mark.parametrize(("single_days", "read"), [(10, ["a", "b", "d", "y"]), (1, ["a", "b", "c", "d", "y"])])
def test_the_days_of_new_reviews_are_read_again(
    single_days: int, read: list[str], table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_days, "_MAX_SINGLE_DAYS", single_days)
    table.put("y", 7)
    table.put("z", 6)
    run(tmp_path, table)
    table.new_reviews = ["a", "y", "d"]
    assert run(tmp_path, table) == {"files_written": len(read) - 1, "files_changed": 0, "files_removed": 0}
    assert sorted(table.read) == read, "z is later than the reviewed days"
    with duckdb.connect() as database:
        question = f"SELECT blob_name, reviewed_label FROM read_parquet('{tmp_path}/*.parquet') ORDER BY 1"
        labels = dict(database.execute(question).fetchall())
    assert labels == {"a": "fox", "b": None, "c": None, "d": "fox", "y": "fox", "z": None}


def test_another_filter_is_refused(table: Table, tmp_path: Path) -> None:
    run(tmp_path, table)
    with pytest.raises(ConfigurationError, match="other filters"):
        run(tmp_path, table, replace(ALL, label="cat"))


def test_without_since_last_everything_is_read_again(table: Table, tmp_path: Path) -> None:
    run(tmp_path, table)
    del table.rows["c"]
    table.rows["a"] = replace(table.rows["a"], label="dog")
    assert run(tmp_path, table)["files_removed"] == 0
    assert days(tmp_path)[9]["a"] == "cat"
    assert run(tmp_path, table, since_last=False)["files_removed"] == 1
    assert days(tmp_path) == {9: {"a": "dog", "b": "cat"}, 0: {"d": "cat"}}


def test_a_new_column_is_filled_for_every_day(table: Table, tmp_path: Path) -> None:
    run(tmp_path, table)
    state = json.loads((tmp_path / STATE).read_text())
    state["columns"].pop()
    (tmp_path / STATE).write_text(json.dumps(state))
    run(tmp_path, table)
    assert sorted(table.read) == ["a", "b", "c", "d"]


def test_a_new_decision_is_applied_to_every_day(table: Table, tmp_path: Path) -> None:
    run(tmp_path, table)
    table.rows = {name: replace(row, label="dog", decision_version="0d") for name, row in table.rows.items()}
    run(tmp_path, table)
    assert days(tmp_path) == {9: {"a": "dog", "b": "dog"}, 8: {"c": "dog"}, 0: {"d": "dog"}}
    run(tmp_path, table)
    assert table.read == ["d"]


def test_a_decision_that_is_withdrawn_is_gone_from_every_day(table: Table, tmp_path: Path) -> None:
    """``decide`` without rules gives the model's labels back, and leaves no version in the rows."""
    table.rows = {name: replace(row, label="dog", decision_version="0d") for name, row in table.rows.items()}
    table.put("empty", 0, status=Status.REJECTED, label=None, score=None)  # never has a version
    run(tmp_path, table)
    run(tmp_path, table)
    assert sorted(table.read) == ["d", "empty"]
    table.rows = {
        name: replace(row, label=row.label and "cat", decision_version=None) for name, row in table.rows.items()
    }
    run(tmp_path, table)
    assert days(tmp_path) == {9: {"a": "cat", "b": "cat"}, 8: {"c": "cat"}, 0: {"d": "cat", "empty": None}}


def test_a_run_that_stops_is_repeated(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        written: list[Path] = []

        def stop_at_the_second_day(of_day: OneTable, path: Path) -> None:
            if written:
                raise KeyboardInterrupt
            write(of_day, path)
            written.append(path)

        patched.setattr(parquet_days, "write_file", stop_at_the_second_day)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, table)
    assert days(tmp_path) == {0: {"d": "cat"}}
    run(tmp_path, table)
    assert days(tmp_path) == {9: {"a": "cat", "b": "cat"}, 8: {"c": "cat"}, 0: {"d": "cat"}}
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".parquet") == [STATE]


def test_files_of_another_program_are_left_alone(table: Table, tmp_path: Path) -> None:
    (tmp_path / "2020-01-01.parquet").write_text("mine")
    with pytest.raises(ConfigurationError, match="of another program"):
        run(tmp_path, table)
    assert (tmp_path / "2020-01-01.parquet").read_text() == "mine"
