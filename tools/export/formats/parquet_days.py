"""A folder with one Parquet file for each day of classification (UTC), which each run brings up to date.

    2026-11-19.parquet  2026-11-20.parquet  _export.json        readers of Parquet skip names that begin with "_"

``_export.json`` holds when the last run began. The next run reads every day from two days before that, or from the
newest day in the folder, and replaces the files of those days. The two days are for rows that were late: a row is
committed after its ``classified_at``. An image that was classified again has left its earlier day, so its old row is
removed from that day's file: the folder holds each image once, as the table does.

A review is imported after its image was classified, so the days of newly reviewed images are read again too: each
alone, or, as after a random sample, all from the first to the last.

A row that changes without being classified again (``backfill --facts``) or is removed (``reconcile --prune``) changes
no later day. A run that reads everything takes that in. Such a run happens by itself where the columns, or the version
of the decision, are no longer those of the last run: a row of the days that are read has a version that was not there.

Each file is replaced at once, and new days are written before old rows are removed: a reader may meanwhile see an image
twice, never miss one. A run that is stopped is repeated by the next.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.errors import ConfigurationError
from storage.results.record import Record, Status
from storage.reviews.columns import ROW_COLUMNS
from tools.export.destination import complete_file
from tools.export.formats.parquet_file import libraries
from tools.export.formats.parquet_file import write as write_file
from tools.export.formats.table import table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from storage.query.plan import Filter
    from storage.reviews.join import ReviewedRow

STATE = "_export.json"
_MODEL = ""  # among the versions of decisions: the label is the model's, as after `decide` without rules
LATENESS = timedelta(days=2)
_MAX_SINGLE_DAYS = 10  # each is a query of its own, which reads the reviews once more
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)  # a filter by time brings the rows of each day together
_DAY_FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.parquet")
_NAMES = tuple(each.name for each in fields(Record))
_SUFFIX = ".parquet"


def update(
    folder: Path,
    row_filter: Filter,
    read: Callable[[Filter], Iterator[ReviewedRow]],
    reviewed_since: Callable[[datetime], Iterator[ReviewedRow]],
    *,
    since_last: bool,
) -> dict[str, int]:
    """Bring the folder up to date, and return the numbers of files that were written, changed and removed.

    Memory grows by 8 bytes for each row that is read.

    Args:
        folder: Created if it is missing.
        row_filter: Which rows to keep; the same in every run.
        read: Reads the rows of a filter.
        reviewed_since: Reads the rows with a review that was imported at a time or later.
        since_last: Read the days since the last run, if there was one; otherwise everything.

    Raises:
        ConfigurationError: The folder belongs to an export with another filter, or cannot be written; pyarrow is not
            installed.
    """
    libraries()
    started = datetime.now(UTC)
    last = _open_folder(folder, row_filter)
    with complete_file(folder / STATE) as new_state:  # this also keeps a second run out
        since = last.since if since_last else None
        run = _Run(folder, row_filter, last.decisions if since else None)
        everything = replace(_unfiltered(row_filter), since=since or _BEGINNING)
        try:
            run.write_days(read(everything))
            for first, end in _reviewed_periods(reviewed_since, since):
                run.write_days(read(replace(everything, since=first, until=end)))
        except _NewDecisionError:
            since, run = None, _Run(folder, row_filter, None)
            run.write_days(read(replace(everything, since=_BEGINNING)))
        run.remove_old_rows(since)
        newest = max(filter(None, [run.newest, last.newest]), default=None)
        decisions = sorted(run.decisions | set(last.decisions if since else ()))
        state = _State(
            last.filters, list(ROW_COLUMNS), started.isoformat(), newest.isoformat() if newest else None, decisions
        )
        new_state.write_text(state.text(), encoding="utf-8")
    return {"files_written": len(run.written), "files_changed": run.changed, "files_removed": run.removed}


class _NewDecisionError(Exception):
    """A row's decision has a version that the last run did not see, so rows of any day may have changed."""


@dataclass(frozen=True, slots=True)
class _State:
    """What ``_export.json`` holds. ``started`` is ``None`` until a run has ended."""

    filters: dict[str, str]
    columns: list[str]
    started: str | None = None
    newest_day: str | None = None
    decisions: list[str] = field(default_factory=list)

    def text(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, indent=2)

    @property
    def newest(self) -> date | None:
        return None if self.newest_day is None else date.fromisoformat(self.newest_day)

    @property
    def since(self) -> datetime | None:
        """From when on the next run reads; ``None`` if it reads everything."""
        if self.started is None or self.columns != list(ROW_COLUMNS):
            return None
        first = (datetime.fromisoformat(self.started) - LATENESS).date()
        return datetime.combine(min(first, self.newest or first), time_of_day(), UTC)


