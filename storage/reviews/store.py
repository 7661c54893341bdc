"""Writes reviews. A reviewer's later review of the same content replaces the earlier one; nothing else ever does.

Reviews of one folder are written in transactions of up to 100. A transaction takes effect as a whole or not at all,
so an import that was stopped is completed by running it again.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any, Self

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.data.tables import UpdateMode

from inference.errors import TransientError
from storage.errors import translate_errors
from storage.keys import content_prefix, review_keys
from storage.reviews.review import Sample, from_any_entity, to_entity
from storage.tables import Span, TableReader, entity_etag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from azure.data.tables import TableServiceClient

    from storage.keys import RowKeys
    from storage.reviews.review import Content, Review

    Item = tuple[Content, Review]

BATCH = 100
"""The most entities of one transaction (see ``storage.results.transactions``)."""
_THREADS = 16
_TRIES = 5
_CONFLICTS = frozenset({404, 409, 412})


class Change(StrEnum):
    """The effect of one review on the table."""

    ADDED = "added"
    REPLACED = "replaced"  # an earlier review of the same reviewer
    UNCHANGED = "unchanged"  # the table holds this review already
    OUTDATED = "outdated"  # the table holds a later or different review of the same reviewer and moment


@dataclass(frozen=True, slots=True)
class Written:
    """One review after it was written.

    Attributes:
        content: What it is of.
        review: The review.
        change: The effect.
        others: The reviews of the same content by other reviewers.
    """

    content: Content
    review: Review
    change: Change
    others: tuple[Review, ...]


@dataclass(slots=True)
class _Existing:
    """The reviews of one content in the table: the reviewer's own, with its entity's ETag, and those of others."""

    own: Review | None = None
    etag: str = ""
    others: list[Review] = field(default_factory=list)


class ReviewStore:
    """The reviews table of one account. Thread-safe; a context manager that ends its own threads.

    Args:
        tables: A pooled client of the account.
        table: Name of the reviews table; the first write creates it.
    """

    def __init__(self, tables: TableServiceClient, table: str) -> None:
        self._table = tables.get_table_client(table)
        self._reader = TableReader(self._table)
        self._is_there = False
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="reviews")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, batch: Sequence[Item]) -> list[Written]:
        """Write up to ``BATCH`` reviews by one reviewer of images in one folder, and return the effect of each.

        Args:
            batch: One of ``batches``.

        Raises:
            TransientError: Storage failed for now, or another import by the same reviewer is running.
            ConfigurationError: Storage refused the request.
        """
        self._create_table()
        for _ in range(_TRIES):
            existing = list(self._pool.map(lambda item: self._existing(*item), batch))
            kept = [
                (content, _kept(review, found.own)) for (content, review), found in zip(batch, existing, strict=True)
            ]
            changes = [
                _change(review, after, found.own)
                for (_, review), (_, after), found in zip(batch, kept, existing, strict=True)
            ]
            if self._write(list(_operations(kept, existing, changes))):
                return [
                    Written(content, review, change, tuple(found.others))
                    for (content, review), change, found in zip(batch, changes, existing, strict=True)
                ]
        raise TransientError(
            f"Another import changes the same reviews in {self._table.table_name}: run this one again."
        )

    def _create_table(self) -> None:
        with self._lock:
            if not self._is_there:
                with translate_errors(f"creating the table {self._table.table_name}"), suppress(ResourceExistsError):
                    self._table.create_table()
                self._is_there = True

    def _existing(self, content: Content, review: Review) -> _Existing:
        partition, prefix = content_prefix(*content)
        own_keys = review_keys(*content, review.reviewed_by)
        found = _Existing()
        for page in self._reader.pages(Span(partition, partition, prefix, f"{prefix.removesuffix('|')}}}")):
            for entity in page:
                read = from_any_entity(entity)
                if entity["RowKey"] == own_keys.row_key:
                    found.etag = entity_etag(entity)
                    found.own = read and read[1]
                elif read is not None and read[0] == content:
                    found.others.append(read[1])
        return found

    def _write(self, operations: Sequence[Any]) -> bool:
        """Send a transaction; false where another writer was first."""
        if not operations:
            return True
        with translate_errors(f"writing to the table {self._table.table_name}"):
            try:
                self._table.submit_transaction(operations)
            except HttpResponseError as error:
                if error.status_code in _CONFLICTS:
                    return False
                raise
        return True


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield reviews in groups that one transaction can hold: one folder, up to ``BATCH``, each key once.

    Of several reviews by one reviewer of one content only the latest is kept; of two at the same moment, the last.
    """
    latest: dict[RowKeys, Item] = {}
    for content, review in items:
        address = review_keys(*content, review.reviewed_by)
        before = latest.get(address)
        latest[address] = content, review if before is None else _kept(before[1], review)
    for _, group in groupby(sorted(latest), key=lambda address: address.partition_key):
        of_folder = [latest[address] for address in group]
        yield from (of_folder[start : start + BATCH] for start in range(0, len(of_folder), BATCH))


def _kept(review: Review, own: Review | None) -> Review:
    """The later of a reviewer's two reviews of one content, drawn at random if either was drawn for the same answer.

    People look again at the doubtful photos. If that took those out of the random sample, the others would be too good.
    """
    if own is None:
        return review
    later = review if review.reviewed_at > own.reviewed_at else own
    of_same_answer = (review.label, review.model_version) == (own.label, own.model_version)
    drawn = of_same_answer and Sample.RANDOM in (review.sample, own.sample)
    return replace(later, sample=Sample.RANDOM) if drawn else later


def _change(review: Review, kept: Review, own: Review | None) -> Change:
    if own is None:
        return Change.ADDED
    if not kept.is_same_as(own):
        return Change.REPLACED
    return Change.UNCHANGED if replace(review, sample=own.sample).is_same_as(own) else Change.OUTDATED


def _operations(kept: Sequence[Item], existing: Sequence[_Existing], changes: Sequence[Change]) -> Iterator[Any]:
    for item, found, change in zip(kept, existing, changes, strict=True):
        if change not in (Change.ADDED, Change.REPLACED):
            continue
        if found.etag:
            condition = {"etag": found.etag, "match_condition": MatchConditions.IfNotModified}
            yield "update", to_entity(*item), {"mode": UpdateMode.REPLACE, **condition}
        else:
            yield "create", to_entity(*item)
