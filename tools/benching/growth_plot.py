"""Draws what ``growth`` measured as one SVG picture: flat lines are what is wanted, but for Azurite's own."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH, _PANEL, _LEFT, _TOP, _HIGH, _WIDE = 760, 230, 70, 46, 130, 420
_INK, _GRID = "#24292f", "#d0d7de"

Line = tuple[str, str, bool, list[tuple[float, float]]]  # name, colour, dashed, points


def drawing(growth: dict[str, Any]) -> str:
    """Return the SVG of everything that was measured."""
    panels: list[tuple[str, str, list[Line]]] = []
    if "rows" in growth:
        panels.append(("CPU ms per fresh image, by rows already there", "rows", _of_rows(growth["rows"])))
    if "images" in growth:
        panels.append(("CPU ms per 1,000 images that are done, by images", "images", _of_images(growth["images"])))
    if "names" in growth:
        planned = [(point["names"], point["cpu_ms"] / point["names"] * 1000) for point in growth["names"]]
        grown = [(point["names"], point["grew_mib"]) for point in growth["names"]]
        lines: list[Line] = [
            ("planning, CPU ms per 1,000 names", "#1f6feb", False, planned),
            ("memory beyond the first page, MiB", "#bf5700", False, grown),
        ]
        panels.append(("Planning without any storage, by names", "names", lines))
    parts = [part for number, panel in enumerate(panels) for part in _panel(_TOP + number * _PANEL, *panel)]
    height = _TOP + len(panels) * _PANEL - 30
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'role="img" aria-label="How costs grow" font-family="system-ui, sans-serif" font-size="13">'
    )
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>', *parts, "</svg>\n"])


def _of_rows(points: Sequence[dict[str, Any]]) -> list[Line]:
    def of(beside: str, folder: str, cost: str) -> list[tuple[float, float]]:
        chosen = (point for point in points if (point["beside"], point["folder"]) == (beside, folder))
        return [(point["rows"], point[cost]) for point in chosen]

    return [
        ("this app, all in one folder", "#1f6feb", False, of("full", "crowded", "cpu_ms")),
        ("this app, in 100 folders", "#1a7f37", False, of("full", "spread", "cpu_ms")),
        ("this app, beside next to no rows", "#9aa5b1", True, of("empty", "crowded", "cpu_ms")),
        ("Azurite, all in one folder", "#bf5700", True, of("full", "crowded", "azurite_ms")),
    ]


def _of_images(points: Sequence[dict[str, Any]]) -> list[Line]:
    def of(work: str, cost: str) -> list[tuple[float, float]]:
        chosen = (point for point in points if point["work"] == work)
        return [(point["images"], point[cost] / point["images"] * 1000) for point in chosen]

    return [
        ("reconciling, this app", "#1f6feb", False, of("reconcile", "cpu_ms")),
        ("reconciling, Azurite", "#bf5700", True, of("reconcile", "azurite_ms")),
        ("planning a backfill, this app", "#1a7f37", False, of("plan", "cpu_ms")),
    ]


def _panel(top: float, title: str, unit: str, lines: Sequence[Line]) -> list[str]:
    every = [point for *_, points in lines for point in points]
    first, last = (math.log10(limit(x for x, _ in every)) for limit in (min, max))
    most = _round_up(max(y for _, y in every))
    bottom = top + 20 + _HIGH

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + (math.log10(x) - first) / ((last - first) or 1) * _WIDE, bottom - y / most * _HIGH

    parts = [_text(_LEFT, top + 4, title, weight=600)]
    for share in (0.0, 0.5, 1.0):
        y = place(10**first, most * share)[1]
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _WIDE}" y2="{y:.1f}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{most * share:g}", anchor="end"))
    parts += [_text(place(x, 0)[0], bottom + 18, f"{x:,}", anchor="middle") for x in sorted({x for x, _ in every})]
    parts.append(_text(_LEFT + _WIDE + 34, bottom + 18, unit))
    for number, (name, colour, dashed, points) in enumerate(lines):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if not dashed:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (place(*p) for p in points)
            ]
        y = top + 26 + number * 20
        parts.append(
            f'<line x1="{_LEFT + _WIDE + 14}" y1="{y - 4}" x2="{_LEFT + _WIDE + 34}" y2="{y - 4}" stroke="{colour}" '
            f'stroke-width="2"{dash}/>'
        )
        parts.append(_text(_LEFT + _WIDE + 40, y, name))
    return parts


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 with noughts; 1 for nothing."""
    if value <= 0:
        return 1.0
    nought = 10.0 ** math.floor(math.log10(value))
    return next(step * nought for step in (1, 2, 5, 10) if value <= step * nought)


def _text(x: float, y: float, said: str, *, anchor: str = "start", weight: int = 400) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}"'
    return f"<text {where}>{escape(said)}</text>"


if __name__ == "__main__":
    measured, picture = map(Path, sys.argv[1:3])
    picture.write_text(drawing(json.loads(measured.read_text(encoding="utf-8"))), encoding="utf-8")
