"""The option ``--events`` of tables: each row of an image with its event.

Rows without a capture time come first, as they are read; the others follow by camera and time. They wait on disk, as
JSON in the sorter of events, so memory stays constant.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from storage.reviews.columns import ROW_COLUMNS, ROW_KINDS, row_values
from tools.export.formats.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from storage.query.events import Event, EventSorter
    from storage.reviews.join import ReviewedRow

EVENT_KINDS: Mapping[str, str] = {
    "event_id": "str",
    "event_start": "str",
    "event_end": "str",
    "event_images": "int",
    "event_label": "str",
    "event_score": "float",
}
"""The columns in their order, with their kinds. Start and end are texts as ``taken_at``: the camera's clock."""
_NO_EVENT = dict.fromkeys(EVENT_KINDS)
_TIMES = frozenset(name for name, kind in ROW_KINDS.items() if kind == "datetime")


class EventTable:
    """Rows with the columns of their events.

    Args:
        rows: They are all read before the first row with an event is given.
        sorter: A new one.
        report: Gets a sentence when all rows are read.

    Attributes:
        table: What to write.
        events: How many events were given.
    """

    def __init__(self, rows: Iterable[ReviewedRow], sorter: EventSorter, report: Callable[[str], object]) -> None:
        self.table = Table({**ROW_KINDS, **EVENT_KINDS}, self._joined(rows, sorter, report))
        self.events = 0

    def _joined(
        self, rows: Iterable[ReviewedRow], sorter: EventSorter, report: Callable[[str], object]
    ) -> Iterator[Mapping[str, Any]]:
        for row in rows:
            if not sorter.add(row.record, _to_text(row), row.label if row.is_human else None):
                yield row_values(row) | _NO_EVENT
        report("All rows are read; those with an event are written by camera and time.")
        for event, texts in sorter.events():
            self.events += 1
            cells = _cells(event)
            for text in texts:
                yield _from_text(text) | cells


def _cells(event: Event) -> dict[str, Any]:
    values = (event.event_id, event.start, event.end, event.image_count, event.label, event.score)
    return dict(zip(EVENT_KINDS, values, strict=True))


def _to_text(row: ReviewedRow) -> str:
    values = row_values(row).values()
    return json.dumps([value.isoformat() if isinstance(value, datetime) else value for value in values])


def _from_text(text: str) -> dict[str, Any]:
    values = dict(zip(ROW_COLUMNS, json.loads(text), strict=True))
    times = {name: datetime.fromisoformat(values[name]) for name in _TIMES if values[name] is not None}
    return values | times
