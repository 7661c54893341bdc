"""Three ways to print rows, each as soon as it is found: JSON lines, CSV that is safe in a spreadsheet, and a table.

Values are those of the sidecar: times are ISO 8601 in UTC, ``top_k`` is JSON text, absent values are ``null``.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from storage.results.record import Status
from storage.reviews.columns import ROW_COLUMNS, row_values
from tools.terminal import end_of, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.reviews.join import ReviewedRow

# A cell that begins with one of these may be read as a formula (owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_STYLES = {Status.CLASSIFIED: "green", Status.REJECTED: "yellow", Status.FAILED: "red"}
_TIME, _STATUS, _ANSWER, _SCORE = "classified at, UTC", "status", "label or reason", "score"
# Columns of the table with their widths in terminal cells; the image's name takes the rest.
_CELLS = {_TIME: 19, _STATUS: 10, _ANSWER: 24, _SCORE: 5}
_GAP = "  "
_WIDE_TERMINAL, _NARROW_ANSWER, _MIN_NAME = 110, 15, 12


class Output(Protocol):
    """Prints results to stdout, one at a time. A first column of whole numbers may be added."""

    def begin(self) -> None:
        """Print the header, if there is one."""

    def show(self, row: ReviewedRow, added: int | None = None) -> None:
        """Print one row, with the value of the added column."""


def columns_of(row: ReviewedRow) -> dict[str, Any]:
    """All columns of a row in their order, with the values of its sidecar and of its newest review."""
    return plain_values(row_values(row))


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with each time as ISO 8601."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


class JsonLines:
    """One object per line, in ASCII, because a name may hold characters that a terminal or an encoding cannot."""

    def __init__(self, added_column: str | None = None) -> None:
        self._added_column = added_column

    def begin(self) -> None:
        """See ``Output``."""

    def show(self, row: ReviewedRow, added: int | None = None) -> None:
        """See ``Output``."""
        first = {} if self._added_column is None else {self._added_column: added}
        print(json.dumps(first | columns_of(row), allow_nan=False), flush=True)


class Csv:
    """RFC 4180 in UTF-8, with a header. A text that could be a formula gets a leading apostrophe."""

    def __init__(self, added_column: str | None = None) -> None:
        self._added_column = added_column

    def begin(self) -> None:
        """See ``Output``."""
        set_csv_encoding()
        self._print([*(() if self._added_column is None else (self._added_column,)), *ROW_COLUMNS])

    def show(self, row: ReviewedRow, added: int | None = None) -> None:
        """See ``Output``."""
        first = () if self._added_column is None else (added,)
        self._print([*first, *(spreadsheet_cell(value) for value in columns_of(row).values())])

    def _print(self, cells: Any) -> None:
        csv.writer(sys.stdout, lineterminator="\r\n").writerow(cells)
        sys.stdout.flush()


class Table:
    """One line for each row, as wide as the terminal; without a terminal nothing is cut.

    A narrow terminal shows shorter answers and the end of a long name; a narrower one leaves out the time, then the
    status, then the score.
    """

    def __init__(self, added_column: str | None = None) -> None:
        self._added_column = added_column
        self._added_cells = 0 if added_column is None else len(added_column)
        self._console = Console(highlight=False, soft_wrap=True)
        self._cells = dict(_CELLS)
        self._name_cells: int | None = None
        if sys.stdout.isatty():
            if self._console.width < _WIDE_TERMINAL:
                self._cells[_ANSWER] = _NARROW_ANSWER
            for column in (_TIME, _STATUS, _SCORE):
                if self._left_for_name() < _MIN_NAME:
                    del self._cells[column]
            self._name_cells = max(_MIN_NAME, self._left_for_name())

    def begin(self) -> None:
        """See ``Output``."""
        self._line(self._added_column or "", {column: Text(column) for column in _CELLS}, "image", style="bold")

    def show(self, row: ReviewedRow, added: int | None = None) -> None:
        """See ``Output``. Below a reviewed row its reviews follow, newest first, in the same columns."""
        record = row.record
        answer = printable((record.label if record.label is not None else record.reason) or "")
        # Rounded down: 1.00 means exactly 1.
        score = "" if record.score is None else f"{int(record.score * 100) / 100:.2f}"
        status = Text(str(record.status), _STYLES[record.status])
        answer = f"{answer} (damaged)" if record.damaged else answer
        self._line(str(added), self._texts(record.classified_at, status, answer, score), self._name(record.blob_name))
        for review in row.reviews:
            label = "unsure" if review.reviewed_label is None else printable(review.reviewed_label)
            cells = self._texts(review.reviewed_at, Text("reviewed", "cyan"), label, "")
            self._line("", cells, self._name(f"by {review.reviewed_by}"))

    def _texts(self, time: datetime, status: Text, answer: str, score: str) -> dict[str, Text]:
        return {
            _TIME: Text(f"{time:%Y-%m-%d %H:%M:%S}", "dim"),
            _STATUS: status,
            _ANSWER: Text(shortened(answer, self._cells[_ANSWER])),
            _SCORE: Text(f"{score:>{_CELLS[_SCORE]}}"),
        }

    def _name(self, name: str) -> str:
        shown = printable(name)
        return shown if self._name_cells is None else end_of(shown, self._name_cells)

    def _left_for_name(self) -> int:
        widths = [*self._cells.values(), *([self._added_cells] if self._added_cells else [])]
        return self._console.width - sum(width + len(_GAP) for width in widths)

    def _line(self, added: str, cells: Mapping[str, Text], name: str, style: str = "") -> None:
        line = Text(style=style)
        if self._added_column is not None:
            line.append(f"{added:>{self._added_cells}}{_GAP}")
        for column, width in self._cells.items():
            cell = cells[column]
            line.append_text(cell).append(" " * (width - cell.cell_len) + _GAP)
        self._console.print(line.append(name))
        sys.stdout.flush()


FORMATS: Mapping[str, Callable[[str | None], Output]] = {"table": Table, "csv": Csv, "jsonl": JsonLines}


def spreadsheet_cell(value: Any) -> Any:
    """The value, with an apostrophe before a text that a spreadsheet program may read as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def without_apostrophe(text: str) -> str:
    """The text that ``spreadsheet_cell`` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def set_csv_encoding() -> None:
    """Let stdout take CSV: UTF-8, and no line end but those of the CSV writer."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")


def shortened(text: str, cells: int) -> str:
    """The text, or its beginning and an ellipsis if it is too long; a wide character takes two cells."""
    return text if cell_len(text) <= cells else f"{set_cell_size(text, cells - 1)}…"
