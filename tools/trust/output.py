"""Puts the statements about labels into sentences, or into JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from inference.predictions import UNKNOWN
from tools.terminal import fitted, printable
from tools.trust.intervals import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.trust.estimate import LabelTrust, Trust
    from tools.trust.intervals import Interval
    from tools.trust.reading import Findings, Model

_MAX_NAMES = 12  # of labels in one sentence
_LONGEST = 60  # characters of a label that are shown


def print_trust(model: Model, findings: Findings, trust: Trust, precision: float) -> None:
    """Print the statements about each label, the most frequent first; one idea on a line."""
    sampled = sum(each.reviewed for each in trust.labels)
    _print(
        f"Model {printable(model.name)} {printable(model.version)}: {findings.tally.images.total():,} photos, "
        f"{sampled:,} of them drawn at random and reviewed."
    )
    _print(f"Each range and each threshold holds with {percent(CONFIDENCE)} confidence, taken by itself.")
    if trust.overall is not None:
        labels = "All labels"
        if trust.covered < 1:
            labels = f"Labels with reviews, {percent(trust.covered)} of the photos"
        _print(f"{labels}: {_shares(trust.overall)} are right.")
    for each in trust.labels:
        if each.reviewed or (not each.images and each.corrected.estimate):
            print()
            _print_label(each, precision)
    print()
    for sentence in _remarks(findings, trust):
        _print(sentence)


def to_json(trust: Trust) -> dict[str, Any]:
    """The same as values: shares in [0, 1], numbers of photos as real numbers, ``None`` where nothing is stated."""
    return {
        "overall": trust.overall and {**trust.overall._asdict(), "covered": trust.covered},
        "labels": [
            {
                "label": each.label,
                "images": each.images,
                "reviewed": each.reviewed,
                "right": each.right,
                "unsure": each.unsure,
                "precision": each.precision and each.precision._asdict(),
                "threshold": each.promise and each.promise._asdict(),
                "more_reviews": each.more,
                "corrected": {name: round(value, 1) for name, value in each.corrected._asdict().items()},
            }
            for each in trust.labels
        ],
    }


def percent(share: float) -> str:
    """A share in [0, 1] with at most one decimal, rounded down: 100 % in place of 99.96 % would promise too much."""
    return f"{math.floor(share * 1000 + 1e-9) / 10:g} %"


def names(labels: list[str]) -> str:
    """Labels in one text, shortened and safe to print, with a number in place of those beyond the first dozen."""
    shown = ", ".join(map(_name, labels[:_MAX_NAMES]))
    return f"{shown} and {len(labels) - _MAX_NAMES:,} more" if len(labels) > _MAX_NAMES else shown


def _print_label(each: LabelTrust, precision: float) -> None:
    if not each.images:
        _print(f"{_name(each.label)}: no photo has this label, but reviewers gave it")
    else:
        _print(f"{_name(each.label)}: {each.images:,} photos, {each.reviewed:,} reviewed")
    if each.precision is not None:
        unsure = f", {each.unsure:,} unsure" if each.unsure else ""
        _print(f"  right: {_shares(each.precision)} ({each.right:,} of {each.reviewed:,}{unsure})")
        _print(f"  {_threshold(each, precision)}")
    if each.label == UNKNOWN:
        _print("  no label to trust; each counts for the label that a reviewer gave")
        return
    low, estimate, high = (round(number) for number in each.corrected)
    _print(f"  photos that really show it: about {estimate:,} ({low:,} to {high:,})")


def _threshold(each: LabelTrust, precision: float) -> str:
    if each.promise is not None:
        return (
            f"at {each.promise.threshold:g} or more at least {percent(precision)} are right; "
            f"{percent(each.promise.passing)} of them need no eyes"
        )
    if each.more is None:
        return f"no threshold reaches {percent(precision)}: not even its surest photos are right that often"
    if each.more == each.images - each.reviewed:
        rest = f"the other {each.more:,} photos" if each.more > 1 else "the last photo"
        return f"no threshold is proven for {percent(precision)} yet: review {rest} too"
    return f"no threshold is proven for {percent(precision)} yet: about {each.more:,} more random reviews are needed"


def _remarks(findings: Findings, trust: Trust) -> Iterator[str]:
    missing = [each for each in trust.labels if each.images and not each.reviewed and each.label != UNKNOWN]
    if missing:
        needed = sum(each.more or 0 for each in missing)
        yield (
            f"No random review of {names([each.label for each in missing])}: about {needed:,} are needed if all are "
            "right. Until then, the ranges of photos above allow for any label there. Draw: python -m tools trust draw"
        )
    if chosen := findings.chosen.total():
        yield (
            f"{chosen:,} photos were reviewed because people chose them. They say nothing about the others, so they do "
            "not count here."
        )
    if outdated := findings.outdated.total():
        yield f"{outdated:,} photos had another label or model when they were drawn, so they do not count here."
    if later := findings.classified_later:
        yield (
            f"{later:,} photos were classified after the day of the newest review. These numbers assume that they are "
            "like the others: draw again where they may differ."
        )


def _shares(found: Interval) -> str:
    if found.low == found.high:
        return f"{percent(found.estimate)}"
    high = f"{math.ceil(found.high * 1000 - 1e-9) / 10:g} %"
    return f"{round(found.estimate * 100, 1):g} % ({percent(found.low)} to {high})"


def _name(label: str) -> str:
    text = printable(label)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _print(line: str) -> None:
    print(fitted(line))
