"""SVG files: nothing is lost, and text stays text."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tools.svg import picture, shape, text

SVG = "{http://www.w3.org/2000/svg}"


def test_hostile_text_is_escaped() -> None:
    content = '</text><script>alert("1 & 2")</script>'
    root = ET.fromstring(picture(100, 50, content, [text(0, 10, content)]))
    assert root.attrib["aria-label"] == content
    assert [each.text for each in root.iter(f"{SVG}text")] == [content]
    assert [each.tag for each in root] == [f"{SVG}rect", f"{SVG}text"]


def test_attributes_are_written_as_svg_names_them() -> None:
    root = ET.fromstring(picture(100, 50, "A line", [shape("line", x1=1 / 3, stroke_width=2, stroke="#123456")]))
    assert root.find(f"{SVG}line").attrib == {"x1": "0.33333", "stroke-width": "2", "stroke": "#123456"}  # type: ignore[union-attr]  # found, or the test fails
