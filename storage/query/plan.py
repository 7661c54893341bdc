"""Which rows a person asks for, and the key ranges that hold them.

    image              one point of the results table
    folder             one partition of it
    label (and time)   label|<label>|<day>   of the index, newest first
    status (and time)  status|<status>|<day> of the index, newest first
    time of capture    taken||<day>           of the index, newest first
    reason (and time)  the same as status, for the two statuses that have reasons, to be merged
    time alone         the same for all three statuses
    none of these      every row of the container: a scan

The first that applies is used, but a period of capture with both ends comes before label and status: it is mostly
shorter than their ranges. ``storage.query.condition`` writes the rest as a condition that storage applies to the range,
and ``Filter.matches`` applies it again. Pure functions, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import MAXYEAR, UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from storage.keys import (
    TAKEN,
    folder_of,
    image_keys,
    index_partition,
    index_prefix,
    inverted_time,
    partition_key,
    wall_clock,
)
from storage.results.record import Status
from storage.tables import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # no image was classified before, and index keys start here
_AFTER = "}"  # sorts after "|" and after every digit, so ``<key>}`` sorts after the key and all that it begins
_FIRST_ROW = "0"


class Kind(StrEnum):
    """How much of a table a query reads."""

    POINT = "point"
    RANGE = "range"
    SCAN = "scan"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows to return; every given part must match.

    Attributes:
        container: The incoming container.
        image: One blob, by its name in the container.
        folder: Images directly in this folder. One slash at its end is ignored; ``""`` is the top of the container.
        label: The label's exact text.
        min_score: At least this score, in [0, 1].
        since: Classified at this time or later; aware.
        until: Classified before this time; aware.
        status: The outcome.
        reason: The code of a rejection or failure.
        model: The model's name or its version.
        damaged: Only pictures of which only a part was classified; false for all.
        taken_since: Captured at this time or later by the camera's clock; the zone is ignored.
        taken_until: Captured before this time by the camera's clock; the zone is ignored.
        camera: The camera's serial number, its model, or its make and model with a space between; for an image that
            states none of them, its folder.
    """

    container: str
    image: str | None = None
    folder: str | None = None
    label: str | None = None
    min_score: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: Status | None = None
    reason: str | None = None
    model: str | None = None
    damaged: bool = False
    taken_since: datetime | None = None
    taken_until: datetime | None = None
    camera: str | None = None

    def matches(self, columns: Mapping[str, Any]) -> bool:
        """Whether a row of the results table matches."""
        name = columns.get("blob_name")
        return (
            isinstance(name, str)
            and self.image in {None, name}
            and (self.folder is None or folder_of(name) in self.folders)
            and self.reason in {None, columns.get("reason")}
            and self.model in {None, columns.get("model"), columns.get("model_version")}
            and (columns.get("damaged") is True or not self.damaged)
            and self._matches_capture(columns)
            and self.matches_index_row(columns)
        )

    def matches_index_row(self, columns: Mapping[str, Any]) -> bool:
        """Whether a row may match, by the columns that its index row has."""
        score, classified_at = columns.get("score"), columns.get("classified_at")
        return (
            columns.get("container") == self.container
            and (self.status is None or columns.get("status") == self.status)
            and self.label in {None, columns.get("label")}
            and (self.min_score is None or (isinstance(score, int | float) and score >= self.min_score))
            and isinstance(classified_at, datetime)
            and (self.since is None or classified_at >= self.since)
            and (self.until is None or classified_at < self.until)
        )

    def _matches_capture(self, columns: Mapping[str, Any]) -> bool:
        if self.camera is not None and self.camera not in camera_names(columns):
            return False
        if not self.is_by_capture:
            return True
        taken, since, until = wall_clock(columns.get("taken_at")), *self.taken_period
        return taken is not None and (since is None or taken >= since) and (until is None or taken < until)

    @property
    def taken_period(self) -> tuple[datetime | None, datetime | None]:
        """``taken_since`` and ``taken_until`` as ``keys.wall_clock`` gives capture times."""
        since, until = (
            None if time is None else max(time.replace(tzinfo=UTC), _EARLIEST)
            for time in (self.taken_since, self.taken_until)
        )
        return since, until

    @property
    def is_by_capture(self) -> bool:
        """Whether the time of capture is limited."""
        return self.taken_since is not None or self.taken_until is not None

    @property
    def first_index_columns_are_enough(self) -> bool:
        """Whether the seven columns of an index row of version 1 decide every part that is no key."""
        return (
            self.model is None
            and self.reason is None
            and not self.damaged
            and self.camera is None
            and not self.is_by_capture
        )

    @property
    def earliest(self) -> datetime | None:
        """``since`` where it limits anything: tables hold no time before 1601, and compare short years as text."""
        return self.since if self.since is not None and self.since > _EARLIEST else None

    @property
    def latest(self) -> datetime | None:
        """``until`` where it limits anything, and not before 1970."""
        return max(self.until, _EARLIEST) if self.until is not None and self.until.year < MAXYEAR else None

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the parts that are given, without the container."""
        names = (each.name for each in fields(self) if each.name != "container")
        return tuple(name for name in names if getattr(self, name) not in {None, False})

    @property
    def folders(self) -> tuple[str | None, ...]:
        """The folders that ``folder`` stands for, as ``keys.folder_of`` names them."""
        if self.folder in {"", "/"}:
            return (None, "")  # the top, and names that begin with a slash: a person cannot distinguish them
        return () if self.folder is None else (self.folder.removesuffix("/"),)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which ranges to read.

    Attributes:
        kind: Point, range or scan.
        in_index: The ranges are of the index table, and each of its rows leads to a row.
        streams: Ranges that follow each other; several streams are merged, newest first.
        in_keys: The fields of the filter that these ranges hold. Storage compares the others with each row of them.
    """

    kind: Kind
    in_index: bool
    streams: tuple[tuple[Span, ...], ...]
    in_keys: tuple[str, ...] = ()


