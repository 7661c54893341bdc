"""CSV as ``query --format csv`` prints it: RFC 4180, UTF-8, with a header, safe to open in a spreadsheet program.

A text that could be a formula gets a leading apostrophe. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from tools.query.output import plain_values, spreadsheet_cell

if TYPE_CHECKING:
    from pathlib import Path

    from tools.export.formats.table import Table


def write(table: Table, path: Path) -> None:
    """Write one file, a line for each row."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        lines = csv.writer(file, lineterminator="\r\n")
        lines.writerow(table.kinds)
        lines.writerows([spreadsheet_cell(value) for value in plain_values(row).values()] for row in table.rows)
