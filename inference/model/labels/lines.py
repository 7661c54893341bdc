"""Reads label files of plain lines: ``tench``, ``n01440764 tench, Tinca tinca``, ``0 name``, ``name,0`` and so on."""

from __future__ import annotations

import re

from inference.model.labels.parsed import Direction, direction, numbers_on_both_sides, ordered

# Patterns, not compiled at import: most label files need none of them, and ``re`` keeps those that it has compiled.
# Each takes time in proportion to the line: one that could try every split of a long row of spaces would take hours.
_WORDNET_ID_AND_NAME = r"n\d{8}[\s,]+(?P<name>.+)"
_NUMBER_AND_NAME = r"(?P<number>\d+)(?:\s*[,:;=]\s*|\s+)(?P<name>.+)"
_BETWEEN_NUMBERS = r"[,:;=\s]+"
_HEADER_CELL = r"(?i)[\"\s]*(class[ _]?)?(id|index|idx|number|label|name|class)[\"\s]*"
_FAST_TEXT = "__label__"  # fastText writes it before each label
_PLACES = r"/[a-z]/(?P<name>.+)"  # the Places data sets put the first letter's folder before each category


def from_lines(raw: list[str], stem: str) -> tuple[str, ...]:
    """Read the labels of lines of text.

    Args:
        raw: The lines.
        stem: The file's name without its suffix; it may state what the numbers are.

    Raises:
        ValueError: There is no label, an empty line, or another numbering than 0, 1, 2 ...
    """
    lines = _without_comments([line.strip() for line in raw])
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ValueError("holds no label")
    if "" in lines:
        raise ValueError(f"has an empty line {lines.index('') + 1}, which would shift every label behind it")
    stated = direction(stem)
    labels = _numbered(lines, stated) or _numbered(*_without_header(lines, stated))
    if labels is None and stem.lower() == "dict":
        labels = _without_counts(lines)
    return _without_prefixes(labels or tuple(lines))


def _without_comments(lines: list[str]) -> list[str]:
    """Leave out lines that begin with ``#``, unless all do. The graph's outputs show a label that went with them."""
    kept = [line for line in lines if not line.startswith("#")]
    if len(kept) == len(lines) or not any(kept):
        return lines
    while kept and not kept[0]:
        del kept[0]
    return kept


def _numbered(lines: list[str], stated: Direction | None) -> tuple[str, ...] | None:
    """Read lines that all start with their index (or all end with it); ``None`` for other lines."""
    if len(lines) < 2:  # one line is no proof of a numbering
        return None
    words = [re.split(_BETWEEN_NUMBERS, line, maxsplit=2) for line in lines]
    if all(len(pair) == 2 and all(map(str.isdecimal, pair)) for pair in words):
        numbers = [(pair[0], pair[1]) for pair in words]
        counts = (sorted(int(pair[side]) for pair in numbers) for side in (0, 1))
        if any(count in (list(range(len(lines))), list(range(1, len(lines) + 1))) for count in counts):
            return numbers_on_both_sides(numbers, stated)
    for split, end in ((_number_and_name, 0), (_name_and_number, -1)):
        if not all(line[end].isdecimal() for line in lines):
            continue
        found = [split(line) for line in lines]
        if all(found):
            pairs = [pair for pair in found if pair]
            # "1 euro", "2 euro", "5 euro" are names: only a complete count from 0 or 1 is a numbering.
            first = min(number for number, _ in pairs)
            complete = sorted(number for number, _ in pairs) == list(range(first, first + len(pairs)))
            if complete and first <= 1:
                return ordered(pairs)
    return _name_and_index(lines)


def _number_and_name(line: str) -> tuple[int, str] | None:
    match = re.fullmatch(_NUMBER_AND_NAME, line)
    return (int(match["number"]), _unquoted(match["name"])) if match else None


def _name_and_number(line: str) -> tuple[int, str] | None:
    """Split ``name,0``, also with ``:``, ``;``, ``=`` or a tab; ``None`` where only spaces are between the two."""
    name, number = _without_digits_behind(line)
    before = name.rstrip()
    if before.endswith((",", ":", ";", "=")):
        before = before[:-1].rstrip()
    elif "\t" not in name[len(before) :]:
        return None
    return (int(number), _unquoted(before)) if before else None


def _without_digits_behind(line: str) -> tuple[str, str]:
    """Return the line without the decimal digits at its end, and those digits."""
    end = len(line)
    while end and line[end - 1].isdecimal():
        end -= 1
    return line[:end], line[end:]


def _name_and_index(lines: list[str]) -> tuple[str, ...] | None:
    """Read ``name 0``, ``name 1`` ... Names that differ only in their numbers (``stage 0``) are names."""
    pairs = _names_and_numbers(lines)
    return ordered(pairs) if sorted(number for number, _ in pairs) == list(range(len(lines))) else None


def _without_counts(lines: list[str]) -> tuple[str, ...] | None:
    """Read fairseq's and fastText's ``dict.txt``: each name with the number of its uses, the most used first.

    Raises:
        ValueError: The numbers are in no order that shows what they are.
    """
    pairs = _names_and_numbers(lines)
    counts = [number for number, _ in pairs]
    if counts != sorted(counts, reverse=True):
        raise ValueError(
            "has a number behind every name, which is neither an index nor falls from line to line: remove the numbers,"
            ' or write the labels in order as "labels": [...] in model.json'
        )
    return tuple(name for _, name in pairs) or None


def _names_and_numbers(lines: list[str]) -> list[tuple[int, str]]:
    """Return the number behind each name, after spaces; none if a line has none or two lines have one name."""
    words = [line.rsplit(maxsplit=1) for line in lines]
    if not all(len(pair) == 2 and pair[1].isdecimal() for pair in words):
        return []
    pairs = [(int(number), _unquoted(name)) for name, number in words]
    return pairs if len({name for _, name in pairs}) == len(lines) else []


def _without_header(lines: list[str], stated: Direction | None) -> tuple[list[str], Direction | None]:
    """Return the lines below a header with the direction that it states; no line where there is no header."""
    cells = re.split(r"[,;\t]", lines[0]) if re.search(r"[,;\t]", lines[0]) else lines[0].split()
    if len(cells) != 2 or not all(re.fullmatch(_HEADER_CELL, cell) for cell in cells):
        return [], stated
    return lines[1:], direction("_".join(re.sub(r"\W|class_(?=id|name)", "", cell) for cell in cells)) or stated


def _without_prefixes(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Remove what a data set or a tool puts before every name."""
    if all(label.startswith(_FAST_TEXT) and label != _FAST_TEXT for label in labels):
        return tuple(label.removeprefix(_FAST_TEXT) for label in labels)
    for start, pattern in (("n", _WORDNET_ID_AND_NAME), ("/", _PLACES)):
        if labels[0].startswith(start):
            matches = [re.fullmatch(pattern, label) for label in labels]
            if all(matches):
                return tuple(match["name"] for match in matches if match)
    return labels


def _unquoted(name: str) -> str:
    if name.startswith('"') and name.endswith('"'):
        import csv  # only for quoted names

        return ",".join(next(csv.reader([name]))).strip()
    if len(name) > 2 and name[0] == name[-1] == "'":
        return name[1:-1].strip()
    return name.strip()