def plan(row_filter: Filter) -> Plan:
    """Choose the narrowest ranges."""
    if row_filter.image is not None:
        partition, row = image_keys(row_filter.container, row_filter.image)
        return Plan(Kind.POINT, in_index=False, streams=((Span(partition, partition, row, row),),), in_keys=("image",))
    if row_filter.folder is not None:
        partitions = [partition_key(row_filter.container, folder) for folder in row_filter.folders]
        spans = tuple(Span(key, key) for key in partitions)
        return Plan(Kind.RANGE, in_index=False, streams=(spans,), in_keys=("folder",))
    has_facet = row_filter.label is not None or row_filter.status is not None
    if row_filter.is_by_capture and (None not in row_filter.taken_period or not has_facet):
        spans = _newest_first(*TAKEN, *row_filter.taken_period)
        in_keys = ("taken_since", "taken_until")
        return Plan(Kind.RANGE, in_index=True, streams=(spans,) if spans else (), in_keys=in_keys)
    if row_filter.label is not None:
        name, facets = "label", [("label", row_filter.label)]
    elif row_filter.status is not None:
        name, facets = "status", [("status", str(row_filter.status))]
    elif row_filter.reason is not None:
        name, facets = "", [("status", str(status)) for status in (Status.REJECTED, Status.FAILED)]
    elif row_filter.since is not None or row_filter.until is not None:
        name, facets = "", [("status", str(status)) for status in Status]
    else:
        everything = Span(row_filter.container, f"{row_filter.container}{_AFTER}")
        return Plan(Kind.SCAN, in_index=False, streams=((everything,),))
    ranges = (_newest_first(kind, value, row_filter.earliest, row_filter.until) for kind, value in facets)
    return Plan(Kind.RANGE, in_index=True, streams=tuple(filter(None, ranges)), in_keys=(name, "since", "until"))


def _newest_first(kind: str, value: str, since: datetime | None, until: datetime | None) -> tuple[Span, ...]:
    """The index range of one value in a period; nothing for an empty period."""
    if until is not None and until <= (since or _EARLIEST):
        return ()
    prefix = index_prefix(kind, value)
    if since is None and until is None:
        return (Span(prefix, f"{prefix}{_AFTER}"),)
    # A row's key begins with its time, so one range of row keys limits all days: the first and the last whole ones too.
    return (
        Span(
            prefix if until is None else index_partition(kind, value, until),
            f"{prefix}{_AFTER}" if since is None else index_partition(kind, value, since),
            _FIRST_ROW if until is None else f"{inverted_time(until)}{_AFTER}",
            _AFTER if since is None else f"{inverted_time(since)}{_AFTER}",
        ),
    )


def camera_names(columns: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that a camera has in ``Filter.camera``, by the columns of one of its images."""
    make, model, serial = (columns.get(f"camera_{each}") for each in ("make", "model", "serial"))
    names = [serial, model, f"{make} {model}" if make and model else None]
    stated = tuple(name for name in names if isinstance(name, str) and name)
    return stated or (folder_of(str(columns.get("blob_name"))) or "",)
