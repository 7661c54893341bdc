"""Pictures as SVG: shapes and text on white paper, and charts of lines. There is no plotting library behind it.

Positions and sizes are in units of the drawing, from its upper left corner.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

_INK, _GRID, _PAPER = "#24292f", "#d8dee4", "#ffffff"
_ROUND = [step * 10.0**decade for decade in range(-12, 16) for step in (1, 2, 5)]
_MOST_TICKS = 6  # so many labels of eight digits stand side by side in 420 units
_FAR_APART = 20

Element = ET.Element
Point = tuple[float, float]


def picture(width: float, height: float, label: str, parts: Iterable[Element]) -> str:
    """A whole SVG file; ``label`` is its text alternative."""
    size: dict[str, float | str] = {"width": width, "height": height}
    about = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}", "role": "img"}
    style = {"font_family": "system-ui, sans-serif", "font_size": "13"}
    svg = shape("svg", shape("rect", **size, fill=_PAPER), *parts, **about, aria_label=label, **size, **style)
    ET.indent(svg, "")  # a line for each shape, so that a change can be read
    return ET.tostring(svg, encoding="unicode") + "\n"


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


def text(x: float, y: float, said: str, **style: float | str) -> Element:
    """One line of text, which begins at ``x`` unless ``text_anchor`` is given."""
    return shape("text", said, x=x, y=y, fill=_INK, **style)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis is its ticks, two or more: it goes from the first to the last."""

    ticks: Sequence[float]
    is_logarithmic: bool = False

    @classmethod
    def around(cls, values: Collection[float]) -> Axis:
        """Find round ticks around values that are nought or more, such as counts and milliseconds.

        They begin at nought. Where nought is not among the values and the smallest would not be seen beside the
        greatest, the axis is logarithmic, and begins at a round number below the smallest.
        """
        low, high = min(values), max(values) or 1.0
        if 0 < low * _FAR_APART < high:
            first, last = bisect_right(_ROUND, low) - 1, bisect_left(_ROUND, high)
            steps = (1, *range(3, len(_ROUND), 3))  # 1, 2 and 5, or a number of decades
            choices = (_ROUND[first // step * step : -(-last // step) * step + 1 : step] for step in steps)
            return cls(next(ticks for ticks in choices if len(ticks) <= _MOST_TICKS), is_logarithmic=True)
        step = _ROUND[bisect_left(_ROUND, high / (_MOST_TICKS - 1))]
        return cls([number * step for number in range(math.ceil(high / step) + 1)])

    def share(self, value: float) -> float:
        """How far along a value is: 0 at the first tick, 1 at the last."""
        scale = math.log if self.is_logarithmic else float
        start, end, at = (scale(each) for each in (self.ticks[0], self.ticks[-1], value))
        return (at - start) / (end - start)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart; one that is only there for comparison is dashed and has no dots."""

    name: str
    colour: str
    points: Sequence[Point]
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over a grid, which is where and as large as is said.

    Attributes:
        title: Stands above, in 30 units.
        of_what: What the numbers across are; stands below, in 44 units.
        names_at: Where the name of the first line begins; the others stand below it.
    """

    left: float
    top: float
    width: float
    height: float
    title: str
    of_what: str
    across: Axis
    up: Axis
    lines: Sequence[Line]
    names_at: Point

    def drawn(self) -> Iterator[Element]:
        """All of it."""
        yield from self._grid()
        for number, line in enumerate(self.lines):
            yield from self._line(line, self.names_at[0], self.names_at[1] + 18 * number)

    def _line(self, line: Line, left: float, bottom: float) -> Iterator[Element]:
        dashes = "5 4" if line.is_dashed else "none"
        stroke = {"stroke": line.colour, "stroke_width": "2", "stroke_dasharray": dashes}
        places = [self._at(point) for point in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield shape("polyline", points=path, fill="none", **stroke)
        yield shape("line", x1=left, y1=bottom - 4, x2=left + 20, y2=bottom - 4, **stroke)
        yield text(left + 26, bottom, line.name, paint_order="stroke", stroke=_PAPER, stroke_width=4)  # hides the grid
        if not line.is_dashed:
            for (x, y), (across, up) in zip(places, line.points, strict=True):
                title = shape("title", f"{line.name}: {across:,.12g} {self.of_what}, {up:,.1f}")
                yield shape("circle", title, cx=x, cy=y, r=3.5, fill=line.colour)

    def _at(self, point: Point) -> Point:
        x, y = self.across.share(point[0]), self.up.share(point[1])
        return self.left + x * self.width, self.top + (1 - y) * self.height

    def _grid(self) -> Iterator[Element]:
        right, bottom = self.left + self.width, self.top + self.height
        yield text(self.left, self.top - 16, self.title, font_weight=600, font_size=14)
        for tick in self.across.ticks:
            x, _ = self._at((tick, self.up.ticks[0]))
            yield shape("line", x1=x, y1=self.top, x2=x, y2=bottom, stroke=_GRID)
            yield text(x, bottom + 18, f"{tick:,.12g}", text_anchor="middle")
        for tick in self.up.ticks:
            _, y = self._at((self.across.ticks[0], tick))
            yield shape("line", x1=self.left, y1=y, x2=right, y2=y, stroke=_GRID)
            yield text(self.left - 8, y + 4, f"{tick:,.12g}", text_anchor="end")
        yield text(self.left + self.width / 2, bottom + 40, self.of_what, text_anchor="middle")
