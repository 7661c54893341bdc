"""Reads TensorFlow's ``label_map.pbtxt``: ``item { id: 1 name: 'cat' display_name: "Cat" }`` for each class.

Its ids begin at 1, because 0 is the background (``StringIntLabelMap`` of TensorFlow's object detection API), so a map
from 1 is in order too. A model that counts the background has one output more, which the output's check shows.
"""

from __future__ import annotations

import ast
import re

from inference.model.labels.parsed import ordered

_WORD = r"""#[^\n]*|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|[{}:,;]|[^\s{}:,;"'#]+"""


def from_label_map(text: str) -> tuple[str, ...]:
    """Return the display names, or where there are none the names, in the order of the ids.

    Raises:
        ValueError: The text is no label map, or its ids have a gap.
    """
    items: list[dict[str, str]] = []
    depth, key = 0, ""
    for word in re.findall(_WORD, text):
        if word.startswith("#") or word in {":", ",", ";"}:
            continue
        if word == "{":
            depth += 1
            if depth == 1 and key == "item":
                items.append({})
            key = ""
        elif word == "}":
            depth -= 1
            key = ""
        elif key and depth == 1 and items:
            items[-1][key] = _unquoted(word)
            key = ""
        else:
            key = "" if key else word
    pairs = [(item.get("id", ""), item.get("display_name") or item.get("name", "")) for item in items]
    if not pairs or depth or not all(number.isdigit() and name for number, name in pairs):
        raise ValueError("is no label map: it needs items with an id and a name")
    first = 1 if min(int(number) for number, _ in pairs) == 1 else 0
    return ordered([(int(number) - first, name) for number, name in pairs])


def _unquoted(word: str) -> str:
    if word[0] not in "\"'":
        return word
    try:
        return str(ast.literal_eval(word)).strip()
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"has a text that is cut short: {word[:40]!r}") from error
