"""Finds the labels of a model folder: stated by ``model.json`` or an exporter, or in a file with a usual name."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from inference.errors import ModelError
from inference.model.labels.parsed import Direction, direction, parse_labels
from inference.model.labels.read import read_labels

if TYPE_CHECKING:
    from pathlib import Path

    from inference.model.sourced_values import SourcedValues

# Usual names of label files in lower case, most common first. Without one, every file of a usual suffix counts whose
# name has one of the words.
_FILE_NAMES = (
    "labels.json", "labels.txt", "synset.txt", "classes.json", "classes.txt", "class_names.json", "class_names.txt",
    "class_indices.json", "imagenet_class_index.json", "imagenet_classes.txt", "imagenet1000_clsidx_to_labels.txt",
    "class_to_idx.json", "idx_to_class.json", "label2id.json", "index_to_name.json", "synset_words.txt",
    "labels_map.txt", "label_map.txt", "id2label.json", "label.txt", "labels.csv", "classes.csv", "labels", "names.txt",
    "names.json", "obj.names", "dict.txt", "categories.txt", "categories.json", "categories.csv", "data.yaml",
    "data.yml", "dataset.yaml", "labels.yaml", "labels.yml", "classes.yaml", "classes.yml", "names.yaml", "names.yml",
    "categories.yaml", "categories.yml", "label_map.pbtxt", "labelmap.pbtxt", "labelmap.txt", "labels.tsv",
    "classes.tsv", "names.csv", "names.tsv", "categories.tsv",
)  # fmt: skip
_SUFFIXES = {".txt", ".json", ".csv", ".tsv", ".yaml", ".yml", ".pbtxt"}
_WORDS = ("label", "class", "synset", "categor")
_DARKNET = ".names"
# Label files that only a training with one true class per photo writes, by a pattern of their name.
_ONE_TRUE_CLASS = (
    (r"(class(es)?[_-]?(to[_-]?|2)?(idx|index|indices|id))|((idx|index|id)[_-]?(to|2)[_-]?class(es)?)",
     "the training photos lay in one folder per class"),
    (r"synset.*|imagenet.*", "ImageNet has one class per photo"),
    (r"index_to_name", "TorchServe's image classifier applies a softmax"),
)  # fmt: skip


def find_labels(folder: Path, values: SourcedValues) -> dict[str, tuple[str, ...]]:
    """Return every candidate list of labels by its source. The graph's outputs decide between several.

    A list that ``model.json`` or an exporter's file states is the only candidate.

    Raises:
        ModelError: The stated labels cannot be read.
    """
    stated = values.get("labels")
    if stated is None:
        values.add_searched("label files")
        return _read_files(_usual_files(folder) or _files_with_similar_names(folder))
    if isinstance(stated.value, str):
        path = folder / stated.value
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ModelError(f"{folder}: {stated.source} leads out of the folder: {stated.value!r:.100}.")
        return {stated.value: read_labels(path)}
    try:
        # "labels" of model.json is from index to name; the key of another source states its direction.
        key = stated.source.rpartition(": ")[2]
        return {stated.source: parse_labels(stated.value, direction(key) or Direction.INDEX_TO_NAME)}
    except ValueError as error:
        raise ModelError(f"{folder}: {stated.source} {error}.") from error


def reason_for_one_true_class(source: str) -> str | None:
    """Return why a label file shows that one class of a photo is true, or ``None`` when its name does not show it.

    Args:
        source: A source that ``find_labels`` returned, such as ``class_indices.json``.
    """
    stem = PurePath(source).stem.lower()
    return next((reason for pattern, reason in _ONE_TRUE_CLASS if re.fullmatch(pattern, stem)), None)


def _read_files(paths: list[Path]) -> dict[str, tuple[str, ...]]:
    """Read label files; one that cannot be read is an error only when no other can."""
    found: dict[str, tuple[str, ...]] = {}
    refusals: list[ModelError] = []
    for path in paths:
        try:
            labels = read_labels(path)
        except ModelError as error:
            refusals.append(error)
            continue
        if labels not in found.values():  # the same list in two files is one candidate
            found[path.name] = labels
    if refusals and not found:
        raise refusals[0]
    return found


def _usual_files(folder: Path) -> list[Path]:
    files = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
    usual = [files[name] for name in _FILE_NAMES if name in files]
    return usual + [files[name] for name in sorted(files) if name.endswith(_DARKNET) and files[name] not in usual]


def _files_with_similar_names(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and any(word in path.name.lower() for word in _WORDS) and path.is_file()
    )
