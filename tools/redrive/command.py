"""Queue images again that failed or were rejected, or that have a label you doubt, or messages of a queue.

Without options: the failed ones. Choose --status rejected after you raised a limit, for example.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.pipeline.messages import batches
from storage.query.plan import Filter
from storage.query.query import Query
from storage.results.record import Status
from tools.account import open_account
from tools.redrive.messages import Options, redrive_messages
from tools.terminal import fitted, printable
from tools.times import parse_time

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from storage.pipeline.messages import Request
    from storage.results.record import Record
    from tools.account import Account


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "--status",
        choices=[str(Status.FAILED), str(Status.REJECTED)],
        help="only images with this status (failed; with --reason, both)",
    )
    parser.add_argument("--reason", metavar="CODE", help="only images with this reason, such as too_many_pixels")
    parser.add_argument("--label", help="classified images with this label, instead")
    parser.add_argument(
        "--damaged", action="store_true", help="classified images of which only a part could be decoded, instead"
    )
    parser.add_argument(
        "--since",
        type=parse_time,
        metavar="TIME",
        help="only outcomes of this time or later: 7d, 1h, 30m (ago), or ISO 8601",
    )
    parser.add_argument(
        "--queue",
        metavar="NAME",
        help="instead: the visible messages of this queue, such as classify-requests-refused; queues those that can be "
        "read, lists the others",
    )
    parser.add_argument("--delete", action="store_true", help="with --queue: delete the messages that cannot be read")
    parser.add_argument("--dry-run", action="store_true", help="print the images or messages and change nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; the summary comes last")
    parser.epilog = (
        "examples:\n  python -m tools redrive --status rejected --reason too_many_pixels --since 7d\n"
        "  python -m tools redrive --queue classify-requests-refused --delete"
    )


def run(args: argparse.Namespace) -> int:
    """Queue the chosen images; 0 also when there are none."""
    if (args.label is not None or args.damaged) and (args.status or args.reason):
        raise ConfigurationError(
            "--label and --damaged select classified images, so they cannot be combined with --status or --reason."
        )
    if args.delete and not args.queue:
        raise ConfigurationError("--delete deletes messages: it needs --queue.")
    if args.queue:
        return _redrive_queue(args)
    now = datetime.now(UTC)
    counts = {"found": 0, "enqueued": 0}
    with open_account() as account:
        records = _counted(_chosen(account, args, now), counts, as_json=args.json)
        for request in _requests(account.settings.incoming_container, records, now):
            if not args.dry_run:
                account.queue.send(request)
                counts["enqueued"] += len(request.blobs)
    if args.json:
        print(json.dumps({"event": "summary", **counts, "dry_run": args.dry_run}), flush=True)
    else:
        print(fitted(f"{counts['found']:,} found, {counts['enqueued']:,} queued to be classified again."))
    return 0


def _redrive_queue(args: argparse.Namespace) -> int:
    if args.status or args.reason or args.since or args.label is not None or args.damaged:
        raise ConfigurationError("--queue selects messages, so it cannot be combined with a selection of images.")
    with open_account() as account:
        counts = redrive_messages(account, args.queue, Options(args.delete, args.dry_run, args.json))
    if args.json:
        print(json.dumps({"event": "summary", **counts, "dry_run": args.dry_run}), flush=True)
    else:
        found, kept = f"{counts['found']:,} found", f"{counts['kept']:,} kept"
        print(fitted(f"{found}, {counts['enqueued']:,} queued, {counts['deleted']:,} deleted, {kept}."))
    return 0


def _chosen(account: Account, args: argparse.Namespace, now: datetime) -> Iterator[Record]:
    """Yield the chosen outcomes, newest first for each status. ``now`` excludes outcomes of the images being queued."""
    container = account.settings.incoming_container
    if args.label is not None or args.damaged:
        filters = [Filter(container, label=args.label, since=args.since, until=now, damaged=args.damaged)]
    else:
        statuses = [Status.FAILED, Status.REJECTED] if args.reason else [Status.FAILED]
        filters = [
            Filter(container, status=status, reason=args.reason, since=args.since, until=now)
            for status in ([Status(args.status)] if args.status else statuses)
        ]
    for row_filter in filters:
        yield from Query(account.clients.tables, account.settings.results_table, row_filter).records()


def _requests(container: str, records: Iterator[Record], now: datetime) -> Iterator[Request]:
    """Yield the requests: a failed image alone, for it may be the one that ended the worker; others together."""
    for has_failed, group in groupby(records, lambda record: record.status is Status.FAILED):
        for request in batches(container, (record.blob_name for record in group), redo_before=now):
            yield from request.one_by_one() if has_failed else (request,)


def _counted(records: Iterator[Record], counts: dict[str, int], *, as_json: bool) -> Iterator[Record]:
    """Yield the records; count and print each one."""
    for record in records:
        counts["found"] += 1
        reason = record.label if record.status is Status.CLASSIFIED else record.reason
        if as_json:
            found = {"event": "found", "image": record.blob_name, "status": str(record.status)}
            print(json.dumps({**found, "label": record.label, "reason": record.reason}), flush=True)
        else:
            print(f"{record.status:<10} {printable(reason or ''):<24} {printable(record.blob_name)}", flush=True)
        yield record
