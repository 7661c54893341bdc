"""Reads CSV and TSV label files with a header, or with more columns than an index and a name."""

from __future__ import annotations

import csv
import re

from inference.model.labels.parsed import ordered

_DELIMITERS = "\t,;|"
# The headers of an index and of a name, in lower case with underscores; of names the first that is there is read.
_INDEX_HEADERS = {
    "", "id", "index", "idx", "number", "class_id", "class_idx", "class_index", "class_number", "label_id",
    "label_idx", "label_index", "category_id", "target", "unnamed:_0",
}  # fmt: skip
_NAME_HEADERS = (
    "display_name", "class_name", "label_name", "category_name", "classname", "labelname", "name", "label", "class",
    "category", "description", "names", "labels", "classes", "categories", "species",
)  # fmt: skip


def from_table(text: str) -> tuple[str, ...] | None:
    """Read the labels of a table; ``None`` where the text is lines that hold no table.

    Raises:
        ValueError: The columns do not show which is the name, or the numbering is not 0, 1, 2 ...
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return None
    delimiter = next((each for each in _DELIMITERS if each in lines[0]), ",")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
    except csv.Error:
        return None
    width = len(rows[0])
    if any(len(row) != width for row in rows):  # a name with commas, as WordNet has
        return None
    headers = [_header(cell) for cell in rows[0]]
    has_header = bool(set(headers) & {*_INDEX_HEADERS, *_NAME_HEADERS}) and not any(map(str.isdigit, headers))
    if not has_header:
        return None if width <= 2 else _from_columns([""] * width, rows)
    return _from_columns(headers, rows[1:]) if len(rows) > 1 else None


def _from_columns(headers: list[str], rows: list[list[str]]) -> tuple[str, ...]:
    columns = list(zip(*rows, strict=True))
    numeric = [all(cell.isdigit() for cell in column) for column in columns]
    counts = [is_numeric and _counts_from_0(column) for is_numeric, column in zip(numeric, columns, strict=True)]
    named = [at for at, header in enumerate(headers) if header in _INDEX_HEADERS and header and numeric[at]]
    index = next(iter(named), counts.index(True) if True in counts else None)
    name = _name_column(headers, numeric, index)
    if any(not cell for cell in columns[name]):
        raise ValueError(f"has a row without a name in column {name + 1}")
    if index is None:
        return columns[name]
    return ordered([(int(number), label) for number, label in zip(columns[index], columns[name], strict=True)])


def _name_column(headers: list[str], numeric: list[bool], index: int | None) -> int:
    others = [at for at in range(len(headers)) if at != index]
    by_header = [headers.index(header) for header in _NAME_HEADERS if header in headers]
    words = [at for at in others if not numeric[at]]
    for candidates in ([at for at in by_header if at in words], words if len(words) == 1 else [], by_header, others):
        found = [at for at in candidates if at in others]
        if found and (candidates is not others or len(others) == 1):
            return found[0]
    raise ValueError(
        f"has {len(headers)} columns, and no header states which holds the names: call it name, or keep the index and"
        f" the name only"
    )


def _counts_from_0(column: tuple[str, ...]) -> bool:
    return sorted(map(int, column)) == list(range(len(column)))


def _header(cell: str) -> str:
    """Return a header in lower case with underscores: ``ClassId`` and ``class id`` are ``class_id``."""
    return re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cell)).lower()
