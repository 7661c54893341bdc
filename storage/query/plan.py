"""Which rows a person wants, and the key ranges that hold them.

    image              one point of the results table
    folder             one partition of it
    label (and time)   label|<label>|<day>   of the index, newest first
    status (and time)  status|<status>|<day> of the index, newest first
    time alone         the same for all three statuses, to be merged
    nothing of these   every row of the container: a scan

The narrowest wins, in this order; what it does not decide is left to conditions, which storage applies to the range
and ``Filter.holds`` applies again. Pure functions, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from storage.keys import folder_of, image_keys, index_partition, index_prefix, inverted_time, partition_key
from storage.results.record import Status
from storage.table_reader import Condition

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)  # no image was classified before, and no index key goes further back
_AFTER = "}"  # sorts after "|" and after every digit, so ``<key>}`` is behind the key and whatever it begins
_FIRST_ROW = "0"


class Kind(StrEnum):
    """How much of a table a question has to read."""

    POINT = "point"
    RANGE = "range"
    SCAN = "scan"


class Span(NamedTuple):
    """A range of keys, both ends included; without row keys, whole partitions."""

    first_partition: str
    last_partition: str
    first_row: str | None = None
    last_row: str | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """What a person asks for; every part that is given must hold.

    Attributes:
        container: The incoming container.
        image: One blob, by its name in the container.
        folder: Images that lie directly in this folder; one slash at its end does not count, and ``""`` is the top.
        label: The label's text, exactly.
        min_score: At least this score, in [0, 1].
        since: Classified at this moment or later; aware.
        until: Classified before this moment; aware.
        status: How the work ended.
        model: The model's name or its version.
    """

    container: str
    image: str | None = None
    folder: str | None = None
    label: str | None = None
    min_score: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: Status | None = None
    model: str | None = None

    def holds(self, columns: Mapping[str, Any]) -> bool:
        """Whether a row of the results table is wanted."""
        name = columns.get("blob_name")
        return (
            isinstance(name, str)
            and self.image in {None, name}
            and (self.folder is None or folder_of(name) in self.folders)
            and self.model in {None, columns.get("model"), columns.get("model_version")}
            and self.holds_in_index(columns)
        )

    def holds_in_index(self, columns: Mapping[str, Any]) -> bool:
        """Whether a row is wanted, as far as the columns of an index row can tell."""
        score, moment = columns.get("score"), columns.get("classified_at")
        return (
            columns.get("container") == self.container
            and (self.status is None or columns.get("status") == self.status)
            and self.label in {None, columns.get("label")}
            and (self.min_score is None or (isinstance(score, int | float) and score >= self.min_score))
            and isinstance(moment, datetime)
            and (self.since is None or moment >= self.since)
            and (self.until is None or moment < self.until)
        )

    @property
    def earliest(self) -> datetime | None:
        """``since``, where it bounds anything: tables know no moment before 1601, and compare short years as text."""
        return self.since if self.since is not None and self.since > _BEGINNING else None

    @property
    def folders(self) -> tuple[str | None, ...]:
        """The folders meant, as ``keys.folder_of`` names them."""
        if self.folder in {"", "/"}:
            return (None, "")  # the top, and names that begin with a slash: nobody tells them apart
        return () if self.folder is None else (self.folder.removesuffix("/"),)

    def condition(self, *, in_index: bool) -> Condition:
        """The filter as the table service reads it, for columns that are no keys."""
        values: dict[str, Any] = {"container": self.container}
        parts = ["container eq @container"]
        if self.status is not None:
            parts.append("status eq @status")
            values["status"] = str(self.status)
        if self.label is not None:
            parts.append("label eq @label")
            values["label"] = self.label
        if self.min_score is not None:
            parts.append(f"score ge {_double(self.min_score)}")
        if self.earliest is not None and not in_index:
            parts.append("classified_at ge @since")
            values["since"] = self.earliest
        if self.until is not None and not in_index:
            parts.append("classified_at lt @until")
            values["until"] = self.until
        if self.model is not None and not in_index:
            parts.append("( model eq @model or model_version eq @model )")
            values["model"] = self.model
        return Condition(" and ".join(parts), values)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the answer is.

    Attributes:
        kind: Point, range or scan.
        in_index: The ranges are of the index table, and each of its rows points at a row.
        streams: Ranges that follow each other; several such streams are merged, newest first.
    """

    kind: Kind
    in_index: bool
    streams: tuple[tuple[Span, ...], ...]


def plan(wanted: Filter) -> Plan:
    """Choose the narrowest ranges."""
    if wanted.image is not None:
        partition, row = image_keys(wanted.container, wanted.image)
        return Plan(Kind.POINT, in_index=False, streams=((Span(partition, partition, row, row),),))
    if wanted.folder is not None:
        partitions = [partition_key(wanted.container, folder) for folder in wanted.folders]
        return Plan(Kind.RANGE, in_index=False, streams=(tuple(Span(key, key) for key in partitions),))
    if wanted.label is not None:
        facets = [("label", wanted.label)]
    elif wanted.status is not None:
        facets = [("status", str(wanted.status))]
    elif wanted.since is not None or wanted.until is not None:
        facets = [("status", str(status)) for status in Status]
    else:
        everything = Span(wanted.container, f"{wanted.container}{_AFTER}")
        return Plan(Kind.SCAN, in_index=False, streams=((everything,),))
    streams = (_newest_first(kind, value, wanted.earliest, wanted.until) for kind, value in facets)
    return Plan(Kind.RANGE, in_index=True, streams=tuple(filter(None, streams)))


def _newest_first(kind: str, value: str, since: datetime | None, until: datetime | None) -> tuple[Span, ...]:
    """The index ranges of one value in a time: its newest day's part, the whole days, its oldest day's part."""
    if until is not None and until <= (since or _BEGINNING):
        return ()
    prefix = index_prefix(kind, value)
    first_row = _FIRST_ROW if until is None else f"{inverted_time(until)}{_AFTER}"
    last_row = _AFTER if since is None else f"{inverted_time(since)}{_AFTER}"
    newest = None if until is None else index_partition(kind, value, until)
    oldest = None if since is None else index_partition(kind, value, since)
    if newest is not None and newest == oldest:
        return (Span(newest, newest, first_row, last_row),)
    whole_days = Span(
        prefix if newest is None else f"{newest}{_AFTER}",
        f"{prefix}{_AFTER}" if oldest is None else f"{prefix}{int(oldest.removeprefix(prefix)) - 1:08d}{_AFTER}",
    )
    spans = [] if newest is None else [Span(newest, newest, first_row, _AFTER)]
    spans += [whole_days] if whole_days.first_partition < whole_days.last_partition else []
    spans += [] if oldest is None else [Span(oldest, oldest, _FIRST_ROW, last_row)]
    return tuple(spans)


def _double(number: float) -> str:
    """A literal of the service's Double: never an exponent, always a point. The SDK would write 1.0 as ``true``."""
    text = format(Decimal(repr(number)), "f")
    return text if "." in text else f"{text}.0"
