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
from storage.results.serialization import COLUMNS, column_values
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from storage.results.record import Record

# A cell that begins with one of these may be read as a formula (owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_STYLES = {Status.CLASSIFIED: "green", Status.REJECTED: "yellow", Status.FAILED: "red"}
# Widths in terminal cells; the answer is the label or reason, the others are all columns but answer and name.
_WIDE_TERMINAL, _WIDE_ANSWER, _NARROW_ANSWER, _OTHERS, _MIN_NAME = 110, 24, 15, 42, 12


class Output(Protocol):
    """Prints results to stdout, one at a time. A first column of whole numbers may be added."""

    def begin(self) -> None:
        """Print the header, if there is one."""

    def show(self, record: Record, added: int | None = None) -> None:
        """Print one row, with the value of the added column."""


def columns_of(record: Record) -> dict[str, Any]:
    """All columns of a row in their order, with the values of its sidecar."""
    values = column_values(record).items()
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values}


class JsonLines:
    """One object per line, in ASCII, because a name may hold characters that a terminal or an encoding cannot."""

    def __init__(self, added_column: str | None = None) -> None:
        self._added_column = added_column

    def begin(self) -> None:
        """See ``Output``."""

    def show(self, record: Record, added: int | None = None) -> None:
        """See ``Output``."""
        first = {} if self._added_column is None else {self._added_column: added}
        print(json.dumps(first | columns_of(record), allow_nan=False), flush=True)


class Csv:
    """RFC 4180 in UTF-8, with a header. A text that could be a formula gets a leading apostrophe."""

    def __init__(self, added_column: str | None = None) -> None:
        self._added_column = added_column

    def begin(self) -> None:
        """See ``Output``."""
        set_csv_encoding()
        self._print([*(() if self._added_column is None else (self._added_column,)), *COLUMNS])

    def show(self, record: Record, added: int | None = None) -> None:
        """See ``Output``."""
        first = () if self._added_column is None else (added,)
        self._print([*first, *(spreadsheet_cell(value) for value in columns_of(record).values())])

    def _print(self, cells: Any) -> None:
        csv.writer(sys.stdout, lineterminator="\r\n").writerow(cells)
        sys.stdout.flush()


class Table:
    """Lines that fit the terminal; of a long name the end is shown. Without a terminal nothing is cut."""

    def __init__(self, added_column: str | None = None) -> None:
        self._added_column = added_column
        self._first_cells = 0 if added_column is None else len(added_column) + 2
        self._console = Console(highlight=False, soft_wrap=True)
        self._answer_cells, self._name_cells = _WIDE_ANSWER, None
        if sys.stdout.isatty():
            if self._console.width < _WIDE_TERMINAL:
                self._answer_cells = _NARROW_ANSWER
            self._name_cells = max(_MIN_NAME, self._console.width - _OTHERS - self._answer_cells - self._first_cells)

    def begin(self) -> None:
        """See ``Output``."""
        answer = set_cell_size("label or reason", self._answer_cells)
        first = "" if self._added_column is None else f"{self._added_column}  "
        self._line(Text(f"{first}{'classified at, UTC':<19}  {'status':<10}  {answer}  score  image", style="bold"))

    def show(self, record: Record, added: int | None = None) -> None:
        """See ``Output``."""
        answer = printable((record.label if record.label is not None else record.reason) or "")
        if record.damaged:
            answer = f"{answer} (damaged)"
        answer = shortened(answer, self._answer_cells)
        # Rounded down: 1.00 means exactly 1.
        score = "" if record.score is None else f"{int(record.score * 100) / 100:.2f}"
        self._line(
            Text.assemble(
                "" if self._added_column is None else f"{added:>{self._first_cells - 2}}  ",
                (f"{record.classified_at:%Y-%m-%d %H:%M:%S}", "dim"),
                "  ",
                (f"{record.status:<10}", _STYLES[record.status]),
                f"  {set_cell_size(answer, self._answer_cells)}  {score:>5}  ",
                _end(printable(record.blob_name), self._name_cells),
            )
        )

    def _line(self, text: Text) -> None:
        self._console.print(text)
        sys.stdout.flush()


FORMATS: Mapping[str, Callable[[str | None], Output]] = {"table": Table, "csv": Csv, "jsonl": JsonLines}


def spreadsheet_cell(value: Any) -> Any:
    """The value, with an apostrophe before a text that a spreadsheet program may read as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def set_csv_encoding() -> None:
    """Let stdout take CSV: UTF-8, and no line end but those of the CSV writer."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")


def shortened(text: str, cells: int) -> str:
    """The text, or its beginning and an ellipsis if it is too long; a wide character takes two cells."""
    return text if cell_len(text) <= cells else f"{set_cell_size(text, cells - 1)}…"


def _end(text: str, cells: int | None) -> str:
    """The text, or its end if it is too long; a wide character takes two cells."""
    if cells is None or cell_len(text) <= cells:
        return text
    text = text[-cells:]
    while cell_len(text) > cells - 1:
        text = text[1:]
    return f"…{text}"
