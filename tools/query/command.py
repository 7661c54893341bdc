"""Find results by image name, folder, label, score, time, time of capture, camera, status, reason, model and damage.

Image, folder, label, status, reason and times are looked up by key range, one request for each thousand rows; results
by label, status or time come newest first. A score, a model, a camera, --damaged, --duplicates, --like or --events
alone reads the whole table. Rows are printed as they are found; with --events all are read before the first event.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from itertools import islice, tee
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.query.events import DEFAULT_GAP, EventSorter
from tools.account import open_account
from tools.query.download import Downloads
from tools.query.events import add_events, check_events, events_of, print_events
from tools.query.filters import add_filters, read_filter
from tools.query.names import nothing_matches, understood
from tools.query.output import FORMATS
from tools.query.progress import RowProgress
from tools.query.reviews import add_review_filters, reviewed_query
from tools.query.similar import WithoutHash, add_similarity, added_column, equal_images, similar_images
from tools.terminal import fitted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.results.record import Record
    from storage.reviews.join import ReviewedRow
    from storage.reviews.query import ReviewedQuery
    from tools.account import Account


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_filters(parser)
    add_review_filters(parser)
    add_similarity(parser)
    add_events(parser)
    parser.add_argument("--limit", type=_positive, metavar="N", help="stop after N rows")
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--format", choices=FORMATS, default="table", help="how to print rows (table)")
    formats.add_argument("--json", dest="format", action="store_const", const="jsonl", help="same as --format jsonl")
    parser.add_argument("--count", action="store_true", help="print the number of rows instead of the rows")
    parser.add_argument(
        "--download",
        type=Path,
        metavar="DIR",
        help="download the images; re-running skips files already there. Each folder of these images costs one "
        "listing request for 5,000 names",
    )
    parser.add_argument(
        "--verify", action="store_true", help="confirm each answer of the index by its row, which costs more requests"
    )
    parser.add_argument(
        "--explain", action="store_true", help="print on stderr what the key range holds, and the number of requests"
    )
    parser.epilog = (
        "While a result is written, an answer by label, status or time may hold the earlier one, or both: --verify\n"
        "leaves out all that the results table does not confirm.\n"
        "Events are those of the selected images: --taken-since and --taken-until may cut the first and the last one.\n"
        "Exit 0: done, also without a match. 1: --download could not fetch every image. 2: misuse.\n\n"
        "examples:\n"
        "  python -m tools query --label fox --min-score 0.8 --since 7d\n"
        "  python -m tools query --status rejected --format csv > rejected.csv\n"
        "  python -m tools query --folder 'site a/2026' --download photos\n"
        "  python -m tools query --like 'site a/fox.jpg' --within 6\n"
        "  python -m tools query --events --gap 5m --taken-since 2026-05-01 --format csv > events.csv"
    )


def run(args: argparse.Namespace) -> int:
    """Answer the query; 0 unless an image could not be downloaded."""
    if args.count and args.download:
        raise ConfigurationError("--count prints a number and --download fetches images: choose one of them.")
    added_column(args)
    check_events(args)
    with open_account() as account:
        settings = account.settings
        row_filter = understood(read_filter(args, settings.incoming_container), account)
        query = reviewed_query(account, row_filter, args.selection, verify=args.verify)
        without_hash = WithoutHash()
        complete = True
        if args.events:
            count = _answer_events(query, args)
        elif args.count:
            count = _count(account, query, args, without_hash)
            _print_count(count, args)
        else:
            count, complete = _print_rows(account, query, args, without_hash)
        if not count:
            _print_message(nothing_matches(account, row_filter))
        if without_hash.message:
            _print_message(without_hash.message)
    if args.explain:
        explained = {
            "kind": str(query.kind),
            "table": query.table,
            "in_keys": query.in_keys,
            "compared": query.compared,
            "requests": query.requests,
            "review_requests": query.review_requests,
        }
        print(json.dumps({"explain": explained}), file=sys.stderr)
    return 0 if complete else 1


def _print_rows(
    account: Account, query: ReviewedQuery, args: argparse.Namespace, without_hash: WithoutHash
) -> tuple[int, bool]:
    """Print the rows, and download their images if requested; return their number, and whether all images are there."""
    output = FORMATS[args.format](added_column(args))
    count = 0
    with ExitStack() as stack:
        downloads = None
        if args.download is not None:
            downloads = stack.enter_context(
                Downloads(account.clients.blobs, account.stores.source, args.download, _print_message)
            )
        rows = _rows(account, query, args, without_hash)
        output.begin()
        for row, added in rows:
            output.show(row, added)
            count += 1
            if downloads:
                downloads.add(row.record)
    if downloads is None:
        return count, True
    _print_message(downloads.summary())
    return count, downloads.complete


def _answer_events(query: ReviewedQuery, args: argparse.Namespace) -> int:
    """Print the events, or their number; return 0 if there was no row."""
    with EventSorter(args.gap or DEFAULT_GAP) as sorter:
        with RowProgress(as_json=False, stage="read", only_live=True) as progress:
            found = events_of(progress.counted(query.rows()), sorter)
        events = islice(found, args.limit)
        if args.count:
            count = sum(1 for _ in events)
            _print_count(count, args)
        else:
            count = print_events(events, args.format)
        if sorter.without_time:
            subject = "1 image has" if sorter.without_time == 1 else f"{sorter.without_time:,} images have"
            _print_message(f"{subject} no capture time, so no event.")
    return count + sorter.without_time


def _print_count(count: int, args: argparse.Namespace) -> None:
    print(json.dumps({"count": count}) if args.format == "jsonl" else count, flush=True)


def _count(account: Account, query: ReviewedQuery, args: argparse.Namespace, without_hash: WithoutHash) -> int:
    if added_column(args) or args.selection:
        return sum(1 for _ in _rows(account, query, args, without_hash))
    return query.query.count(args.limit)


def _rows(
    account: Account, query: ReviewedQuery, args: argparse.Namespace, without_hash: WithoutHash
) -> Iterator[tuple[ReviewedRow, int | None]]:
    """The rows to print, each with the value of the column that --duplicates or --like adds."""
    found: Iterable[tuple[Record, int]]
    if args.duplicates:
        found = equal_images(query.query, without_hash)
    elif args.like is not None:
        found = similar_images(account, query.query, args.like, args.within, without_hash)
    else:
        return ((row, None) for row in query.rows(args.limit))
    records, values = tee(found)
    rows = zip(query.joined(record for record, _ in records), (value for _, value in values), strict=True)
    return islice((each for each in rows if query.selects(each[0])), args.limit)


def _print_message(text: str) -> None:
    print(fitted(text, sys.stderr), file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a count: write a whole number of at least 1")
    return int(text)
