"""Parquet with types: times in UTC, whole numbers of 64 bits, texts of few values as dictionaries.

``taken_at`` stays text, because some cameras state an offset and most do not; ``taken_at_local`` is the same wall clock
as a timestamp without zone. So it is with the start and end of events. A row group holds 64 Ki rows.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.export.formats.table import Table

# Texts with few different values; pandas reads them as categories.
DICTIONARIES = frozenset(
    {
        *("container", "status", "label", "reason", "model", "model_version", "format", "color_profile"),
        *("taken_from", "camera_make", "camera_model", "camera_serial", "decision_version"),
        *("reviewed_label", "reviewed_by", "event_label"),
    }
)
_ROW_GROUP = 64 * 1024
_BATCH = 4 * 1024  # rows that are Python objects at one time; in Arrow's form they take a tenth of that
_LOCAL_TIME = {name: f"{name}_local" for name in ("taken_at", "event_start", "event_end")}


def write(table: Table, path: Path) -> None:
    """Write one file.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    pyarrow, parquet = libraries()
    schema = _schema(pyarrow, table)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        batches, size = [], 0
        for batch in _batches(table, pyarrow, schema):
            batches.append(batch)
            size += batch.num_rows
            if size >= _ROW_GROUP:
                writer.write_table(_table(pyarrow, batches, schema), row_group_size=size)
                batches, size = [], 0
        if batches:
            writer.write_table(_table(pyarrow, batches, schema), row_group_size=size)


def libraries() -> tuple[Any, Any]:
    """``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        ConfigurationError: They are not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigurationError("The format parquet needs pyarrow: pip install -r requirements-export.txt") from error
    return pa, pq


def _schema(pyarrow: Any, table: Table) -> Any:
    types = {
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "datetime": pyarrow.timestamp("us", "UTC"),
    }
    dictionary = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    fields = []
    for name, kind in table.kinds.items():
        text = dictionary if name in DICTIONARIES else pyarrow.string()
        fields.append((name, types.get(kind, text)))
        if name in _LOCAL_TIME:
            fields.append((_LOCAL_TIME[name], pyarrow.timestamp("ms")))
    return pyarrow.schema(fields)


def _batches(table: Table, pyarrow: Any, schema: Any) -> Iterator[Any]:
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    size = 0
    for row in table.rows:
        values = dict(row)
        for text, local in _LOCAL_TIME.items():
            if text in values:
                values[local] = _wall_clock(values[text])
        for name, value in values.items():
            columns[name].append(value)
        size += 1
        if size == _BATCH:
            yield pyarrow.RecordBatch.from_pydict(columns, schema)
            columns, size = {name: [] for name in schema.names}, 0
    if size:
        yield pyarrow.RecordBatch.from_pydict(columns, schema)


def _table(pyarrow: Any, batches: list[Any], schema: Any) -> Any:
    return pyarrow.Table.from_batches(batches, schema).unify_dictionaries()


def _wall_clock(text: str | None) -> datetime | None:
    """The time on the camera's clock, without the offset."""
    try:
        return None if text is None else datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:  # a row that a person edited
        return None
