"""New labels: those that reviewers gave, and neither the results nor the model have.

A reviewer may know a species that the model does not, or mistype a label.
"""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING

from inference.errors import ClassificationError
from inference.model.folder import load_model
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from storage.results.record import Record
    from storage.reviews.review import Review

_SIMILAR = 0.8  # of difflib: one letter in five may differ
_MAX_SHOWN = 20


class Labels:
    """Collects the labels of reviews, and of the results that they are of."""

    def __init__(self) -> None:
        self._given: Counter[str] = Counter()
        self._known: set[str] = set()

    def add(self, reviews: Iterable[Review], records: Iterable[Record]) -> None:
        """Take in reviews and results."""
        for review in reviews:
            if review.label is not None:
                self._known.add(review.label)
            if review.reviewed_label is not None:
                self._given[review.reviewed_label] += 1
        for record in records:
            self._known.update(prediction.label for prediction in record.predictions)
            if record.label is not None:
                self._known.add(record.label)

    def add_model(self, folder: Path) -> None:
        """Take in the labels of a model; a folder that cannot be read has none."""
        try:
            self._known.update(load_model(folder).spec.labels)
        except ClassificationError:
            return

    @property
    def new(self) -> list[str]:
        """The new labels, the most frequent first."""
        return [label for label, _ in self._given.most_common() if label not in self._known]

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each new label, with the known one that it resembles."""
        # Without case and the spaces around it, so that these differences do not count.
        plain = {_plain(label): label for label in sorted(self._known)}
        new = self.new
        for label in new[:_MAX_SHOWN]:
            near = get_close_matches(_plain(label), plain, 1, _SIMILAR)
            question = f": was {_quoted(plain[near[0]])} meant?" if near else "."
            yield f"New label {_quoted(label)} ({self._given[label]:,} of the reviews){question}"
        if len(new) > _MAX_SHOWN:
            yield f"{len(new) - _MAX_SHOWN:,} more labels are new."


def _quoted(label: str) -> str:
    return f'"{printable(label)}"'


def _plain(label: str) -> str:
    return label.strip().casefold()
