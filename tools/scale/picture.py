"""The picture of ``docs/scale.md``: three panels as one SVG, drawn by hand so that nothing is needed to make it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree as ET

from tools.reporting.markup import element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tools.reporting.markup import Element

_WIDTH, _HEIGHT = 1000, 460
_COLOURS = ("#0b6e99", "#d9480f", "#868e96", "#2b8a3e", "#7048e8", "#c2255c", "#1a1a1a")
_INK, _GRID, _PAPER = "#343a40", "#dee2e6", "#ffffff"
_FONT = "system-ui, sans-serif"

Outcome = dict[str, Any]
Point = tuple[float, float]


class Panel(NamedTuple):
    """Where a panel is, in units of the drawing, and its two logarithmic axes."""

    left: float
    top: float
    width: float
    height: float
    across: tuple[float, float]
    up: tuple[float, float]

    def at(self, point: Point) -> Point:
        """Where a point is drawn."""
        x, y = (
            (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
            for value, (low, high) in zip(point, (self.across, self.up), strict=True)
        )
        return self.left + x * self.width, self.top + (1 - y) * self.height


def drawn(results: dict[str, list[Outcome]]) -> str:
    """Draw what ``sweep`` wrote."""
    svg = element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        font_family=_FONT,
        font_size="12",
        role="img",
        aria_label="Rows per second, and waiting time, by number of instances",
    )
    svg.append(element("rect", width=str(_WIDTH), height=str(_HEIGHT), fill=_PAPER))
    for part in (*_rates(results["bursts"]), *_waits(results["one_burst"])):
        svg.append(part)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _rates(outcomes: Sequence[Outcome]) -> Iterator[Element]:
    panel = Panel(60, 50, 440, 350, (1, 1000), (20, 10_000))
    yield from _frame(panel, "A burst: rows per second", (1, 10, 100, 1000), (20, 100, 500, 1000, 2000, 5000, 10_000))
    yield _line(panel, [(1, 31), (320, 9920)], _GRID, dashed=True)
    yield _text(panel.left + 345, panel.top + 12, "cores alone", "#868e96", text_anchor="end")
    names = list(dict.fromkeys(one["variant"] for one in outcomes))
    for number, name in enumerate(names):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [(one["instances"], one["images_per_s"]) for one in outcomes if one["variant"] == name]
        yield _line(panel, points, colour)
        yield from _dots(panel, points, colour, name)
        yield _text(panel.left + 12, panel.top + 16 + 16 * number, f"● {name}", colour)


def _waits(outcomes: Sequence[Outcome]) -> Iterator[Element]:
    panel = Panel(590, 50, 380, 350, (1, 1000), (1, 1000))
    title = f"{outcomes[0]['images']:,} uploads: seconds to the row"
    yield from _frame(panel, title, (1, 10, 100, 1000), (1, 3, 10, 30, 100, 300, 1000))
    for number, (key, name) in enumerate(
        (("p50_s", "half of them sooner than"), ("p99_s", "99 % of them sooner than"))
    ):
        points = [(one["instances"], one[key]) for one in outcomes]
        yield _line(panel, points, _COLOURS[number])
        yield from _dots(panel, points, _COLOURS[number], name)
        yield _text(panel.left + 190, panel.top + 20 + 18 * number, f"● {name}", _COLOURS[number])


def _frame(panel: Panel, title: str, across: Sequence[float], up: Sequence[float]) -> Iterator[Element]:
    yield _text(panel.left, panel.top - 20, title, _INK, font_weight="bold", font_size="15")
    for value in across:
        yield _line(panel, [(value, panel.up[0]), (value, panel.up[1])], _GRID)
        x, y = panel.at((value, panel.up[0]))
        yield _text(x, y + 18, f"{value:,g}", _INK, text_anchor="middle")
    for value in up:
        yield _line(panel, [(panel.across[0], value), (panel.across[1], value)], _GRID)
        x, y = panel.at((panel.across[0], value))
        yield _text(x - 8, y + 4, f"{value:,g}", _INK, text_anchor="end")
    yield _text(
        panel.left + panel.width / 2,
        panel.top + panel.height + 42,
        "instances (2048 MB, 1 core)",
        _INK,
        text_anchor="middle",
    )


def _line(panel: Panel, points: Sequence[Point], colour: str, *, dashed: bool = False) -> Element:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(panel.at, points))
    more = {"stroke_dasharray": "6 4"} if dashed else {}
    width = "1" if colour == _GRID and not dashed else "2"
    return element("polyline", points=path, fill="none", stroke=colour, stroke_width=width, **more)


def _dots(panel: Panel, points: Sequence[Point], colour: str, name: str) -> Iterator[Element]:
    place: Callable[[Point], Point] = panel.at
    for point in points:
        x, y = place(point)
        title = element("title", f"{name}: {point[0]:,g} instances, {point[1]:,.1f}")
        yield element("circle", title, cx=f"{x:.1f}", cy=f"{y:.1f}", r="3.5", fill=colour)


def _text(x: float, y: float, text: str, colour: str, **style: str) -> Element:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", fill=colour, **style)
