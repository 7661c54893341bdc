"""Ask which images got which answer: by name, folder, label, score, time, status and model.

By image, folder, label, status or time the answer is a range of keys, however many rows there are; answers by label,
status or time come newest first. Only a score or a model alone makes the whole table be read. Rows appear as they come.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.query.query import Query
from tools.account import open_account
from tools.query.download import Downloads
from tools.query.filters import add_filters, read_filter
from tools.query.output import FORMATS

if TYPE_CHECKING:
    from tools.account import Account


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_filters(parser)
    parser.add_argument("--limit", type=_positive, metavar="N", help="stop after so many")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--format", choices=FORMATS, default="table", help="how to print rows (table)")
    shown.add_argument("--json", dest="format", action="store_const", const="jsonl", help="the same as --format jsonl")
    parser.add_argument("--count", action="store_true", help="print how many, instead of the rows")
    parser.add_argument(
        "--download", type=Path, metavar="DIR", help="fetch the images, too; again: only what is missing"
    )
    parser.add_argument(
        "--explain", action="store_true", help="say on stderr which keys answered, and in how many requests"
    )
    parser.epilog = (
        "A row is shown as it stands when it is read. --count may count a result that is half-written.\n"
        "Exit 0: answered, also when there is nothing. 1: --download could not fetch every image. 2: misuse.\n\n"
        "examples:\n"
        "  python -m tools query --label fox --min-score 0.8 --since 7d\n"
        "  python -m tools query --status rejected --format csv > rejected.csv\n"
        "  python -m tools query --folder 'site a/2026' --download photos"
    )


def run(args: argparse.Namespace) -> int:
    """Answer; 0 unless an image could not be downloaded."""
    if args.count and args.download:
        raise ConfigurationError("--count prints a number and --download fetches images: choose one of them.")
    with open_account() as account:
        settings = account.settings
        query = Query(account.clients.tables, settings.results_table, read_filter(args, settings.incoming_container))
        complete = True
        if args.count:
            count = query.count(args.limit)
            print(json.dumps({"count": count}) if args.format == "jsonl" else count, flush=True)
        else:
            complete = _answer(account, query, args)
    if args.explain:
        explained = {"kind": str(query.kind), "table": query.table, "requests": query.requests}
        print(json.dumps({"explain": explained}), file=sys.stderr)
    return 0 if complete else 1


def _answer(account: Account, query: Query, args: argparse.Namespace) -> bool:
    """Print the rows, and fetch their images where that is wanted; true if all are there."""
    output = FORMATS[args.format]()
    with ExitStack() as stack:
        downloads = None
        if args.download is not None:
            downloads = stack.enter_context(Downloads(account.clients.blobs, args.download, _say))
        output.begin()
        for record in query.records(args.limit):
            output.show(record)
            if downloads:
                downloads.add(record)
    if downloads is None:
        return True
    _say(downloads.summary())
    return downloads.complete


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no count: write a whole number from 1 on")
    return int(text)
