"""How long images waited, and how long the work on one took."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING

from tools.report.charts import Bar, Histogram, table
from tools.report.markup import Element, element
from tools.report.measures import counted, lasting
from tools.report.summary import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.report.summary import Summary

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_EDGES_MS = (
    *(0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000),
    *(_MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 3 * _HOUR, 12 * _HOUR),
    *(_DAY, 3 * _DAY, 10 * _DAY, 30 * _DAY, 100 * _DAY, 1_000 * _DAY, 100_000 * _DAY),
)


def speed(summary: Summary) -> list[Element]:
    """Percentiles of both stages, and how each is spread."""
    stages = [
        ("Waiting", "From the blob's last change to the start of work on it", summary.queue_delays_ms),
        ("Work", "From the start of work to the first result: reading, decoding, the model", summary.durations_ms),
    ]
    measured = [(name, meaning, sorted(values)) for name, meaning, values in stages if values]
    if not measured:
        return [element("p", "No image has a measured time.", class_="quiet")]
    rows: list[list[str | Element]] = [
        [name, *(lasting(percentile(values, part)) for part in (0.5, 0.9, 0.99, 1.0))] for name, _, values in measured
    ]
    headings = ["", "Half within", "90 % within", "99 % within", "Longest"]
    return [
        element("div", table(headings, rows, caption="How long it took"), class_="card wide"),
        *(_latencies(name, meaning, values) for name, meaning, values in measured),
    ]


def _latencies(name: str, meaning: str, ordered: Sequence[int]) -> Element:
    bins = Counter(min(max(bisect_right(_EDGES_MS, value) - 1, 0), len(_EDGES_MS) - 2) for value in ordered)
    first, last = min(bins), max(bins)
    names = [lasting(edge) for edge in _EDGES_MS]
    bars = [Bar(f"{names[number]} to {names[number + 1]}", bins[number]) for number in range(first, last + 1)]
    says = f"{meaning}; half of {counted(len(ordered), 'image')} within {lasting(percentile(ordered, 0.5))}."
    return Histogram(name, says, "Time", bars, [names[first], names[last + 1]]).card()
