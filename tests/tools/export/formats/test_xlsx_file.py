"""Workbooks, read back by a reader of ours: zip and XML."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from storage.reviews.columns import ROW_COLUMNS
from storage.reviews.join import ReviewedRow
from tests.storage.samples import NOON, record, rejected
from tools.export.formats.table import table_of
from tools.export.formats.xlsx_file import MAX_UNITS, write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
HOSTILE = [
    '=HYPERLINK("http://x.test","cat").jpg',
    "+1",
    "-1",
    "@sum",
    "{=1+1}",
    "http://x.test/a.jpg",
    "file:///etc/passwd",
    "0123",
    "1e5",
    "<r><t>x</t></r>",
    "</t></is></c>",
    "_x0041_",
    "bell\x07 and\r\nlines\ttab",
    "\ufffe\uffff",
    "\U0001f431",
    " edges ",
]


def sheets_of(path: Path, columns: Iterable[str] = ROW_COLUMNS) -> list[list[dict[str, str]]]:
    """Cells of each sheet by the name of their column. No cell is a formula, and none a link."""
    sheets = []
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        assert not [name for name in archive.namelist() if "rels" in name and "worksheets" in name]  # no links
        for name in sorted(names, key=lambda name: int(re.sub(r"\D", "", name))):
            rows = []
            for row in ET.fromstring(archive.read(name)).iter(f"{_MAIN}row"):
                cells = {}
                for cell in row:
                    assert cell.find(f"{_MAIN}f") is None
                    column = re.sub(r"\d", "", cell.attrib["r"])
                    text = "".join(cell.itertext())
                    cells[column] = re.sub(r"_x([0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), text)
                rows.append(cells)
            header = {column: text.removesuffix(", UTC") for column, text in rows[0].items()}
            sheets.append([{header[column]: text for column, text in cells.items()} for cells in rows[1:]])
            assert list(header.values()) == list(columns)
    return sheets


def test_every_text_comes_back_as_text(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write(table_of([ReviewedRow(record(name, label=name)) for name in HOSTILE]), path)
    (rows,) = sheets_of(path)
    assert [row["label"] for row in rows] == HOSTILE
    assert [row["blob_name"] for row in rows] == HOSTILE


def test_numbers_and_times_are_no_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write(table_of(map(ReviewedRow, [record(), rejected()])), path)
    ((classified, refused),) = sheets_of(path)
    since_1900 = timedelta(days=float(classified["classified_at"]))
    assert abs(datetime(1899, 12, 30, tzinfo=UTC) + since_1900 - NOON) < timedelta(milliseconds=1)
    assert (classified["score"], classified["content_length"]) == ("0.875", "5000000000")
    assert {"label", "score", "width"}.isdisjoint(refused)


def test_a_full_sheet_is_followed_by_another(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    numbers = write(table_of(ReviewedRow(record(f"{number}.jpg")) for number in range(5)), path, max_rows=3)
    sheets = sheets_of(path)
    assert [[row["blob_name"] for row in rows] for rows in sheets] == [
        ["0.jpg", "1.jpg"],
        ["2.jpg", "3.jpg"],
        ["4.jpg"],
    ]
    assert numbers == {"sheets": 3, "texts_cut": 0}


@pytest.mark.parametrize("text", ["x" * 40_000, "a" + "\U0001f431" * 20_000])
def test_a_long_text_is_cut_and_counted(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    records = [rejected(detail=text), rejected(detail="x" * MAX_UNITS), rejected(detail="\x07" * MAX_UNITS)]
    assert write(table_of(map(ReviewedRow, records)), path)["texts_cut"] == 1
    ((cut, *whole),) = sheets_of(path)
    assert text.startswith(cut["detail"].removesuffix("…"))
    assert MAX_UNITS - 1 <= len(cut["detail"].encode("utf-16-le")) // 2 <= MAX_UNITS
    assert [row["detail"] for row in whole] == [record.detail for record in records[1:]]


def test_no_row_is_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    assert write(table_of([]), path) == {"sheets": 1, "texts_cut": 0}
    assert sheets_of(path) == [[]]
