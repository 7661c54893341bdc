"""Reads label files in every form that exporters and tutorials write, as one list: class index to label.

The forms: plain lines, ``n01440764 tench, Tinca tinca``, ``0 name``, ``0,name``, a JSON list, a JSON object in either
direction, or ImageNet's Python dictionary. Numbers in the file decide the order. A numbering that does not start at 0
is refused: labels that are off by one look plausible in every row. Where names are numbers too, as with Keras folders
"0", "1", "10", the name of the file decides which side is the index, or the author is asked.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError
from inference.model.file_errors import cannot_read

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAMES = (
    "labels.json", "labels.txt", "synset.txt", "classes.json", "classes.txt", "class_names.json", "class_names.txt",
    "class_indices.json", "imagenet_class_index.json", "imagenet_classes.txt", "imagenet1000_clsidx_to_labels.txt",

    "class_to_idx.json", "idx_to_class.json", "label2id.json", "index_to_name.json",
    "synset_words.txt", "labels_map.txt", "label_map.txt", "id2label.json", "label.txt", "labels.csv", "classes.csv",
    "labels",
)  # fmt: skip
"""Usual names of label files, most common first."""

# Patterns, not compiled at import: most label files need none of them, and ``re`` keeps those that it has compiled.
_WORDNET_ID_AND_NAME = r"n\d{8}[\s,]+(?P<name>.+)"
_NUMBER_AND_NAME = r"(?P<number>\d+)(?:\s*[,:;=]\s*|\s+)(?P<name>.+)"
_NAME_AND_NUMBER = r"(?P<name>.+?)\s*[,:;=\t]\s*(?P<number>\d+)"
_TWO_NUMBERS = r"(\d+)\s*[,:;=\t ]\s*(\d+)"
_HEADER_CELL = r"(?i)[\"\s]*(class[ _]?)?(id|index|idx|number|label|name|class)[\"\s]*"


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
    "idx_to_class", "class_indices", "class_to_idx", "label2id",
)  # fmt: skip


def read_labels(path: Path) -> tuple[str, ...]:
    """Read a label file.

    Returns:
        Labels by class index. They may repeat: ImageNet has two cranes.

    Raises:
        ModelError: The file is missing, empty, not text, or its numbering is not 0, 1, 2 ...
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise cannot_read(f"The label file {path}", error) from error
    except UnicodeDecodeError as error:
        raise ModelError(f"The label file {path} is not UTF-8 text.") from error
    try:
        return _parse(text, direction(path.stem))
    except ValueError as error:
        raise ModelError(f"The label file {path} {error}.") from error


def direction(name: str) -> Direction | None:
    """Return what the name of a file or key says about its content: ``class_indices``, ``id2label`` ..."""
    if re.fullmatch(_INDEX_TO_NAME, name):
        return Direction.INDEX_TO_NAME
    return Direction.NAME_TO_INDEX if re.fullmatch(_NAME_TO_INDEX, name) else None


def parse_labels(value: Any, stated: Direction | None = None) -> tuple[str, ...]:
    """Read labels from parsed JSON: a list of names, or an object from index to name or from name to index.

    Args:
        value: The parsed JSON.
        stated: The direction that the name of the file or key states.

    Raises:
        ValueError: The value is neither. The message completes the sentence "The label file ...".
    """
    if isinstance(value, dict):
        for key in _WRAPPER_KEYS:
            if isinstance(value.get(key), list | dict):
                return parse_labels(value[key], direction(key) or stated)
        by_key = bool(value) and all(_is_index(key) for key in value)
        by_value = bool(value) and all(_is_index(index) for index in value.values())
        if by_key and by_value:
            return _numbers_on_both_sides([(str(key), str(index)) for key, index in value.items()], stated)
        if by_key:
            return _ordered([(int(key), _name(name)) for key, name in value.items()])
        if by_value:
            return _ordered([(int(index), str(name)) for name, index in value.items()])
    elif isinstance(value, list):
        if value and all(isinstance(entry, dict) for entry in value):
            return _from_records(value)
        if value:
            return tuple(_name(entry) for entry in value)
    raise ValueError("holds neither a list of names nor an object that gives each name its index")


