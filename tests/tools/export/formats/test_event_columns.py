"""``export --events`` beside ``query --events``, on Azurite; Parquet is read by DuckDB, CSV by Python, XLSX as XML."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from inference.predictions import Prediction
from storage.query.events import EventSorter
from storage.reviews.columns import ROW_COLUMNS, row_values
from storage.reviews.join import ReviewedRow
from tests.storage.samples import AWKWARD_NAMES, record, rejected, review, write_results
from tests.tools.export.formats.test_parquet_file import rows_of
from tests.tools.export.formats.test_xlsx_file import HOSTILE, sheets_of
from tools.__main__ import main
from tools.export.formats.event_columns import EVENT_KINDS, EventTable

if TYPE_CHECKING:
    from pathlib import Path

    from tools.account import Account

CAT, FORMULA = Prediction("cat", 0, 0.75), Prediction('=HYPERLINK("x")', 1, 0.875)
COLUMNS = ["event_id", "event_start", "event_end", "event_images", "event_label", "event_score"]
UNTIMED = ['=1+1, "b".jpg', "z/\U0001f431.jpg"]


@pytest.fixture
def expected(empty_account: Account, capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[Any, ...]]:
    """The cells of ``COLUMNS`` by blob name, as ``query --events`` prints them, in the order of its images."""
    container = empty_account.settings.incoming_container
    camera = {"container": container, "camera_serial": "SN 1"}
    write_results(
        empty_account.stores.results,
        record("b/3.jpg", taken_at="2026-05-02T00:00:40", predictions=(CAT,), **camera),
        record("a/=1.jpg", taken_at="2026-05-01T23:59:30.250", predictions=(CAT,), **camera),
        rejected("a/2,'\".jpg", taken_at="2026-05-02T00:00:10", **camera),
        record("-a/4.jpg", taken_at="2026-05-02T01:00:00+02:00", predictions=(FORMULA,), **camera),
        rejected("a/5.jpg", taken_at="2026-05-02T03:00:00", **camera),
        record(UNTIMED[0], container=container),
        record(UNTIMED[1], container=container, taken_at="in spring"),
    )
    assert main(["query", "--events", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["image_count"] for event in events] == [3, 1, 1]
    names = ("event_id", "start", "end", "image_count", "label", "score")
    return {name: tuple(event[each] for each in names) for event in events for name in event["images"]}


def exported(path: Path) -> None:
    assert main(["export", "--format", path.suffix[1:], "-o", str(path), "--events"]) == 0


def test_csv_has_the_events_of_query(expected: dict[str, tuple[Any, ...]], tmp_path: Path) -> None:
    exported(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*ROW_COLUMNS, *COLUMNS]
    found = {row["blob_name"].removeprefix("'"): [row[each].removeprefix("'") for each in COLUMNS] for row in rows}
    assert sorted(list(found)[:2]) == sorted(UNTIMED)
    assert list(found)[2:] == list(expected)
    texts = {name: ["" if cell is None else str(cell) for cell in cells] for name, cells in expected.items()}
    assert found == texts | {name: [""] * 6 for name in UNTIMED}
    assert next(row["event_label"] for row in rows if row["blob_name"] == "'-a/4.jpg").startswith("'=")


def test_parquet_has_the_events_of_query_with_types(expected: dict[str, tuple[Any, ...]], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    exported(path)
    rows = rows_of(path)
    assert {row["blob_name"]: tuple(row[each] for each in COLUMNS) for row in rows} == {
        **dict.fromkeys(UNTIMED, (None,) * 6),
        **expected,
    }
    for row in rows:
        for name in ("event_start", "event_end"):
            text = row[name]
            clock = None if text is None else datetime.fromisoformat(text).replace(tzinfo=None)
            assert row[f"{name}_local"] == clock


def test_xlsx_has_the_events_of_query(expected: dict[str, tuple[Any, ...]], tmp_path: Path) -> None:
    exported(tmp_path / "a.xlsx")
    (rows,) = sheets_of(tmp_path / "a.xlsx", [*ROW_COLUMNS, *COLUMNS])
    found = {row["blob_name"]: {name: row[name] for name in COLUMNS if name in row} for row in rows}
    assert found == {name: {} for name in UNTIMED} | {
        name: {column: str(cell) for column, cell in zip(COLUMNS, cells, strict=True) if cell is not None}
        for name, cells in expected.items()
    }


def test_every_value_of_a_row_survives_the_disk() -> None:
    taken = {"taken_at": "2026-05-01T10:00:00", "latitude": 0.1, "damaged": True}
    names = [*AWKWARD_NAMES.values(), *(name for name in HOSTILE if name not in AWKWARD_NAMES.values())]
    rows = [
        *(ReviewedRow(record(name, label=f"{name}\udcff", **taken)) for name in names),
        ReviewedRow(record("reviewed", **taken), (review("=dog"),)),
        ReviewedRow(rejected("rejected", **taken)),
    ]
    with EventSorter() as sorter:
        written = {row["blob_name"]: row for row in EventTable(rows, sorter, str).table.rows}
    assert len(written) == len(rows)
    for row in rows:
        got = written[row.record.blob_name]
        assert {name: got[name] for name in got if name not in EVENT_KINDS} == row_values(row)
        assert list(got) == [*ROW_COLUMNS, *EVENT_KINDS]


def test_a_review_counts_in_the_label() -> None:
    taken = {"taken_at": "2026-05-01T10:00:00", "camera_serial": "1"}
    rows = [ReviewedRow(record("1", **taken)), ReviewedRow(record("2", **taken), (review("dog"),))]
    with EventSorter() as sorter:
        labels = {(row["event_label"], row["event_score"]) for row in EventTable(rows, sorter, str).table.rows}
    assert labels == {("dog", (0.125 + 1) / 2)}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("csv", "--gap", "5m"), "--gap says which photos are one event: add --events."),
        (("coco", "--events"), "--events belongs to --format csv, xlsx or parquet, not to coco."),
        (("coco", "--gap", "5m"), "--gap belongs to --format csv, xlsx, parquet or camtrap-dp, not to coco."),
        (("parquet", "--events", "--since-last"), "A folder of --since-last has a file for each day of classification"),
    ],
)
def test_options_that_do_not_go_together_are_misuse(
    options: tuple[str, ...],
    sentence: str,
    empty_account: Account,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["export", "-o", str(tmp_path / "a"), "--format", *options]) == 2
    assert capsys.readouterr().err.startswith(sentence)
    assert list(tmp_path.iterdir()) == []
