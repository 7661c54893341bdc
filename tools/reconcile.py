"""Queue images that have no row for their current content, and repair results that were only partly written.

Blobs, rows, sidecars and index rows are compared. The app classifies the queued images (queue classify-requests).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from storage.reconcile.reconcile import Reconciliation
from tools.account import no_container, open_account
from tools.terminal import fitted, printable

if TYPE_CHECKING:
    import argparse

    from storage.reconcile.findings import Finding, Summary

_MEANING = {
    "images": "in the container",
    "rows": "of these images",
    "missing": "images without a row",
    "stale": "images whose row is about an earlier content",
    "enqueued": "images queued to be classified",
    "repaired": "images whose sidecar or index rows were repaired",
    "index_removed": "index rows removed that no row has",
    "pruned": "deleted images whose results were removed",
    "tagged": "images whose index tags were written (TAG_IMAGES)",
    "notified": "results whose message was sent (NOTIFY_QUEUE)",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--prune", action="store_true", help="also remove the results of deleted blobs")
    parser.add_argument("--dry-run", action="store_true", help="find everything and change nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; the summary comes last")
    parser.epilog = "example:\n  python -m tools reconcile --prune --dry-run"


def run(args: argparse.Namespace) -> int:
    """Reconcile the incoming container; 0 when it ends, with or without findings."""
    with open_account() as account:
        summary = Reconciliation(
            account.stores,
            account.queue,
            account.settings.incoming_container,
            prune=args.prune,
            dry_run=args.dry_run,
            on_finding=_print_json if args.json else _print_line,
        ).run()
    if summary.coverage is None:
        print(no_container(account.settings.incoming_container), file=sys.stderr, flush=True)
    if args.json:
        print(json.dumps({"event": "summary", **summary.as_dict(), "dry_run": args.dry_run}), flush=True)
    else:
        _print_summary(summary, dry_run=args.dry_run)
    return 0


def _print_json(finding: Finding) -> None:
    print(json.dumps(finding._asdict()), flush=True)


def _print_line(finding: Finding) -> None:
    print(f"{finding.event:<14} {printable(finding.image)}", flush=True)


def _print_summary(summary: Summary, *, dry_run: bool) -> None:
    counts = summary.as_dict()
    for name, meaning in _MEANING.items():
        if name not in counts:
            continue
        print(fitted(f"{name:<14} {counts[name]:>10,}  {meaning}"))
    if summary.coverage is not None:
        # Rounded down: 100 % means that nothing is missing.
        percent = int(summary.coverage * 10_000) / 100
        print(fitted(f"{'coverage':<14} {percent:>8.2f} %  have a row for their current content"))
    if dry_run:
        print("Nothing was changed: this was a dry run.")
