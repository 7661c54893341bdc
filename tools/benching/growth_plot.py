"""Draws what ``growth`` measured as one SVG picture: flat lines are what is wanted, but for Azurite's own."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.drawing import Axis, Chart, Line, Point, picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLUE, _GREEN, _GREY, _ORANGE = "#1f6feb", "#1a7f37", "#9aa5b1", "#bf5700"
_PANEL, _TOP = 230, 46

Measured = dict[str, Any]


def drawing(growth: dict[str, list[Measured]]) -> str:
    """Return the SVG of everything that was measured."""
    charts = [_chart(_TOP + number * _PANEL, *panel) for number, panel in enumerate(_panels(growth))]
    parts = [part for chart in charts for part in chart.drawn()]
    return picture(760, _TOP + len(charts) * _PANEL - 30, "How costs grow", parts)


def _panels(growth: dict[str, list[Measured]]) -> Iterator[tuple[str, str, list[Line]]]:
    """Title, what is across, and the lines of each."""
    if rows := growth.get("rows"):
        of = partial(_points, rows, "rows")
        crowded = partial(of, folder="crowded")
        lines = [
            Line("this app, all in one folder", _BLUE, crowded("cpu_ms", beside="full")),
            Line("this app, in 100 folders", _GREEN, of("cpu_ms", beside="full", folder="spread")),
            Line("this app, beside next to no rows", _GREY, crowded("cpu_ms", beside="empty"), is_dashed=True),
            Line("Azurite, all in one folder", _ORANGE, crowded("azurite_ms", beside="full"), is_dashed=True),
        ]
        yield "CPU ms per fresh image", "rows already there", lines
    if images := growth.get("images"):
        of = partial(_points, images, "images", per=1000)
        lines = [
            Line("reconciling, this app", _BLUE, of("cpu_ms", work="reconcile")),
            Line("reconciling, Azurite", _ORANGE, of("azurite_ms", work="reconcile"), is_dashed=True),
            Line("planning a backfill, this app", _GREEN, of("cpu_ms", work="plan")),
        ]
        yield "CPU ms per 1,000 images that are done", "images", lines
    if names := growth.get("names"):
        of = partial(_points, names, "names")
        yield "CPU ms per 1,000 names", "names", [Line("planning, without any storage", _BLUE, of("cpu_ms", per=1000))]
        yield "MiB beyond the first page", "names", [Line("planning, without any storage", _GREEN, of("grew_mib"))]


def _points(measured: Iterable[Measured], across: str, up: str, per: int = 0, **where: str) -> list[Point]:
    """What was measured ``where``; what it took for all of its images or names is given for ``per`` of them."""
    chosen = [point for point in measured if where.items() <= point.items()]
    return [(point[across], point[up] / point[across] * per if per else point[up]) for point in chosen]


def _chart(top: float, title: str, of_what: str, lines: list[Line]) -> Chart:
    across, up = zip(*(point for line in lines for point in line.points), strict=True)
    axes = Axis.around(across), Axis.around(up)
    return Chart(70, top, 420, 130, title, of_what, *axes, lines, names_at=(506, top + 6))


if __name__ == "__main__":
    measured, drawn = map(Path, sys.argv[1:3])
    drawn.write_text(drawing(json.loads(measured.read_text(encoding="utf-8"))), encoding="utf-8")
