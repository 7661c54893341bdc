"""Reads labels from parsed JSON or YAML: a list of names, or an object in either direction.

Numbers decide the order. A numbering that does not start at 0 is refused: labels that are off by one look plausible in
every row. Where names are numbers too, as with Keras folders "0", "1", "10", the name of the file or key decides which
side is the index, or the author is asked.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any


class Direction(Enum):
    """What the keys of an object are."""

    NAME_TO_INDEX = "name to index"
    INDEX_TO_NAME = "index to name"


_SIDES = "(id|ids|idx|index|indices|number)"
_NAMES = "(class|classes|label|labels|name|names|cls)"
_NAME_TO_INDEX = rf"(?i).*{_NAMES}[_ -]?(to|2)?[_ -]?{_SIDES}"
_INDEX_TO_NAME = rf"(?i).*({_SIDES}[_ -]?(to|2)?[_ -]?{_NAMES}|imagenet_class_index|clsidx[_ -]to[_ -]labels)"
_WRAPPER_KEYS = (
    "labels", "classes", "class_names", "id2label", "names", "label_names", "vocab",
    "idx_to_class", "class_indices", "class_to_idx", "label2id", "categories", "class_map", "label_map", "class_list",
)  # fmt: skip


def direction(name: str) -> Direction | None:
    """Return what the name of a file or key says about its content: ``class_indices``, ``id2label`` ..."""
    if re.fullmatch(_INDEX_TO_NAME, name):
        return Direction.INDEX_TO_NAME
    return Direction.NAME_TO_INDEX if re.fullmatch(_NAME_TO_INDEX, name) else None


_INDEX_KEYS = ("id", "index", "idx", "class_id", "category_id", "label_id", "class_index", "class_idx")
_NAME_KEYS = ("name", "label", "class", "class_name", "category_name", "label_name", "display_name", "category")


def parse_labels(value: Any, stated: Direction | None = None) -> tuple[str, ...]:
    """Read labels from parsed JSON or YAML: a list of names, or an object from index to name or from name to index.

    Args:
        value: The parsed value.
        stated: The direction that the name of the file or key states.

    Raises:
        ValueError: The value is neither. The message completes the sentence "The label file ...".
    """
    if isinstance(value, dict):
        keys = {str(key).lower(): key for key in value}
        for name in _WRAPPER_KEYS:
            wrapped = value.get(keys.get(name))
            if isinstance(wrapped, list | dict):
                labels = parse_labels(wrapped, direction(name) or stated)
                _check_count(value.get("nc"), labels)
                return labels
        by_key = bool(value) and all(_is_index(key) for key in value)
        by_value = bool(value) and all(_is_index(index) for index in value.values())
        if by_key and by_value:
            return numbers_on_both_sides([(str(key), str(index)) for key, index in value.items()], stated)
        if by_key:
            return ordered([(int(key), _name(name)) for key, name in value.items()])
        if by_value:
            return ordered([(int(index), str(name)) for name, index in value.items()])
    elif isinstance(value, list):
        if value and all(isinstance(entry, dict) for entry in value):
            return _from_records(value)
        if value:
            return tuple(_name(entry) for entry in value)
    raise ValueError("holds neither a list of names nor an object that gives each name its index")


def numbers_on_both_sides(pairs: list[tuple[str, str]], stated: Direction | None) -> tuple[str, ...]:
    """Read pairs of two numbers: only a side that counts 0, 1, 2 ... can be the index.

    Raises:
        ValueError: Both sides do, they disagree, and no name states the direction.
    """
    if stated is None:
        first, second = ([int(pair[side]) for pair in pairs] for side in (0, 1))
        count = list(range(len(pairs)))
        first_counts, second_counts = sorted(first) == count, sorted(second) == count
        inverse = {index: number for number, index in zip(first, second, strict=True)}
        agree = first_counts and second_counts and inverse == dict(zip(first, second, strict=True))
        if first_counts and second_counts and not agree:
            raise ValueError(
                "gives numbers to numbers, and its name does not state which side is the index: name it"
                " class_indices.json (name to index) or id2label.json (index to name), or write the labels in order as"
                ' "labels": [...] in model.json'
            )
        stated = Direction.NAME_TO_INDEX if second_counts else Direction.INDEX_TO_NAME
    if stated is Direction.NAME_TO_INDEX:
        return ordered([(int(index), name) for name, index in pairs])
    return ordered([(int(index), name) for index, name in pairs])


def _from_records(records: list[dict[str, Any]]) -> tuple[str, ...]:
    """Read ``[{"id": 0, "name": "cat"}, ...]``."""
    pairs = []
    for record in records:
        values = {str(key).lower(): value for key, value in record.items()}
        index = next((values[key] for key in _INDEX_KEYS if key in values), None)
        name = next((values[key] for key in _NAME_KEYS if key in values), None)
        if not _is_index(index) or name is None:
            raise ValueError('holds objects without "id" and "name"')
        pairs.append((int(str(index)), _name(name)))
    return ordered(pairs)


def _check_count(stated: Any, labels: tuple[str, ...]) -> None:
    """Compare the number of labels with ``nc``, which Ultralytics writes beside ``names``."""
    if _is_index(stated) and int(stated) != len(labels):
        raise ValueError(f"states nc {int(stated)}, but has {len(labels)} names")


def ordered(pairs: list[tuple[int, str]]) -> tuple[str, ...]:
    """Return the names in the order of their numbers.

    Raises:
        ValueError: The numbers are not 0, 1, 2 ...
    """
    numbers = [number for number, _ in pairs]
    if sorted(numbers) != list(range(len(pairs))):
        raise ValueError(
            f"numbers its {len(pairs)} labels from {min(numbers)} to {max(numbers)}, not 0 to {len(pairs) - 1}:"
            f' number them as the model does, or write them in order as "labels": [...] in model.json'
        )
    return tuple(name for _, name in sorted(pairs))


def _name(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2:  # Keras: ["n01440764", "tench"]
        value = value[1]
    if not isinstance(value, str | int | float) or isinstance(value, bool) or not str(value).strip():
        raise ValueError(f"has {value!r:.40} where a name should be")
    return str(value).strip()


def _is_index(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdecimal())
