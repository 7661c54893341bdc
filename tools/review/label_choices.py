"""Collects the labels that a person can choose: those of the rows, of their predictions and of the model."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from inference.errors import ClassificationError, printable
from inference.model.folder import load_model
from inference.predictions import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from storage.results.record import Record

_MAX_LABELS = 25_000  # ImageNet has 21,843
_MAX_LENGTH = 200  # characters; a longer label is offered with its own photo only


class LabelChoices:
    """Labels, the most frequent first. Not thread-safe."""

    def __init__(self) -> None:
        self._images: Counter[str] = Counter()
        self._models: set[tuple[str, str]] = set()

    def seen_in(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, and collect their labels and models on the way."""
        for record in records:
            if record.label not in {None, UNKNOWN}:
                self._add(record.label, 1)
            for each in record.predictions:
                self._add(each.label, 0)
            self._models.add((record.model, record.model_version))
            yield record

    def add_model(self, folder: Path) -> str | None:
        """Collect the labels of a model folder if one of the rows is its answer.

        Returns:
            Why the folder cannot be read, as a sentence; else ``None``.
        """
        try:
            spec = load_model(folder).spec
        except ClassificationError as error:
            return f"The labels of {printable(str(folder))} are left out: {error}"
        if (spec.identity.name, spec.identity.version) in self._models:
            for label in spec.labels:
                self._add(label, 0)
        return None

    def all(self) -> Sequence[str]:
        """The labels, the most frequent first, then by name."""
        return sorted(self._images, key=lambda label: (-self._images[label], label))

    def _add(self, label: str, images: int) -> None:
        if label in self._images or (len(self._images) < _MAX_LABELS and len(label) <= _MAX_LENGTH):
            self._images[label] += images
