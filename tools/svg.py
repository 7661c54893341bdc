"""Builds SVG pictures as a tree of elements; the standard library serialises and escapes them.

Positions and sizes are in user units of the drawing, measured from its upper left corner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable

Element = ET.Element

_INK, _PAPER = "#24292f", "#ffffff"


def picture(width: float, height: float, label: str, shapes: Iterable[Element]) -> str:
    """Return a complete SVG file on a white background.

    Args:
        width: In user units, which are also its pixels at natural size.
        height: The same.
        label: The text alternative (``aria-label``).
        shapes: Elements, from back to front.
    """
    background = shape("rect", width=width, height=height, fill=_PAPER)
    root = shape(
        "svg",
        background,
        *shapes,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        width=width,
        height=height,
        font_family="system-ui, sans-serif",
        font_size="13",
    )
    ET.indent(root, "")  # one shape per line keeps a diff of two pictures readable
    return ET.tostring(root, encoding="unicode") + "\n"


def shape(tag: str, *children: Element | str, **attributes: float | str) -> Element:
    """Build an SVG element; serialising it escapes all text and attribute values.

    Args:
        tag: Name of the element.
        children: Elements and text, in order.
        attributes: Written with ``-`` for ``_`` and without a trailing ``_`` (``class_``); numbers get five digits.
    """
    names = (name.rstrip("_").replace("_", "-") for name in attributes)
    values = (value if isinstance(value, str) else f"{value:.5g}" for value in attributes.values())
    built = ET.Element(tag, dict(zip(names, values, strict=True)))
    last: Element | None = None
    for child in children:
        if not isinstance(child, str):
            built.append(child)
            last = child
        elif last is None:
            built.text = (built.text or "") + child
        else:
            last.tail = (last.tail or "") + child
    return built


def text(x: float, y: float, content: str, **attributes: float | str) -> Element:
    """Return one line of text whose baseline starts at (x, y), unless ``text_anchor`` says otherwise."""
    return shape("text", content, x=x, y=y, fill=_INK, **attributes)