class _Run:
    """One run over the days of a folder.

    Args:
        folder: The folder.
        row_filter: Which rows to keep.
        known_decisions: Raise ``_NewDecisionError`` at a row with another; ``None`` accepts all.
    """

    def __init__(self, folder: Path, row_filter: Filter, known_decisions: list[str] | None) -> None:
        self._folder = folder
        self._filter = row_filter
        self._known = known_decisions
        self._images = array("Q")
        self.decisions: set[str] = set()
        self.written: set[date] = set()
        self.newest: date | None = None
        self.changed = self.removed = 0

    def write_days(self, rows: Iterable[ReviewedRow]) -> None:
        """Write the file of each day that has rows."""
        for day, of_day in groupby(rows, key=lambda row: row.record.classified_at.astimezone(UTC).date()):
            self.newest = max(day, self.newest or day)
            kept = self._kept(of_day)
            if (first := next(kept, None)) is not None:
                with complete_file(self._path(day)) as path:
                    write_file(table_of(chain([first], kept)), path)
                self.written.add(day)

    def remove_old_rows(self, since: datetime | None) -> None:
        """Remove the files of days without rows, and from earlier days the images whose row was read."""
        images = np.unique(np.frombuffer(self._images, dtype=np.uint64))
        for day in [day for day in _days(self._folder) if day not in self.written]:
            if since is None or day >= since.date():
                self._path(day).unlink()
                self.removed += 1
            elif len(images):
                self._remove_images(self._path(day), images)

    def _kept(self, rows: Iterable[ReviewedRow]) -> Iterator[ReviewedRow]:
        for row in rows:
            record = row.record
            if record.status is Status.CLASSIFIED:
                decision = record.decision_version or _MODEL
                if self._known is not None and decision not in self._known:
                    raise _NewDecisionError
                self.decisions.add(decision)
            self._images.append(_digest(record.blob_name))
            if self._filter.matches({name: getattr(record, name) for name in _NAMES}):
                yield row

    def _remove_images(self, path: Path, images: NDArray[np.uint64]) -> None:
        """Write a day's file again without these images, if it has one of them."""
        pyarrow, parquet = libraries()
        with parquet.ParquetFile(path) as file:
            kept = [_others(batch.column(0), images) for batch in file.iter_batches(columns=["blob_name"])]
            left = sum(int(mask.sum()) for mask in kept)
            if left == sum(map(len, kept)):
                return
            if left:
                with (
                    complete_file(path) as new,
                    parquet.ParquetWriter(new, file.schema_arrow, compression="zstd") as writer,
                ):
                    for group in range(file.num_row_groups):
                        table = file.read_row_group(group)
                        writer.write_table(table.filter(pyarrow.array(_others(table.column("blob_name"), images))))
        if left:
            self.changed += 1
        else:
            path.unlink()
            self.removed += 1

    def _path(self, day: date) -> Path:
        return self._folder / f"{day}{_SUFFIX}"


def _open_folder(folder: Path, row_filter: Filter) -> _State:
    """Create the folder if it is missing, and return what the last run left."""
    state_path = folder / STATE
    filters = {each.name: str(value) for each in fields(row_filter) if (value := getattr(row_filter, each.name))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if state_path.exists():
            state = _State(**json.loads(state_path.read_bytes()))
            if state.filters != filters:
                raise ConfigurationError(
                    f"{folder} was exported with other filters ({_in_words(state.filters)}, not "
                    f"{_in_words(filters)}): give the same filters, or another folder."
                )
            return state
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}.") from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{state_path} is damaged: give another folder.") from error
    if _days(folder):
        raise ConfigurationError(f"{folder} holds Parquet files of another program: give another folder.")
    state = _State(filters, list(ROW_COLUMNS))
    with complete_file(state_path) as path:  # from now on the folder is known as ours, also if this run is stopped
        path.write_text(state.text(), encoding="utf-8")
    return state


def _in_words(filters: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in filters.items() if name != "container") or "none"


def _reviewed_periods(
    reviewed_since: Callable[[datetime], Iterator[ReviewedRow]], since: datetime | None
) -> list[tuple[datetime, datetime]]:
    """Beginning and end of the days before ``since`` whose images have newer reviews; aware, at midnight."""
    if since is None:
        return []
    found = {row.record.classified_at.astimezone(UTC).date() for row in reviewed_since(since)}
    days = [datetime.combine(day, time_of_day(), UTC) for day in sorted(found) if day < since.date()]
    if len(days) > _MAX_SINGLE_DAYS:
        return [(days[0], days[-1] + timedelta(days=1))]
    return [(day, day + timedelta(days=1)) for day in days]


def _unfiltered(row_filter: Filter) -> Filter:
    """All rows of the container: a row that no longer matches also removes its image's earlier row."""
    return type(row_filter)(container=row_filter.container)


def _days(folder: Path) -> list[date]:
    names = (_DAY_FILE.fullmatch(path.name) for path in folder.iterdir())
    return sorted(date.fromisoformat(name[1]) for name in names if name)


def _others(names: Any, images: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which names are of other images."""
    digests = np.fromiter((_digest(name.as_py()) for name in names), np.uint64, len(names))
    return ~np.isin(digests, images, assume_unique=False, kind="sort")


def _digest(blob_name: str) -> int:
    """64 bits for a name: two of two million in the folder and two million read are alike once in five million runs."""
    return int.from_bytes(hashlib.blake2b(blob_name.encode(), digest_size=8).digest(), "big")
