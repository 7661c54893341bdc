"""The parts of the page that are words, tables and charts: complete without a script."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from storage.results.record import Status
from tools.report.charts import Bar, Histogram, share_bar, table
from tools.report.markup import Element, element, shown
from tools.report.measures import counted, periods, share
from tools.report.summary import SCORE_BINS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tools.report.summary import Label, Problem, Summary

_FIRST_LABELS = 12
_MOST_LABELS = 1_000
_MOST_REASONS = 50
_MODELS = 3
_OPEN = 10  # a list of problems this short is shown unfolded
_FAILED = "Given up after every try, for reasons that lie outside the image. Send them round again: "
_REJECTED = (
    "Not to be classified as they are. A better file under the same name is judged anew; after a limit was raised: "
)
_PROBLEMS = {
    Status.FAILED: (_FAILED, "python -m tools redrive"),
    Status.REJECTED: (_REJECTED, "python -m tools redrive --status rejected"),
}


def masthead(summary: Summary, container: str, filters: Sequence[str], made: datetime) -> list[Element]:
    """Title, what was chosen, and the totals."""
    models = [f"{shown(name, 60)} ({shown(version, 20)})" for (name, version), _ in summary.models.most_common(_MODELS)]
    if len(summary.models) > _MODELS:
        models.append(f"{len(summary.models) - _MODELS:,} more")
    facts: list[str] = []
    if summary.first and summary.last:
        facts.append(f"Classified {_minute(summary.first)} to {_minute(summary.last)} by {', '.join(models)}.")
    chosen = "All images" if not filters else "Only " + ", ".join(shown(each, 120) for each in filters)
    facts.append(f"{chosen}. Report made {_minute(made)}; times are UTC.")
    return [
        element("p", "Image report", class_="eyebrow"),
        element("h1", f"{counted(summary.images, 'image')} in ", element("bdi", shown(container))),
        *(element("p", fact, class_="quiet") for fact in facts),
        _totals(summary),
    ]


def overview(summary: Summary) -> list[Element]:
    """Labels, scores and days."""
    parts = [_labels(summary), _scores(summary)] if summary.labels else []
    if summary.days:
        parts.append(_days(summary))
    return parts or [element("p", "Nothing was found.", class_="quiet")]


def problems(summary: Summary) -> list[Element]:
    """Rejected and failed images by reason; the most frequent first."""
    found = sorted(summary.problems.values(), key=lambda problem: (problem.status, -problem.images, problem.reason))
    if not found:
        return [element("p", "None of these.", class_="quiet")]
    parts = []
    for status, (meaning, command) in _PROBLEMS.items():
        reasons = [problem for problem in found if problem.status is status][:_MOST_REASONS]
        if reasons:
            parts.append(
                element(
                    "div",
                    element("h3", f"{str(status).capitalize()}: {counted(summary.statuses[status], 'image')}"),
                    element("p", meaning, element("code", command), class_="quiet"),
                    *(_reason(problem) for problem in reasons),
                    class_="card wide",
                )
            )
    return parts


def sampling(summary: Summary, images: int) -> list[Element]:
    """What the gallery shows of what was found."""
    classified = summary.statuses[Status.CLASSIFIED]
    if not classified:
        return [element("p", "No image was classified, so there is nothing to show.", class_="quiet")]
    if images == classified:
        return []
    says = (
        f"A sample: {images:,} of {classified:,} classified images, as evenly from each label as there are images. "
        "The numbers above count all of them."
    )
    return [element("p", says, class_="quiet")]


def _totals(summary: Summary) -> Element:
    tiles = []
    for status in Status:
        images = summary.statuses[status]
        kind = "total" if status is Status.CLASSIFIED or not images else "total problem"
        tiles.append(
            element(
                "div",
                element("dt", str(status).capitalize()),
                element("dd", element("strong", f"{images:,}"), " ", element("span", share(images, summary.images))),
                class_=kind,
            )
        )
    labels = element("dd", element("strong", f"{len(summary.labels):,}"))
    tiles.append(element("div", element("dt", "Labels"), labels, class_="total"))
    return element("dl", *tiles, class_="totals")


def _labels(summary: Summary) -> Element:
    ranked = sorted(summary.labels.items(), key=lambda item: (-item[1].images, item[0]))
    most = ranked[0][1].images
    listed = ranked[:_MOST_LABELS]
    parts: list[Element | None] = [
        element("h3", "Labels"),
        element("p", "How often each was given, and how surely. A label leads to its pictures."),
        _label_table(listed[:_FIRST_LABELS], most, summary, "Images by label"),
    ]
    if rest := listed[_FIRST_LABELS:]:
        summed = element("summary", f"{counted(len(ranked) - _FIRST_LABELS, 'more label')}")
        unlisted = len(ranked) - len(listed)
        left_out = element("p", f"{counted(unlisted, 'rare label')} not listed.") if unlisted else None
        parts.append(element("details", summed, _label_table(rest, most, summary, "Rarer labels"), left_out))
    return element("div", *parts, class_="card labels")


def _label_table(ranked: Sequence[tuple[str, Label]], most: int, summary: Summary, caption: str) -> Element:
    rows: list[list[str | Element]] = []
    for name, label in ranked:
        text = shown(name, 80)
        rows.append(
            [
                element("a", element("bdi", text), href="#gallery", data_label=text),
                share_bar(label.images / most),
                f"{label.images:,}",
                share(label.images, summary.statuses[Status.CLASSIFIED]),
                f"{label.mean_score:.2f}",
            ]
        )
    return table(["Label", "", "Images", "Share", "Mean score"], rows, caption=caption)


def _scores(summary: Summary) -> Element:
    images = sum(summary.scores)
    sure, unsure = sum(summary.scores[SCORE_BINS * 9 // 10 :]), sum(summary.scores[: SCORE_BINS // 2])
    bars = [
        Bar(f"{number / SCORE_BINS:.2f} to {(number + 1) / SCORE_BINS:.2f}", count)
        for number, count in enumerate(summary.scores)
    ]
    says = f"{sure:,} ({share(sure, images)}) score 0.90 or more; {unsure:,} ({share(unsure, images)}) less than 0.50."
    return Histogram("Scores", says, "Score", bars, ["0", "0.25", "0.5", "0.75", "1"]).card()


def _days(summary: Summary) -> Element:
    unit, bars = periods(summary.days)
    busiest = max(bars, key=lambda bar: bar.images)
    says = f"When they were classified; the busiest {unit} was {busiest.name} with {counted(busiest.images, 'image')}."
    ends = [bars[0].name] if len(bars) == 1 else [bars[0].name, bars[-1].name]
    return Histogram(f"Images per {unit}", says, unit.capitalize(), bars, ends).card()


def _reason(problem: Problem) -> Element:
    rows: list[list[str | Element]] = [
        [element("bdi", shown(record.blob_name)), shown(record.detail or ""), _minute(record.classified_at)]
        for record in problem.examples
    ]
    reason = shown(problem.reason, 60)
    summed = element("summary", element("strong", reason.replace("_", " ")), f" {counted(problem.images, 'image')}")
    more = None
    if problem.images > len(rows):
        more = element("p", f"The first {len(rows):,} of {problem.images:,} are listed.", class_="quiet")
    listed = table(["Image", "What is wrong", "When (UTC)"], rows, caption=f"{problem.status}: {reason}")
    unfolded = {"open": "open"} if problem.images <= _OPEN else {}
    return element("details", summed, listed, more, **unfolded)


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
