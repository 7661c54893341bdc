"""Draws histograms and share bars as inline SVG.

The page stretches the drawings to the available width, so they contain no visible text: the template puts title, axis
and a table of the numbers around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tools.svg import Element, shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEIGHT = 100  # of a histogram, in SVG units
_SLOT_WIDTH, _BAR_WIDTH = 10, 8.4
_MIN_BAR_HEIGHT = 1.5  # keeps one image among thousands visible
_MIN_SHARE_WIDTH = 0.4  # of 100
_MAX_DAYS, _MAX_DAYS_BY_WEEK = 92, 2 * 366


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram.

    Attributes:
        name: Label of its interval.
        images: All images in the interval.
        bad: How many of them were rejected or failed.
    """

    name: str
    images: int
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Histogram:
    """A bar chart of image counts; ``charts.html`` lays it out.

    Attributes:
        title: Heading.
        summary: One sentence with the main result; also part of the drawing's text alternative.
        unit: Heading of the table's first column.
        bars: In order; at least one.
        marks: Axis labels, spread evenly from left to right.
    """

    title: str
    summary: str
    unit: str
    bars: Sequence[Bar]
    marks: Sequence[str]

    @property
    def highest(self) -> int:
        """Images of the highest bar."""
        return max(bar.images for bar in self.bars)

    @property
    def has_bad(self) -> bool:
        """Whether any bar contains rejected or failed images."""
        return any(bar.bad for bar in self.bars)

    @property
    def svg(self) -> str:
        """The drawing, serialised."""
        box = f"0 0 {len(self.bars) * _SLOT_WIDTH} {_HEIGHT}"
        columns = (self._column(number * _SLOT_WIDTH, bar) for number, bar in enumerate(self.bars))
        label = f"{self.title}. {self.summary}"
        return _serialise(shape("svg", *columns, viewBox=box, preserveAspectRatio="none", role="img", aria_label=label))

    def _column(self, left: float, bar: Bar) -> Element:
        title = f"{bar.name}: {bar.images:,}" + (f", of them {bar.bad:,} rejected or failed" if bar.bad else "")
        bad = self._scale(bar.bad)
        total = max(self._scale(bar.images), bad)
        return shape(
            "g",
            shape("title", title),
            _rect(left, 0, _HEIGHT, "hover"),
            _rect(left, bad, total - bad, "bar"),
            _rect(left, 0, bad, "bad"),
        )

    def _scale(self, images: int) -> float:
        return max(_MIN_BAR_HEIGHT, images / self.highest * _HEIGHT) if images else 0.0


def share_bar(share: float) -> str:
    """Draw a share in [0, 1] as a bar for a table cell; the number itself is in the next cell."""
    bar = shape("rect", width=max(share * 100, _MIN_SHARE_WIDTH), height=10, class_="bar")
    return _serialise(
        shape("svg", bar, viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true", class_="share")
    )


def swatch(css_class: str) -> str:
    """Draw a small square in the colour of a CSS class, for a chart's key."""
    square = shape("rect", width=10, height=10, class_=css_class)
    return _serialise(shape("svg", square, viewBox="0 0 10 10", aria_hidden="true"))


def periods(days: Mapping[date, tuple[int, int]]) -> tuple[str, list[Bar]]:
    """Group days into bars without gaps: by day up to 92 days, by week up to two years, else by month.

    Args:
        days: Per day, classified images, and rejected or failed images; not empty.

    Returns:
        The unit (``day``, ``week`` or ``month``), and its bars from the first day to the last.
    """
    first, last = min(days), max(days)
    span = (last - first).days + 1
    units = ((_MAX_DAYS, "day", _day), (_MAX_DAYS_BY_WEEK, "week", _week), (span, "month", _month))
    unit, start = next((unit, start) for limit, unit, start in units if span <= limit)
    every_day = (first + timedelta(days=number) for number in range(span))
    bars = []
    for begin, group in groupby(every_day, start):
        counts = [days.get(day, (0, 0)) for day in group]
        good, bad = sum(good for good, _ in counts), sum(bad for _, bad in counts)
        bars.append(Bar(f"{begin:%Y-%m}" if unit == "month" else begin.isoformat(), good + bad, bad))
    return unit, bars


def _day(day: date) -> date:
    return day


def _week(day: date) -> date:
    """The Monday of the week; the first days of year 1 have none before them."""
    return day - timedelta(days=min(day.weekday(), day.toordinal() - 1))


def _month(day: date) -> date:
    return day.replace(day=1)


def _rect(left: float, bottom: float, height: float, css_class: str) -> Element:
    return shape(
        "rect",
        x=left + (_SLOT_WIDTH - _BAR_WIDTH) / 2,
        y=_HEIGHT - bottom - height,
        width=_BAR_WIDTH,
        height=height,
        class_=css_class,
    )


def _serialise(svg: Element) -> str:
    return ET.tostring(svg, encoding="unicode", method="html")  # no self-closing tags inside HTML
