"""Label files of every shape that exporters and tutorials leave, read into one list: class index to label.

Plain lines, ``n01440764 tench, Tinca tinca``, ``0 name``, ``0,name``, a JSON list, a JSON object either way round, or
ImageNet's Python dictionary. Numbers in the file decide the order, and a numbering that does not start at 0 is refused:
labels that are off by one look plausible in every row.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from typing import TYPE_CHECKING, Any

from inference.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (
    "labels.json", "labels.txt", "synset.txt", "classes.json", "classes.txt", "class_names.json", "class_names.txt",
    "class_indices.json", "imagenet_class_index.json", "imagenet_classes.txt", "imagenet1000_clsidx_to_labels.txt",
    "synset_words.txt", "labels_map.txt", "label_map.txt", "id2label.json", "label.txt", "labels.csv", "classes.csv",
    "labels",
)  # fmt: skip
"""File names that are label files wherever they lie, most common first."""

_WORDNET = re.compile(r"n\d{8}[\s,]+(.+)")
_NUMBERED = re.compile(r"(\d+)(?:\s*[,:;=]\s*|\s+)(.+)")
_NUMBERED_BEHIND = re.compile(r"(.+?)\s*[,:;=\t]\s*(\d+)")
_HEADER_WORDS = re.compile(r"(?i)[\"\s]*(class[ _]?)?(id|index|idx|number|label|name|class)[\"\s]*")
_WRAPPERS = ("labels", "classes", "class_names", "id2label", "names", "label_names", "vocab")


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
        raise ModelError(f"The label file {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"The label file {path} is not UTF-8 text.") from error
    try:
        return _parse(text)
    except ValueError as error:
        raise ModelError(f"The label file {path} {error}.") from error


def labels_from(value: Any) -> tuple[str, ...]:
    """Read labels from a parsed value: a list of names, or an object from index to name or from name to index.

    Raises:
        ValueError: The value is neither; the message completes "the label file ...".
    """
    if isinstance(value, dict):
        for wrapper in _WRAPPERS:
            if isinstance(value.get(wrapper), list | dict):
                return labels_from(value[wrapper])
        if value and all(_is_index(key) for key in value):
            return _ordered([(int(key), _name(name)) for key, name in value.items()])
        if value and all(_is_index(index) for index in value.values()):
            return _ordered([(int(index), str(name)) for name, index in value.items()])
    elif isinstance(value, list):
        if value and all(isinstance(entry, dict) for entry in value):
            return _from_records(value)
        if value:
            return tuple(_name(entry) for entry in value)
    raise ValueError("holds neither a list of names nor an object that gives each name its index")


def _parse(text: str) -> tuple[str, ...]:
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return labels_from(json.loads(text))
        except json.JSONDecodeError:
            return labels_from(_python_literal(text))
    return _from_lines(text.splitlines())


def _python_literal(text: str) -> Any:
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("starts like JSON but is not valid") from error


def _from_lines(raw: list[str]) -> tuple[str, ...]:
    lines = [line.strip() for line in raw]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ValueError("holds no label")
    if "" in lines:
        raise ValueError(f"has an empty line {lines.index('') + 1}, which would shift every label behind it")
    return _without_wordnet_ids(_numbered(lines) or _numbered(_without_header(lines)) or tuple(lines))


def _numbered(lines: list[str]) -> tuple[str, ...] | None:
    """Read lines that all carry their index in front (or all behind), or return ``None``."""
    if len(lines) < 2:  # one line proves no numbering
        return None
    for pattern, index, name in ((_NUMBERED, 1, 2), (_NUMBERED_BEHIND, 2, 1)):
        matches = [pattern.fullmatch(line) for line in lines]
        if all(matches):
            pairs = [(int(match[index]), _unquoted(match[name])) for match in matches if match]
            # "1 euro", "2 euro", "5 euro" are names: only a full count is a numbering.
            first = min(number for number, _ in pairs)
            if sorted(number for number, _ in pairs) == list(range(first, first + len(pairs))) and first <= 1:
                return _ordered(pairs)
    return None


def _without_header(lines: list[str]) -> list[str]:
    cells = re.split(r"[,;\t]", lines[0]) if lines else []
    return lines[1:] if len(cells) == 2 and all(_HEADER_WORDS.fullmatch(cell) for cell in cells) else []


def _without_wordnet_ids(labels: tuple[str, ...]) -> tuple[str, ...]:
    matches = [_WORDNET.fullmatch(label) for label in labels]
    return tuple(match[1] for match in matches if match) if all(matches) else labels


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
        return ",".join(next(csv.reader([name]))).strip()
    return name.strip()


def _is_index(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdigit())
