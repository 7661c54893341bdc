"""Prepares the contents of the page's sections for their templates."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.results.record import Status
from tools.report.charts import Bar, Histogram, periods, share_bar
from tools.report.summary import SCORE_BINS, percentile
from tools.report.text import counted, duration, percentage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.report.summary import Problem, Summary

_VISIBLE_LABELS = 12  # the others are folded away
_MAX_LABELS = 1_000
_MAX_REASONS = 50
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_LATENCY_EDGES_MS = (
    *(0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000),
    *(_MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 3 * _HOUR, 12 * _HOUR),
    *(_DAY, 3 * _DAY, 10 * _DAY, 30 * _DAY, 100 * _DAY, 1_000 * _DAY, 100_000 * _DAY),
)
_ADVICE = {
    Status.FAILED: (
        "Processing gave up after all retries, for a reason outside the image. To retry these images, run",
        "python -m tools redrive",
    ),
    Status.REJECTED: (
        "These files cannot be classified. Upload a corrected file, or raise the limit and run",
        "python -m tools redrive --status rejected",
    ),
}


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One row of the label table: texts, and the share bar as SVG."""

    name: str
    bar: str
    images: str
    share: str
    mean_score: str


@dataclass(frozen=True, slots=True)
class Labels:
    """The label table, most frequent labels first.

    Attributes:
        visible: Rows that are always shown.
        folded: Rows that unfold on demand.
        hidden: How many labels ``visible`` leaves out, listed or not.
        unlisted: How many labels are in neither list.
    """

    visible: Sequence[LabelRow]
    folded: Sequence[LabelRow]
    hidden: int
    unlisted: int


@dataclass(frozen=True, slots=True)
class ProblemGroup:
    """Rejected or failed images.

    Attributes:
        status: ``rejected`` or ``failed``.
        images: How many there are.
        advice: What the status means, up to the command.
        command: What to run.
        reasons: Most frequent first.
    """

    status: Status
    images: int
    advice: str
    command: str
    reasons: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class Latency:
    """One stage's times.

    Attributes:
        name: Of the stage.
        percentiles: 50 %, 90 %, 99 % and the maximum, as text.
        chart: Distribution.
    """

    name: str
    percentiles: Sequence[str]
    chart: Histogram


def labels(summary: Summary) -> Labels:
    """List up to 1,000 labels with their images, share and mean score."""
    ranked = sorted(summary.labels.items(), key=lambda item: (-item[1].images, item[0]))
    rows = [
        LabelRow(
            name,
            share_bar(label.images / ranked[0][1].images),
            f"{label.images:,}",
            percentage(label.images, summary.statuses[Status.CLASSIFIED]),
            f"{label.mean_score:.2f}",
        )
        for name, label in ranked[:_MAX_LABELS]
    ]
    hidden, unlisted = max(0, len(ranked) - _VISIBLE_LABELS), len(ranked) - len(rows)
    return Labels(rows[:_VISIBLE_LABELS], rows[_VISIBLE_LABELS:], hidden, unlisted)


def overview(summary: Summary) -> list[Histogram]:
    """Chart the scores and the images per period, as far as there are any."""
    charts = [_scores(summary)] if summary.labels else []
    return [*charts, _images_per_period(summary)] if summary.days else charts


def problems(summary: Summary) -> list[ProblemGroup]:
    """Group rejected and failed images by status and reason, up to 50 reasons per status."""
    ranked = sorted(summary.problems.values(), key=lambda problem: (-problem.images, problem.reason))
    groups = []
    for status, (advice, command) in _ADVICE.items():
        if reasons := [problem for problem in ranked if problem.status is status]:
            groups.append(ProblemGroup(status, summary.statuses[status], advice, command, reasons[:_MAX_REASONS]))
    return groups


def latencies(summary: Summary) -> list[Latency]:
    """Measure waiting and processing times, as far as images have any."""
    stages = [
        ("Waiting", "From the blob's last change to the start of processing", summary.queue_delays_ms),
        ("Processing", "From the start of processing to the first write to storage", summary.durations_ms),
    ]
    return [_latency(name, meaning, sorted(values)) for name, meaning, values in stages if values]


def _scores(summary: Summary) -> Histogram:
    images = sum(summary.scores)
    high, low = sum(summary.scores[SCORE_BINS * 9 // 10 :]), sum(summary.scores[: SCORE_BINS // 2])
    bars = [
        Bar(f"{number / SCORE_BINS:.2f} to {(number + 1) / SCORE_BINS:.2f}", images_in_bin)
        for number, images_in_bin in enumerate(summary.scores)
    ]
    shares = percentage(high, images), percentage(low, images)
    text = f"{high:,} ({shares[0]}) score 0.90 or more; {low:,} ({shares[1]}) score less than 0.50."
    return Histogram("Scores", text, "Score", bars, ["0", "0.25", "0.5", "0.75", "1"])


def _images_per_period(summary: Summary) -> Histogram:
    unit, bars = periods(summary.days)
    busiest = max(bars, key=lambda bar: bar.images)
    text = f"By time of classification; the busiest {unit} was {busiest.name} with {counted(busiest.images, 'image')}."
    ends = [bars[0].name] if len(bars) == 1 else [bars[0].name, bars[-1].name]
    return Histogram(f"Images per {unit}", text, unit.capitalize(), bars, ends)


def _latency(name: str, meaning: str, ordered: Sequence[int]) -> Latency:
    edges = _LATENCY_EDGES_MS
    bins = Counter(min(max(bisect_right(edges, value) - 1, 0), len(edges) - 2) for value in ordered)
    first, last = min(bins), max(bins)
    names = [duration(edge) for edge in edges]
    bars = [Bar(f"{names[number]} to {names[number + 1]}", bins[number]) for number in range(first, last + 1)]
    text = f"{meaning}; half of {counted(len(ordered), 'image')} within {duration(percentile(ordered, 0.5))}."
    chart = Histogram(name, text, "Time", bars, [names[first], names[last + 1]])
    return Latency(name, [duration(percentile(ordered, share)) for share in (0.5, 0.9, 0.99, 1.0)], chart)
