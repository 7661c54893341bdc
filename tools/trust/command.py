"""States how far to trust each label, from reviews of a random sample.

For each label: the share of right labels, the score from which on enough of them are right, and how many photos really
show it. ``trust draw`` makes the review page of a random sample.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from storage.query.plan import Filter
from tools.account import open_account
from tools.query.names import nothing_matches
from tools.query.progress import RowProgress
from tools.terminal import fitted
from tools.trust import drawing
from tools.trust.decision import write_thresholds
from tools.trust.estimate import estimate
from tools.trust.intervals import CONFIDENCE, reviews_needed
from tools.trust.output import names, percent, print_trust, to_json
from tools.trust.reading import choose_model, read_findings, rows_with_reviews

if TYPE_CHECKING:
    from tools.account import Account
    from tools.trust.estimate import Trust
    from tools.trust.reading import Findings, Model


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--precision",
        type=_precision,
        default=0.95,
        metavar="SHARE",
        help="find the score from which on at least this share is right (0.95)",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="trust the labels of this model, by name or version (the one with most rows)"
    )
    parser.add_argument(
        "--write-decision", type=Path, metavar="FILE", help="write the thresholds to a decision.json, new or existing"
    )
    parser.add_argument("--json", action="store_true", help="print progress and summary as JSON lines")
    commands = parser.add_subparsers(dest="trust_command", title="subcommand", metavar="[draw]")
    summary = "make the review page of a random sample, stratified by label and score"
    draw = commands.add_parser(
        "draw",
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    drawing.configure(draw)
    parser.epilog = (
        "Only a random sample can speak for photos that no person has seen. Reviews of photos that people chose, and\n"
        "reviews of another label or model than the row's, do not count. A reviewer who is unsure confirms nothing.\n"
        "It needs one more library: pip install -r requirements-trust.txt\n"
        "Exit 0: done. 1: no random sample, so nothing can be stated, or no threshold for --write-decision.\n"
        "2: misuse.\n\n"
        "examples:\n"
        "  python -m tools trust draw -o review.html\n"
        "  python -m tools trust\n"
        "  python -m tools trust --precision 0.99 --write-decision decision.json"
    )


def run(args: argparse.Namespace) -> int:
    """Print the statements, and write the thresholds if requested."""
    if args.trust_command == "draw":
        return drawing.run(args)
    reviews_needed(args.precision, 0)  # a missing library is reported before the rows are read
    with open_account() as account, RowProgress(as_json=args.json) as progress:
        model, findings = _read(account, args.model, progress)
        if findings is None:
            _message(nothing_matches(account, Filter(account.settings.incoming_container)))
    trust = None if findings is None else estimate(findings.tally, args.precision)
    stated = trust is not None and trust.overall is not None
    if args.json:
        _print_json(args.precision, model, findings, trust, progress.seconds)
    elif model and findings and trust and stated:
        print_trust(model, findings, trust, args.precision)
    if findings is not None and not stated:
        _message(_no_sample(findings, args.precision))
    if args.write_decision is not None:
        return 0 if trust is not None and stated and _write(args.write_decision, trust, args.precision) else 1
    return 0 if stated or findings is None else 1


def _read(account: Account, requested: str | None, progress: RowProgress) -> tuple[Model | None, Findings | None]:
    """The chosen model and its rows; nothing where there is no classified row."""
    found = read_findings(rows_with_reviews(account, progress.counted))
    images = {model: findings.tally.images.total() for model, findings in found.items()}
    model = choose_model(images, requested)
    if model is None:
        return None, None
    if others := sum(images.values()) - images[model]:
        progress.report(
            f"{others:,} photos were classified by another model, so they do not count: choose it with --model."
        )
    return model, found[model]


def _no_sample(findings: Findings, precision: float) -> str:
    needed = reviews_needed(precision, 0)
    reviewed = findings.chosen.total() + findings.outdated.total()
    why = "No photo has been reviewed."
    if findings.chosen:
        why = f"People chose the {findings.chosen.total():,} reviewed photos, so nothing follows for the others."
    elif reviewed:
        why = f"All {reviewed:,} reviewed photos had another label or model when they were drawn."
    return (
        f"{why} Draw a random sample with `python -m tools trust draw`: a label needs at least {needed:,} reviews for "
        f"{percent(precision)}, if all of them are right, or a review of each of its photos."
    )


def _write(path: Path, trust: Trust, precision: float) -> bool:
    """Write the thresholds; false where none is proven."""
    proven = {each.label: each.promise.threshold for each in trust.labels if each.promise is not None}
    without = [each.label for each in trust.labels if each.precision is not None and each.promise is None]
    if not proven:
        _message(f"No threshold is proven for {percent(precision)}: {path} is not written.")
        return False
    write_thresholds(path, proven)
    kept = f" Without a proven threshold, unchanged: {names(without)}." if without else ""
    _message(f"{path} holds the thresholds of {names(list(proven))}.{kept}")
    return True


def _print_json(
    precision: float, model: Model | None, findings: Findings | None, trust: Trust | None, seconds: float
) -> None:
    sample = findings and {
        "random": sum(map(len, findings.tally.reviews.values())),
        "chosen": findings.chosen.total(),
        "outdated": findings.outdated.total(),
    }
    summary = {
        "event": "summary",
        "model": model and model.name,
        "model_version": model and model.version,
        "images": findings.tally.images.total() if findings else 0,
        "classified_later": findings.classified_later if findings else 0,
        "precision": precision,
        "confidence": CONFIDENCE,
        "sample": sample,
        **(to_json(trust) if trust else {"overall": None, "labels": []}),
        "seconds": round(seconds, 3),
    }
    print(json.dumps(summary), flush=True)


def _message(text: str) -> None:
    print(fitted(text, sys.stderr), file=sys.stderr, flush=True)


def _precision(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.5 <= share <= 0.9999:
        raise argparse.ArgumentTypeError(
            f"{text!r:.40} is no precision: write a share from 0.5 to 0.9999, such as 0.95"
        )
    return share
