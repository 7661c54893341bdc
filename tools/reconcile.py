"""Find images that got lost on their way to a row, and mend results that are half-written.

The container and its results are compared side by side; what has no row for its current content goes on
classify-requests, where the app takes it up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from storage.reconcile.reconcile import Finding, Reconciliation, Summary
from tools.account import open_account
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

_MEANING = {
    "images": "in the container",
    "rows": "about them",
    "missing": "images without a row",
    "stale": "images whose row is about an earlier content",
    "enqueued": "sent to be classified",
    "repaired": "images whose sidecar or index rows were mended",
    "index_removed": "index rows removed that nothing stood behind",
    "pruned": "images whose results were removed, their blobs being gone",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--prune", action="store_true", help="also remove the results of blobs that are gone")
    parser.add_argument("--dry-run", action="store_true", help="find everything, change nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; the summary comes last")
    parser.epilog = "example:\n  python -m tools reconcile --prune --dry-run"


def run(args: argparse.Namespace) -> int:
    """Reconcile the incoming container; 0 when it was done, whatever was found."""
    with open_account() as account:
        summary = Reconciliation(
            account.stores,
            account.queue,
            account.settings.incoming_container,
            prune=args.prune,
            dry_run=args.dry_run,
            on_finding=_tell_json if args.json else _tell_person,
        ).run()
    if args.json:
        print(json.dumps({"event": "summary", **summary.as_dict(), "dry_run": args.dry_run}), flush=True)
    else:
        _show(summary, dry_run=args.dry_run)
    return 0


def _tell_json(finding: Finding) -> None:
    print(json.dumps(finding._asdict()), flush=True)


def _tell_person(finding: Finding) -> None:
    print(f"{finding.event:<14} {printable(finding.image)}", flush=True)


def _show(summary: Summary, *, dry_run: bool) -> None:
    counts = summary.as_dict()
    for name, meaning in _MEANING.items():
        print(f"{name:<14} {counts[name]:>10,}  {meaning}")
    # Rounded down: 100 % is said only when nothing is missing.
    print(f"{'coverage':<14} {int(summary.coverage * 10_000) / 100:>8.2f} %  have a row for their current content")
    if dry_run:
        print("Nothing was changed: this was a dry run.")
