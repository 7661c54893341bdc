"""Draws the photos of a review: at random, a known number from each stratum of the rows.

``trust`` estimates from a random sample, so it must know how likely each row was to be drawn. In a stratum each row was
as likely as any other, and the draw keeps how many rows the stratum has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from storage.results.record import Status
from tools.report.sampling import EvenSample, rank_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from storage.results.record import Record


class Stratum(NamedTuple):
    """A part of the rows; ``None`` where it has no such bound.

    Attributes:
        label: The label that its rows have.
        score_from: The lowest score, inclusive, in [0, 1].
        score_to: The highest score, exclusive, in [0, 1]; a stratum that reaches to the top has none.
    """

    label: str | None = None
    score_from: float | None = None
    score_to: float | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """The photos of a review.

    Attributes:
        is_random: They were drawn at random from all classified rows of the container, without a filter.
        seed: The number that decided the draw.
        records: The photos. At random they come in random order, so that the first half is a random sample as well;
            otherwise the lowest score comes first.
        rows: The number of classified rows in each stratum.
        stratum_of: The stratum of a record.
    """

    is_random: bool
    seed: int
    records: Sequence[Record]
    rows: Mapping[Stratum, int]
    stratum_of: Callable[[Record], Stratum]

    @property
    def sample(self) -> str:
        """How the photos were selected, as ``corrections.json`` names it: ``random`` or ``chosen``."""
        return "random" if self.is_random else "chosen"


def all_rows(_: Record) -> Stratum:
    """One stratum for all rows."""
    return Stratum()


def each_label(record: Record) -> Stratum:
    """One stratum per label."""
    return Stratum(record.label)


@dataclass(frozen=True, slots=True)
class Terms:
    """How photos are drawn.

    Attributes:
        limit: The most photos in total; when the strata have more, the largest ones give up theirs first.
        per_stratum: The most photos of each stratum; ``None`` for no limit.
        seed: The same seed draws the same photos from the same rows; a whole number from 0 to 2**32 - 1.
        is_random: The rows are all of the container's, without a filter.
    """

    limit: int
    per_stratum: int | None
    seed: int
    is_random: bool


def draw(records: Iterable[Record], stratum_of: Callable[[Record], Stratum], terms: Terms) -> Draw:
    """Draw photos from a stream of rows, in memory for ``terms.limit`` rows.

    Args:
        records: Rows of any status; only the classified ones count.
        stratum_of: The stratum of a record.
        terms: How many, and which.
    """
    sample = EvenSample(terms.limit, stratum_of, max_each=terms.per_stratum, seed=terms.seed)
    for record in records:
        if record.status is Status.CLASSIFIED and record.label is not None:
            sample.add(record)
    # The index may hold two outcomes of an image while one is written.
    drawn = list({record.image: record for record in sample.records()}.values())
    if terms.is_random:
        # Another seed: the ranks that decided the draw are lower in a large stratum.
        drawn.sort(key=lambda record: rank_of(record.image, ~terms.seed))
    else:
        drawn.sort(key=lambda record: (record.score or 0.0, record.blob_name))
    return Draw(terms.is_random, terms.seed, drawn, dict(sample.rows), stratum_of)
