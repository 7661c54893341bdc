"""Text from anywhere becomes HTML or JSON inside HTML: here and nowhere else.

Names, labels and details are hostile. Elements are built as a tree and serialised by the standard library, which
escapes; control characters and what turns the direction of text are spelled out before that.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

Element = ET.Element
Child = ET.Element | str | None

_IN_HTML = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026"})


def element(tag: str, *children: Child, **attributes: str) -> Element:
    """Build an HTML or SVG element.

    Args:
        tag: Its name.
        children: Elements and text, in order; ``None`` is left out.
        attributes: Their names are written with ``_`` for ``-``, and with a last ``_`` where Python keeps the word.
    """
    made = ET.Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + child
            else:
                last.tail = (last.tail or "") + child
        elif child is not None:
            made.append(child)
            last = child
    return made


def html(elements: Iterable[Element]) -> str:
    """Serialise, escaping every text and attribute. Not for ``script`` and ``style``, whose text is never escaped."""
    return "\n".join(ET.tostring(each, encoding="unicode", method="html") for each in elements)


def json_block(value: Any) -> str:
    """JSON that can stand in a ``script`` element: ASCII only, and nothing that could end the element or begin one."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_IN_HTML)


def shown(text: str, most: int = 300) -> str:
    """Text as a page may show it: nothing invisible, no turned direction, at most ``most`` characters.

    What is too long loses its middle, so that both the folder and the file's ending are seen.
    """
    if len(text) > most:
        text = f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"
    return text if text.isprintable() else printable(text)
