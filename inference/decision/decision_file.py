"""Reads ``decision.json``, the user's rules for labels. Its schema is ``docs/decision.schema.json``.

Everything that the file alone shows is checked here. Names of labels are checked against a model by
``inference.decision.rules``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError, ModelFileError
from inference.model.exporters.json_file import read_object
from inference.predictions import DECISION_FILE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

KEYS = {
    "": {"$schema", "min_score", "labels", "allow", "parents"},
    "labels": {"min_score", "as"},
}
"""The known keys by section; the empty section is the top level."""
MAX_BYTES = 32 * 1024 * 1024
"""Of the file: a thousand folders with a list of a thousand labels each take less."""
MAX_NAME = 512
"""Characters of a new label: its row has a column for it, and a key."""


@dataclass(frozen=True, slots=True)
class DecisionFile:
    """What a ``decision.json`` states.

    Attributes:
        path: The file, for messages.
        min_score: The score that a label must reach, in [0, 1]; 0 where none is stated.
        min_scores: The same for single labels.
        renamed: The new label of each label that is renamed or merged; never the same name.
        allowed: The labels that may appear, by the beginning of blob names.
        parents: The parent of labels and of other parents, without cycles.
    """

    path: str
    min_score: float = 0.0
    min_scores: Mapping[str, float] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """First 12 hex digits of a SHA-256 over the rules: spaces and order do not change it."""
        allowed = {prefix: sorted(labels) for prefix, labels in self.allowed.items()}
        rules = [self.min_score, self.min_scores, self.renamed, allowed, self.parents]
        return hashlib.sha256(json.dumps(rules, sort_keys=True, default=dict).encode()).hexdigest()[:12]


def read_decision(path: Path) -> DecisionFile:
    """Read the rules.

    Raises:
        ModelFileError: The file is missing, or may not be read.
        ModelError: It cannot be used. The message is one sentence that names the file and the value.
        TransientError: It cannot be read for now.
    """
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise ModelError(
            f"{path} has more than {MAX_BYTES // 2**20} MiB, so it is no {DECISION_FILE}: use the right file."
        )
    reader = _Reader(str(path))
    content = read_object(path, object_pairs_hook=reader.without_repeated_keys)
    if content is None:
        raise ModelFileError(f"{path} does not exist, or is no file.")
    return reader.read(content)


class _Reader:
    """The checks of one file; each failure is one sentence that begins with its path."""

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self, content: Mapping[str, Any]) -> DecisionFile:
        self._check_keys(content, KEYS[""])
        labels = self._entries(content, "labels")
        for name, entry in labels.items():
            if not isinstance(entry, dict):
                raise self._refusal(f'"labels": {name!r:.60} must be an object such as {{"min_score": 0.8}}')
            self._check_keys(entry, KEYS["labels"], f' at {name!r:.60} in "labels"')
            if "as" in entry and "min_score" in entry and entry["as"] != name:
                raise self._refusal(
                    f'"labels": {name!r:.60} has both "as" and "min_score": write the "min_score" at '
                    f"{entry['as']!r:.60}, the label that stands in the rows"
                )
        parents = self._entries(content, "parents")
        decision = DecisionFile(
            path=self._path,
            min_score=self._score(content.get("min_score", 0.0), '"min_score"'),
            min_scores={
                name: self._score(entry["min_score"], f'"labels": the "min_score" of {name!r:.60}')
                for name, entry in labels.items()
                if "min_score" in entry
            },
            renamed={
                name: self._new_name(entry["as"], f'"labels": the "as" of {name!r:.60}')
                for name, entry in labels.items()
                if entry.get("as", name) != name
            },
            allowed={
                prefix: self._names(names, f'"allow": the value at {prefix!r:.60}')
                for prefix, names in self._entries(content, "allow").items()
            },
            parents={
                child: self._new_name(parent, f'"parents": the parent of {child!r:.60}')
                for child, parent in parents.items()
            },
        )
        self._refuse_chains(decision.renamed)
        self._refuse_cycles(decision.parents)
        return decision

    def without_repeated_keys(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise self._refusal(f"the key {key!r:.60} stands twice in one object: join the two")
            found[key] = value
        return found

    def _entries(self, content: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = content.get(key, {})
        if not isinstance(value, dict):
            raise self._refusal(f'"{key}" must be an object, but is {value!r:.60}')
        return value

    def _check_keys(self, part: Mapping[str, Any], known: Collection[str], where: str = "") -> None:
        for key in part:
            if key not in known:
                raise self._refusal(f"the key {key!r:.60}{where} is unknown{suggestion(key, known, 'keys')}")

    def _score(self, value: Any, what: str) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= 1:  # NaN is within no bounds
            raise self._refusal(f"{what} must be a number from 0 to 1, but is {value!r:.40}")
        return float(value)

    def _names(self, value: Any, what: str) -> frozenset[str]:
        if not isinstance(value, list):
            raise self._refusal(f"{what} must be a list of labels, but is {value!r:.60}")
        for name in value:
            if not isinstance(name, str):
                raise self._refusal(f"{what} must be a list of labels, but holds {name!r:.60}")
        return frozenset(value)

    def _new_name(self, value: Any, what: str) -> str:
        """Return a name that may become a label without being one of the model's."""
        # A lone surrogate, which no row can hold, is not printable.
        if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME or not value.isprintable():
            raise self._refusal(f"{what} must be a name of 1 to {MAX_NAME} printable characters")
        return value

    def _refuse_chains(self, renamed: Mapping[str, str]) -> None:
        for name, target in renamed.items():
            if target in renamed:
                raise self._refusal(
                    f'"labels": {name!r:.60} becomes {target!r:.60}, which itself becomes {renamed[target]!r:.60}: '
                    f'write "as": {json.dumps(renamed[target])} at {name!r:.60}'
                )

    def _refuse_cycles(self, parents: Mapping[str, str]) -> None:
        ended: set[str] = set()
        for start in parents:
            path: dict[str, None] = {}
            node: str | None = start
            while node is not None and node not in ended:
                if node in path:
                    names = list(path)
                    cycle = [*names[names.index(node) :], node]
                    shown = [f"{each!r:.40}" for each in (cycle if len(cycle) < 8 else [*cycle[:6], "...", node])]
                    raise self._refusal(f'"parents" form a circle: {" -> ".join(shown)}. Remove one of these')
                path[node] = None
                node = parents.get(node)
            ended.update(path)

    def _refusal(self, problem: str) -> ModelError:
        return refusal(self._path, problem)


def refusal(path: str, problem: str) -> ModelError:
    """Return the error of a file that cannot be used; ``problem`` is a sentence about it without its full stop."""
    return ModelError(f"{path}: {problem}.")


def suggestion(name: str, known: Collection[str], kind: str) -> str:
    """Return the end of a sentence about an unknown name: the most similar known one, else some of them."""
    import difflib  # only for this message

    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r:.60}?".removesuffix("?")
    some = sorted(known)[:8]
    more = f" and {len(known) - len(some):,} more" if len(known) > len(some) else ""
    return f"; known {kind} are {', '.join(f'{each:.40}' for each in some)}{more}"
