"""Finds the labels of a model folder: named in ``model.json``, written by the exporter, or in a usual file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.errors import ModelError
from inference.model.labels import NAMES, labels_from, read_labels

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import Facts

_SUFFIXES = {".txt", ".json", ".csv"}
_WORDS = ("label", "class", "synset")


def state_labels(folder: Path, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Return every candidate list of labels by its source; the graph's outputs decide between several.

    A list that ``model.json`` or an exporter's own file states is the only candidate.

    Raises:
        ModelError: What states the labels cannot be read.
    """
    stated = facts.get("labels")
    if stated is not None:
        if isinstance(stated.value, str):
            path = folder / stated.value
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ModelError(f"{folder}: {stated.source} leads out of the folder: {stated.value!r:.100}.")
            return {stated.value: read_labels(path)}
        try:
            labels = labels_from(stated.value)
        except ValueError as error:
            raise ModelError(f"{folder}: {stated.source} {error}.") from error
        return {stated.source: labels}
    facts.looked_in("label files")
    return _from_files([folder / name for name in NAMES if (folder / name).is_file()] or _similar(folder))


def _from_files(paths: list[Path]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    refusals: list[ModelError] = []
    for path in paths:
        try:
            labels = read_labels(path)
        except ModelError as error:
            refusals.append(error)
            continue
        if labels not in found.values():  # the same list twice is one list
            found[path.name] = labels
    if refusals and not found:
        raise refusals[0]
    return found


def _similar(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and any(word in path.name.lower() for word in _WORDS) and path.is_file()
    )
