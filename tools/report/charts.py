"""Charts as inline SVG, each with its numbers as a table beside it.

The drawing is stretched to the width there is, so it holds no text: what is read stands around it, in the page's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.report.markup import Element, element

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEIGHT = 100
_WIDTH = 10  # of one bar and the gap after it, in units of the drawing
_BAR = 8.4
_LEAST = 1.5  # one image among thousands is still seen


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it stands for, its images, and how many of them ended badly."""

    name: str
    images: int
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Histogram:
    """A bar chart of counts.

    Attributes:
        title: What is shown.
        says: The one sentence a reader should take away; also the drawing's text alternative.
        unit: Heading of the first column of the table.
        bars: In order; at least one.
        marks: What stands below the drawing, evenly spread from its left end to its right.
    """

    title: str
    says: str
    unit: str
    bars: Sequence[Bar]
    marks: Sequence[str]

    def card(self) -> Element:
        """All of it: heading, sentence, drawing, axis, key, table."""
        figure = element(
            "figure",
            element("figcaption", element("h3", self.title), element("p", self.says)),
            element("p", f"{self._most():,}", class_="most", title="the highest bar"),
            self._drawing(),
            element("div", *(element("span", mark) for mark in self.marks), class_="axis", aria_hidden="true"),
            _key() if any(bar.bad for bar in self.bars) else None,
            element("details", element("summary", "The numbers"), self._table()),
        )
        return element("div", figure, class_="card")

    def _most(self) -> int:
        return max(bar.images for bar in self.bars)

    def _drawing(self) -> Element:
        most = max(1, self._most())
        drawn = element(
            "svg",
            viewBox=f"0 0 {len(self.bars) * _WIDTH} {_HEIGHT}",
            preserveAspectRatio="none",
            role="img",
            aria_label=f"{self.title}. {self.says}",
        )
        for number, bar in enumerate(self.bars):
            title = f"{bar.name}: {bar.images:,}" + (f", of them {bar.bad:,} rejected or failed" if bar.bad else "")
            column = element("g", element("title", title))
            bad = _scaled(bar.bad, most)
            whole = max(_scaled(bar.images, most), bad)
            column.append(_rect(number, 0, _HEIGHT, "hover"))
            column.append(_rect(number, bad, whole - bad, "bar"))
            column.append(_rect(number, 0, bad, "bad"))
            drawn.append(column)
        return drawn

    def _table(self) -> Element:
        with_bad = any(bar.bad for bar in self.bars)
        headings = [self.unit, "Images", *(["Rejected or failed"] if with_bad else [])]
        rows = [[bar.name, f"{bar.images:,}", *([f"{bar.bad:,}"] if with_bad else [])] for bar in self.bars]
        return table(headings, rows, caption=self.title)


def table(headings: Sequence[str], rows: Sequence[Sequence[str | Element]], *, caption: str) -> Element:
    """A table whose first column names its rows; wide ones scroll inside their own box."""
    made = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *(element("th", heading, scope="col") for heading in headings))),
        element(
            "tbody",
            *(
                element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]))
                for row in rows
            ),
        ),
    )
    return element("div", made, class_="scroll")


def share_bar(share: float) -> Element:
    """A bar inside a table cell, whose number stands beside it."""
    bar = element("rect", width=f"{max(share * 100, 0.4):.2f}", height="10", class_="bar")
    return element("svg", bar, viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true", class_="share")


def _key() -> Element:
    """What the two colours of a bar mean."""
    parts = []
    for kind, meaning in (("bar", "classified"), ("bad", "rejected or failed")):
        swatch = element("rect", width="10", height="10", class_=kind)
        parts.append(element("span", element("svg", swatch, viewBox="0 0 10 10", aria_hidden="true"), meaning))
    return element("p", *parts, class_="key")


def _scaled(images: int, most: int) -> float:
    return max(_LEAST, images / most * _HEIGHT) if images else 0.0


def _rect(number: int, bottom: float, height: float, kind: str) -> Element:
    return element(
        "rect",
        x=f"{number * _WIDTH + (_WIDTH - _BAR) / 2:.1f}",
        y=f"{_HEIGHT - bottom - height:.2f}",
        width=f"{_BAR}",
        height=f"{height:.2f}",
        class_=kind,
    )
