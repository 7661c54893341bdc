"""Compares the statements of ``trust`` with the truth, on fresh renders whose truth is known.

    python -m tools.maintainer.shapes.trust --count 2000 --per-label 80

The photographs are those of ``evaluate``. A random sample of them is drawn as ``trust draw`` draws it, and a reviewer
who never errs answers. Each line compares a statement about all photographs with their truth.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from storage.results.record import Record, Status
from tools.maintainer.shapes.evaluate import Answer, evaluate
from tools.trust.estimate import LabelTrust, estimate
from tools.trust.sampling import draw
from tools.trust.tally import Review, Tally

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Print statements and truth, by label and over all."""
    parser = argparse.ArgumentParser(description="Compare the statements of trust with the truth.")
    parser.add_argument("--count", type=int, default=2000, help="number of photographs (default: %(default)s)")
    parser.add_argument("--per-label", type=int, default=80, help="reviews of each label (default: %(default)s)")
    parser.add_argument("--precision", type=float, default=0.95, help="to be reached (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (default: %(default)s)")
    arguments = parser.parse_args()
    answers = evaluate(arguments.count)
    tally = _reviewed(answers, arguments.per_label, arguments.seed)
    trust = estimate(tally, arguments.precision)
    correct = sum(answer.truth == answer.label for answer in answers) / len(answers)
    sampled = sum(map(len, tally.reviews.values()))
    print(f"{len(answers):,} photographs, {sampled:,} reviewed, {arguments.precision:.0%} requested")
    if trust.overall:
        print(f"all: {trust.overall.low:.3f} to {trust.overall.high:.3f}, truly {correct:.3f}")
    print("label       right, stated   truly  threshold  passing  truly  really, stated  truly")
    for each in trust.labels:
        print(_line(each, answers))


def _reviewed(answers: list[Answer], per_label: int, seed: int) -> Tally:
    tally, truth, records = Tally(), {}, []
    for number, answer in enumerate(answers):
        tally.add(answer.label, answer.score)
        truth[str(number)] = answer.truth
        record = Record(
            container="renders",
            blob_name=str(number),
            status=Status.CLASSIFIED,
            label=answer.label,
            score=answer.score,
            classified_at=_MOMENT,
            model="shapes",
            model_version="",
            etag="",
            sidecar="",
        )
        records.append(record)
    for record in draw(records, per_label, seed).records:
        tally.add_review(Review(str(record.label), record.score or 0.0, truth[record.blob_name]))
    return tally


def _line(each: LabelTrust, answers: list[Answer]) -> str:
    labelled = [answer for answer in answers if answer.label == each.label]
    stated = "-" if each.precision is None else f"{each.precision.low:.3f} to {each.precision.high:.3f}"
    threshold = each.promise.threshold if each.promise else 1.0
    above = [answer for answer in labelled if answer.score >= threshold]
    promised = (
        f"{threshold:9g}  {each.promise.passing:7.1%}  {_right(above):5.3f}" if each.promise else f"{'-':>9}" + 16 * " "
    )
    count = sum(answer.truth == each.label for answer in answers)
    really = f"{each.corrected.low:.0f} to {each.corrected.high:.0f}"
    return f"{each.label:10}  {stated:14}  {_right(labelled):5.3f}  {promised}  {really:>14}  {count:5}"


def _right(answers: list[Answer]) -> float:
    return sum(answer.truth == answer.label for answer in answers) / len(answers)


if __name__ == "__main__":
    main()
