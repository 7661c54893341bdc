"""Parquet files, read back by DuckDB, which has a reader of its own."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq

from storage.reviews.columns import ROW_COLUMNS, row_values
from storage.reviews.join import ReviewedRow
from tests.storage.samples import AWKWARD_NAMES, record, rejected, review
from tools.export.formats import parquet_file
from tools.export.formats.parquet_file import DICTIONARIES, write
from tools.export.formats.table import table_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def rows_of(path: Path, columns: str = "*") -> list[dict[str, Any]]:
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        found = database.execute(f"SELECT {columns} FROM read_parquet('{path}')")
        names = [each[0] for each in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_every_value_comes_back_with_its_type(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = [
        ReviewedRow(record("cat.jpg"), (review("dog"), review("cat", reviewed_by="Bob"))),
        ReviewedRow(record("bat.jpg"), (review(None),)),
        *(ReviewedRow(record(name, label=name)) for name in AWKWARD_NAMES.values()),
        ReviewedRow(rejected(damaged=True)),
    ]
    write(table_of(rows), path)
    written = [{name: row[name] for name in ROW_COLUMNS} for row in rows_of(path)]
    assert written == [row_values(each) for each in rows]
    with duckdb.connect() as database:
        described = database.execute(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()
    types = {name: kind for name, kind, *_ in described}
    assert types["classified_at"] == types["blob_last_modified"] == "TIMESTAMP WITH TIME ZONE"
    assert (types["score"], types["width"], types["damaged"], types["label"]) == (
        *("DOUBLE", "BIGINT", "BOOLEAN"),
        "VARCHAR",
    )


def test_the_time_of_capture_is_text_and_the_time_on_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = ["2026-05-01T06:30:00", "2026-05-01T06:30:00.250+02:00", "in spring", None]
    write(table_of([ReviewedRow(record(taken_at=text)) for text in texts]), path)
    assert [row["taken_at"] for row in rows_of(path)] == texts
    half_past = datetime(2026, 5, 1, 6, 30)  # noqa: DTZ001 - a camera's clock has no zone
    expected = [half_past, half_past.replace(microsecond=250_000), None, None]
    assert [row["taken_at_local"] for row in rows_of(path)] == expected


def test_texts_of_few_values_are_dictionaries(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(table_of([ReviewedRow(record())]), path)
    kinds = {field.name: str(field.type) for field in pq.read_schema(path)}
    assert {name for name, kind in kinds.items() if kind.startswith("dictionary")} == DICTIONARIES & set(ROW_COLUMNS)
    assert {"label", "status", "reason", "model"} <= DICTIONARIES


def test_rows_are_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "_BATCH", 4)
    monkeypatch.setattr(parquet_file, "_ROW_GROUP", 8)
    path = tmp_path / "a.parquet"
    write(table_of(ReviewedRow(record(f"{number}.jpg", label=f"label {number % 5}")) for number in range(21)), path)
    with duckdb.connect() as database:
        found = database.execute(f"SELECT DISTINCT row_group_id, row_group_num_rows FROM parquet_metadata('{path}')")
        assert sorted(found.fetchall()) == [(0, 8), (1, 8), (2, 5)]
    assert [(row["blob_name"], row["label"]) for row in rows_of(path)] == [
        (f"{number}.jpg", f"label {number % 5}") for number in range(21)
    ]


def test_no_row_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write(table_of([]), path)
    assert rows_of(path) == []
