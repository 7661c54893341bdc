"""An Excel workbook. A sheet holds 1,048,576 rows, so the next row begins the next sheet.

Every text is written as text: none is read as a formula, a link or a number. Times are Excel dates in UTC. A cell holds
32,767 UTF-16 units; a longer text is cut and ends in an ellipsis.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tools.export.formats.table import Table

# support.microsoft.com/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3
MAX_ROWS = 1_048_576
MAX_UNITS = 32_767
_EXACT = 10**15  # Excel keeps 15 digits of a number
_FIRST_YEAR = 1900
_WIDTHS = {
    **dict.fromkeys(("blob_name", "detail"), 40),
    **dict.fromkeys(("label", "reviewed_label", "classified_at", "blob_last_modified", "reviewed_at"), 20),
    **dict.fromkeys(("event_id", "event_start", "event_end", "event_label"), 20),
}


def write(table: Table, path: Path, *, max_rows: int = MAX_ROWS) -> dict[str, int]:
    """Write one workbook, and return the number of sheets and of texts that were cut.

    Args:
        table: The rows.
        path: The file; temporary files of the size of the uncompressed sheets are written beside it.
        max_rows: Of one sheet, its header included.

    Raises:
        ConfigurationError: XlsxWriter is not installed.
    """
    try:
        import xlsxwriter
    except ImportError as error:
        raise ConfigurationError("The format xlsx needs XlsxWriter: pip install -r requirements-export.txt") from error
    workbook = xlsxwriter.Workbook(path, {"constant_memory": True, "tmpdir": str(path.parent)})
    workbook.use_zip64()  # a sheet may be larger than 4 GiB before it is compressed
    sheets = _Sheets(workbook, table.kinds, max_rows)
    try:
        for row in table.rows:
            sheets.add(row)
    finally:
        sheets.close()
    return {"sheets": sheets.number, "texts_cut": sheets.cut}


class _Sheets:
    """Writes rows to one sheet after the other."""

    def __init__(self, workbook: Any, kinds: Mapping[str, str], max_rows: int) -> None:
        self._workbook = workbook
        self._kinds = kinds
        self._max_rows = max_rows
        self._plain = workbook.add_format()
        self._bold = workbook.add_format({"bold": True})
        self._time = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self.number = self.cut = 0
        self._begin_sheet()

    def add(self, row: Mapping[str, Any]) -> None:
        if self._row == self._max_rows:
            self._begin_sheet()
        for column, value in enumerate(row.values()):
            if value is not None:
                self._write(column, value)
        self._row += 1

    def close(self) -> None:
        self._end_sheet()
        self._workbook.close()

    def _begin_sheet(self) -> None:
        if self.number:
            self._end_sheet()
        self.number += 1
        self._sheet = self._workbook.add_worksheet("Results" if self.number == 1 else f"Results {self.number}")
        self._sheet.freeze_panes(1, 0)
        for column, (name, kind) in enumerate(self._kinds.items()):
            self._sheet.set_column(column, column, _WIDTHS.get(name, 12))
            utc = ", UTC" if kind == "datetime" else ""
            self._sheet.write_string(0, column, f"{name}{utc}", self._bold)
        self._row = 1

    def _end_sheet(self) -> None:
        self._sheet.autofilter(0, 0, max(1, self._row - 1), len(self._kinds) - 1)

    def _write(self, column: int, value: Any) -> None:
        if isinstance(value, bool):
            self._sheet.write_boolean(self._row, column, value)
        elif isinstance(value, datetime) and value.year > _FIRST_YEAR:
            self._sheet.write_datetime(self._row, column, value.replace(tzinfo=None), self._time)
        elif isinstance(value, float) or (isinstance(value, int) and abs(value) < _EXACT):
            self._sheet.write_number(self._row, column, value)
        else:
            self._write_text(column, str(value))

    def _write_text(self, column: int, text: str) -> None:
        if len(text) > MAX_UNITS // 2 and len(units := text.encode("utf-16-le")) > 2 * MAX_UNITS:
            text = f"{units[: 2 * MAX_UNITS - 2].decode('utf-16-le', 'ignore')}…"
            self.cut += 1
        if text.startswith("<r>"):
            # XlsxWriter would copy <r>...</r> unchecked, as XML of its own. A text of two parts it writes itself.
            self._sheet.write_rich_string(self._row, column, "<", self._plain, text[1:])
        else:
            self._sheet.write_string(self._row, column, text)
