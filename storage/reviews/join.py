"""Results joined with the reviews of their content, in either direction.

``with_reviews`` starts from results, in any order. It reads the reviews once: a request for each thousand, and one
where the table is missing. Where there are more than a thousand, the reviews of the first results are read for each
result alone, so that a short answer does not wait for all of them. Memory grows with the number of reviews, by about
400 bytes for each, and not with the number of results.

``reviewed_rows`` starts from the reviews, in constant memory. It reads the row of each reviewed image: a request for
each.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any

from storage.etags import bare_etag, same_etag
from storage.keys import content_prefix, image_keys
from storage.query.lookup import RowLookup
from storage.reviews.review import REVIEW_COLUMNS, Content, Review, from_any_entity
from storage.tables import PAGE, Condition, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from storage.results.record import Record
    from storage.tables import TableReader

# Where there are more reviews than one page: results whose reviews are read for each alone, together.
_FIRST_BATCHES = (16, 64)
_THREADS = 16
_ROWS_TOGETHER = 500


@dataclass(frozen=True, slots=True)
class ReviewedRow:
    """A result and the reviews of its content.

    Attributes:
        record: The result.
        reviews: Those of the content that was classified, one of each reviewer, newest first.
    """

    record: Record
    reviews: tuple[Review, ...] = ()

    @property
    def newest(self) -> Review | None:
        """The newest review; ``None`` where there is none."""
        return self.reviews[0] if self.reviews else None

    @property
    def is_human(self) -> bool:
        """Whether a person gave the label: the newest review names one."""
        return self.newest is not None and self.newest.reviewed_label is not None

    @property
    def label(self) -> str | None:
        """The label to believe: the newest review's, or the model's where no reviewer is sure."""
        return self.newest.reviewed_label if self.newest is not None and self.is_human else self.record.label

    @property
    def score(self) -> float | None:
        """The model's score for ``label``; ``None`` where the model gave another label."""
        return self.record.score if self.label == self.record.label else None

    @property
    def is_disputed(self) -> bool:
        """Whether two reviewers give two labels; one who is unsure disputes nothing."""
        return len({review.reviewed_label for review in self.reviews} - {None}) > 1

    @property
    def disagrees(self) -> bool:
        """Whether the newest review gives another label than the row, or reviewers give several."""
        return self.is_disputed or self.label != self.record.label

    def review_columns(self) -> dict[str, Any]:
        """``REVIEW_COLUMNS`` with the newest review's values; ``None`` where there is none."""
        return {name: getattr(self.newest, name, None) for name in REVIEW_COLUMNS}


def with_reviews(
    records: Iterable[Record], reviews: TableReader, spans: Sequence[Span], *, few: bool = False
) -> Iterator[ReviewedRow]:
    """Yield each result with the reviews of its content, in the given order.

    Args:
        records: The results.
        reviews: The reviews table.
        spans: The partitions of these results.
        few: There is hardly more than one result, so the reviews of each are read alone.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    remaining = iter(records)
    first = list(islice(remaining, 1))
    if not first:
        return  # an empty answer costs no request
    remaining = chain(first, remaining)
    if few:
        yield from _one_by_one(list(remaining), reviews)
        return
    pages = chain.from_iterable(map(reviews.pages, spans))
    known: _Known = {}
    first_page = next(pages, [])
    if len(first_page) >= PAGE:
        for size in _FIRST_BATCHES:
            yield from _one_by_one(list(islice(remaining, size)), reviews)
        following = next(remaining, None)
        if following is None:
            return
        remaining = chain([following], remaining)
    for page in chain([first_page], pages):
        _add(known, page)
    for record in remaining:
        yield ReviewedRow(record, _newest_first(known.get(_digest(content_of(record)), ())) if known else ())


def reviewed_rows(reviews: TableReader, rows: TableReader, container: str) -> Iterator[ReviewedRow]:
    """Yield the result of each image whose present content has a review, by folder and name.

    Args:
        reviews: The reviews table. With a condition, only the reviews that meet it are in the rows.
        rows: The results table.
        container: The incoming container.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    read = map(from_any_entity, chain.from_iterable(reviews.pages(span_of(container))))
    pairs = (each for each in read if each is not None and each[0].container == container)
    images = ((content[:2], list(group)) for content, group in groupby(pairs, key=lambda each: each[0][:2]))
    with RowLookup(rows) as lookup:
        while batch := list(islice(images, _ROWS_TOGETHER)):
            addresses = [image_keys(*image) for image, _ in batch]
            found = lookup.records_one_by_one(addresses)
            for address, (image, of_image) in zip(addresses, batch, strict=True):
                record = found.get(address)
                if record is None or (record.container, record.blob_name) != image:
                    continue
                if fitting := [review for content, review in of_image if same_etag(content.etag, record.etag)]:
                    yield ReviewedRow(record, _newest_first(fitting))


def written_since(time: datetime) -> Condition:
    """The condition of reviews that were imported at this time or later; aware. It reads every review in storage."""
    return Condition("Timestamp ge @written", {"written": time})


def reviews_of(content: Content, reviews: TableReader) -> tuple[Review, ...]:
    """The reviews of one content, newest first: one request.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    partition, prefix = content_prefix(*content)
    span = Span(partition, partition, prefix, f"{prefix.removesuffix('|')}}}")
    read = map(from_any_entity, chain.from_iterable(reviews.pages(span)))
    return _newest_first([each[1] for each in read if each is not None and each[0] == content])


def content_of(record: Record) -> Content:
    """The content that a result is of."""
    return Content(record.container, record.blob_name, bare_etag(record.etag))


def span_of(container: str) -> Span:
    """The partitions of a container's images, in the results table and in the reviews table."""
    return Span(container, f"{container}}}")


_Known = dict[bytes, "tuple[Review, ...]"]


def _add(known: _Known, page: Sequence[Mapping[str, Any]]) -> None:
    """Keep the reviews of a page by a short digest of their content, since names and ETags would take the most room."""
    for entity in page:
        if (read := from_any_entity(entity)) is not None:
            digest = _digest(read[0])
            known[digest] = (*known.get(digest, ()), read[1])


def _one_by_one(records: Sequence[Record], reviews: TableReader) -> Iterator[ReviewedRow]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="reviews") as pool:
        found = pool.map(lambda record: reviews_of(content_of(record), reviews), records)
        yield from (ReviewedRow(record, of_content) for record, of_content in zip(records, found, strict=True))


def _digest(content: Content) -> bytes:
    return hashlib.blake2b(repr(content).encode(), digest_size=16).digest()


def _newest_first(reviews: Sequence[Review]) -> tuple[Review, ...]:
    """Newest first; of two at the same moment, by name, so that every reader takes the same one."""
    return tuple(sorted(sorted(reviews, key=lambda each: each.reviewed_by), key=lambda each: each.reviewed_at)[::-1])
