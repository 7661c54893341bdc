"""Decides the label of an image from the scores of all labels: the rules of ``decision.json`` for one model.

The scores are float16 (``inference.scores``), as the sidecar keeps them, so a decision at upload and a later one from
the sidecar agree to the bit. Every float16 from 0 to 1 is a multiple of 2**-24, so doubles add up to 2**29 of them
without rounding, in any order.

A decision has five steps:

    1  ``as``      labels with one new name become one: their scores add up where one label of a photo is true, else
                   the highest counts
    2  ``allow``   of the longest prefix that the blob name begins with; all other labels drop out
    3              the best remaining label stands if its score reaches its ``min_score``
    4  ``parents`` else the nearest ancestor whose score, the sum over the remaining labels below it, reaches its own
    5              else ``unknown``, with the best label's score

Of equal scores the one of the first label in the label file wins.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import TYPE_CHECKING

from inference.decision.decision_file import DecisionFile, read_decision, refusal, suggestion
from inference.predictions import UNKNOWN, Decided

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

_SCORE_BYTES = 2


class Rules:
    """The rules of a ``decision.json`` for the labels of one model. Thread-safe; never changes.

    Attributes:
        version: Identifies the rules.
    """

    def __init__(self, file: DecisionFile, labels: Sequence[str], *, one_is_true: bool) -> None:
        """Check the names of the file against a model's labels.

        Args:
            file: The rules.
            labels: The model's labels, in the order of its scores.
            one_is_true: Whether one label of a photo is true, so that scores may be added (softmax). Otherwise each
                label is true or not (sigmoid).

        Raises:
            ModelError: The file names a label that the model does not have.
        """
        self.version = file.version
        self._file = file
        self._one_is_true = one_is_true
        self._indexes: dict[str, int] = {}
        for index, label in enumerate(labels):
            self._indexes.setdefault(label, index)
        names = [file.renamed.get(label, label) for label in labels]
        self._names = tuple(dict.fromkeys(names))
        places = {name: place for place, name in enumerate(self._names)}
        self._places = tuple(places[name] for name in names)
        _check_names(file, set(labels), set(self._names))
        self._allowed = {
            prefix: tuple(place for place, name in enumerate(self._names) if name in allowed)
            for prefix, allowed in file.allowed.items()
        }
        self._lengths = sorted({len(prefix) for prefix in self._allowed}, reverse=True)

    def decide(self, scores: bytes, blob_name: str) -> Decided:
        """Return the decision for one image.

        Args:
            scores: The scores of all labels, as ``inference.scores.pack_scores`` packs them.
            blob_name: The image's full name in its container.

        Raises:
            ValueError: These are not as many scores as the model has labels.
        """
        count = len(self._places)
        if len(scores) != count * _SCORE_BYTES:
            raise ValueError(f"{len(scores)} bytes hold no {count} scores")
        merged = self._merge(struct.unpack(f"<{count}e", scores))
        remaining = self._remaining(blob_name)
        if not remaining:
            return Decided(UNKNOWN, None, 0.0)
        best = max(remaining, key=merged.__getitem__)  # the first of equal ones
        name, score = self._names[best], merged[best]
        if score >= self._min_score(name):
            return self._decided(name, score)
        for ancestor, total in self._ancestors(name, merged, remaining):
            if total >= self._min_score(ancestor):
                return self._decided(ancestor, total)
        return Decided(UNKNOWN, None, min(score, 1.0))

    def _merge(self, scores: tuple[float, ...]) -> Sequence[float]:
        """Step 1: the score of each of ``_names``."""
        if len(self._names) == len(scores):
            return scores
        merged = [0.0] * len(self._names)
        for place, score in zip(self._places, scores, strict=True):
            merged[place] = merged[place] + score if self._one_is_true else max(merged[place], score)
        return merged

    def _remaining(self, blob_name: str) -> Sequence[int]:
        """Step 2: the places of the labels that may appear."""
        for length in self._lengths:
            if len(blob_name) >= length and (allowed := self._allowed.get(blob_name[:length])) is not None:
                return allowed
        return range(len(self._names))

    def _ancestors(self, name: str, merged: Sequence[float], remaining: Sequence[int]) -> Iterator[tuple[str, float]]:
        """Step 4: each ancestor of a label, nearest first, with the sum over the remaining labels below it and itself.

        The ancestors form a line, and every label below one of them joins the line at one place.
        """
        parents = self._file.parents
        line: dict[str, int] = {}
        node = parents.get(name)
        while node is not None:
            line[node] = len(line)
            node = parents.get(node)
        sums = [0.0] * len(line)
        for place in remaining:
            joins: str | None = self._names[place]
            while joins is not None and joins not in line:
                joins = parents.get(joins)
            if joins is not None:
                sums[line[joins]] += merged[place]
        return zip(line, accumulate(sums), strict=True)

    def _min_score(self, name: str) -> float:
        return self._file.min_scores.get(name, self._file.min_score)

    def _decided(self, name: str, score: float) -> Decided:
        """A sum of rounded scores, or of independent ones, may be above 1."""
        return Decided(name, self._indexes.get(name), min(score, 1.0))


def load_rules(path: Path, labels: Sequence[str], *, one_is_true: bool) -> Rules:
    """Read a ``decision.json`` for a model's labels.

    Args:
        path: The file.
        labels: See ``Rules``.
        one_is_true: See ``Rules``.

    Raises:
        ModelFileError: The file is missing, or may not be read.
        ModelError: It cannot be used with this model.
        TransientError: It cannot be read for now.
    """
    return Rules(read_decision(path), labels, one_is_true=one_is_true)


def _check_names(file: DecisionFile, labels: Collection[str], names: Collection[str]) -> None:
    """Refuse names that nothing can lead to: most are misspelt.

    Args:
        file: The rules.
        labels: The model's labels.
        names: The labels after ``as``.
    """
    nodes = {*names, *file.parents.values()}

    def check(name: str, known: Collection[str], where: str) -> None:
        if name in known:
            return
        if name in file.renamed and name in labels:
            raise refusal(
                file.path, f'{where} names {name!r:.60}, which "labels" renames: write {file.renamed[name]!r:.60} there'
            )
        raise refusal(
            file.path, f"{where} names {name!r:.60}, which is no label of the model{suggestion(name, known, 'labels')}"
        )

    for name in file.renamed:
        check(name, labels, '"labels"')
    for name in file.min_scores:
        check(name, nodes, '"labels"')
    for prefix, allowed in file.allowed.items():
        for name in sorted(allowed):
            check(name, names, f'"allow" at {prefix!r:.60}')
    for child, parent in file.parents.items():
        check(child, nodes, '"parents"')
        if parent in file.renamed and parent in labels and parent not in names:
            check(parent, names, '"parents"')
