"""Send images round again that were given up or rejected, or that got a label you doubt.

Without options, the failed ones. Rejected ones are judged anew: after a limit was raised, say.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from storage.pipeline.messages import batches
from storage.reconcile.redrive import Choice, chosen
from storage.results.record import Status
from tools.account import open_account
from tools.terminal import printable
from tools.times import moment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from storage.results.store import Results


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--status",
        choices=[str(Status.FAILED), str(Status.REJECTED)],
        help="which outcomes (failed; with --reason, both)",
    )
    parser.add_argument("--reason", metavar="CODE", help="only those with this reason, as too_many_pixels")
    parser.add_argument("--label", help="classified images with this label, instead")
    parser.add_argument("--since", type=moment, metavar="TIME", help="not older than 7d, 1h, 30m, or ISO 8601")
    parser.add_argument("--dry-run", action="store_true", help="show what would be sent, send nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; the summary comes last")
    parser.epilog = "example:\n  python -m tools redrive --status rejected --reason too_many_pixels --since 7d"


def run(args: argparse.Namespace) -> int:
    """Send the chosen images; 0 also when there were none."""
    if args.label is not None and (args.status or args.reason):
        raise ConfigurationError("--label chooses classified images, so it goes with neither --status nor --reason.")
    now = datetime.now(UTC)
    counts = {"found": 0, "enqueued": 0}
    with open_account() as account:
        container = account.settings.incoming_container
        choice = Choice(container, now, _statuses(args), args.reason, args.label, args.since)
        names = _told(account.stores.results, choice, counts, as_json=args.json)
        for request in batches(container, names, redo_before=now):
            if not args.dry_run:
                account.queue.send(request)
                counts["enqueued"] += len(request.blobs)
    if args.json:
        print(json.dumps({"event": "summary", **counts, "dry_run": args.dry_run}), flush=True)
    else:
        print(f"{counts['found']:,} found, {counts['enqueued']:,} sent to be classified again.")
    return 0


def _statuses(args: argparse.Namespace) -> tuple[Status, ...]:
    if args.status:
        return (Status(args.status),)
    return (Status.FAILED, Status.REJECTED) if args.reason else (Status.FAILED,)


def _told(results: Results, choice: Choice, counts: dict[str, int], *, as_json: bool) -> Iterator[str]:
    """Yield the names of the chosen images, each told as it is found."""
    for record in chosen(results, choice):
        counts["found"] += 1
        why = record.label if record.status is Status.CLASSIFIED else record.reason
        if as_json:
            told: dict[str, Any] = {"event": "found", "image": record.blob_name, "status": str(record.status)}
            print(json.dumps({**told, "label": record.label, "reason": record.reason}), flush=True)
        else:
            print(f"{record.status:<10} {printable(why or ''):<24} {printable(record.blob_name)}", flush=True)
        yield record.blob_name