def _numbers_on_both_sides(pairs: list[tuple[str, str]], stated: Direction | None) -> tuple[str, ...]:
    """Read pairs of two numbers: only a side that counts 0, 1, 2 ... can be the index."""
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
        return _ordered([(int(index), name) for name, index in pairs])
    return _ordered([(int(index), name) for index, name in pairs])


def _parse(text: str, stated: Direction | None) -> tuple[str, ...]:
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return parse_labels(json.loads(text), stated)
        except (json.JSONDecodeError, RecursionError):
            return parse_labels(_python_literal(text), stated)
    return _from_lines(text.splitlines(), stated)


def _python_literal(text: str) -> Any:
    import ast  # only for ImageNet's Python dictionary

    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("starts like JSON but is not valid") from error


def _from_lines(raw: list[str], stated: Direction | None) -> tuple[str, ...]:
    lines = [line.strip() for line in raw]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ValueError("holds no label")
    if "" in lines:
        raise ValueError(f"has an empty line {lines.index('') + 1}, which would shift every label behind it")
    return _without_wordnet_ids(_numbered(lines, stated) or _numbered(*_without_header(lines, stated)) or tuple(lines))


def _numbered(lines: list[str], stated: Direction | None) -> tuple[str, ...] | None:
    """Read lines that all start with their index (or all end with it); ``None`` for other lines."""
    if len(lines) < 2:  # one line is no proof of a numbering
        return None
    pairs_of_numbers = [re.fullmatch(_TWO_NUMBERS, line) for line in lines]
    if all(pairs_of_numbers):
        numbers = [(match[1], match[2]) for match in pairs_of_numbers if match]
        counts = (sorted(int(pair[side]) for pair in numbers) for side in (0, 1))
        if any(count in (list(range(len(lines))), list(range(1, len(lines) + 1))) for count in counts):
            return _numbers_on_both_sides(numbers, stated)
    for pattern, end in ((_NUMBER_AND_NAME, 0), (_NAME_AND_NUMBER, -1)):
        if not all(line[end].isdecimal() for line in lines):
            continue
        matches = [re.fullmatch(pattern, line) for line in lines]
        if all(matches):
            pairs = [(int(match["number"]), _unquoted(match["name"])) for match in matches if match]
            # "1 euro", "2 euro", "5 euro" are names: only a complete count from 0 or 1 is a numbering.
            first = min(number for number, _ in pairs)
            complete = sorted(number for number, _ in pairs) == list(range(first, first + len(pairs)))
            if complete and first <= 1:
                return _ordered(pairs)
    return None


def _without_header(lines: list[str], stated: Direction | None) -> tuple[list[str], Direction | None]:
    """Return the lines below a header with the direction that it states; no line where there is no header."""
    cells = lines[0].replace(";", ",").replace("\t", ",").split(",")
    if len(cells) != 2 or not all(re.fullmatch(_HEADER_CELL, cell) for cell in cells):
        return [], stated
    return lines[1:], direction("_".join(re.sub(r"\W|class_(?=id|name)", "", cell) for cell in cells)) or stated


def _without_wordnet_ids(labels: tuple[str, ...]) -> tuple[str, ...]:
    if not (labels[0].startswith("n") and labels[0][1:2].isdigit()):
        return labels
    matches = [re.fullmatch(_WORDNET_ID_AND_NAME, label) for label in labels]
    return tuple(match["name"] for match in matches if match) if all(matches) else labels


def _from_records(records: list[dict[str, Any]]) -> tuple[str, ...]:
    """Read ``[{"id": 0, "name": "cat"}, ...]``."""
    pairs = []
    for record in records:
        index = next((record[key] for key in ("id", "index", "class_id") if key in record), None)
        name = next((record[key] for key in ("name", "label", "class") if key in record), None)
        if not _is_index(index) or name is None:
            raise ValueError('holds objects without "id" and "name"')
        pairs.append((int(str(index)), _name(name)))
    return _ordered(pairs)


def _ordered(pairs: list[tuple[int, str]]) -> tuple[str, ...]:
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


def _unquoted(name: str) -> str:
    if name.startswith('"') and name.endswith('"'):
        import csv  # only for quoted names

        return ",".join(next(csv.reader([name]))).strip()
    return name.strip()


def _is_index(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdecimal())
