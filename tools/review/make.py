"""Writes photos for a review: one HTML page that works offline, or tasks for Label Studio."""

from __future__ import annotations

import argparse
import json
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from inference.errors import ConfigurationError
from inference.resources.memory import return_freed_memory
from storage.query.plan import Filter
from storage.results.record import Status
from tools.account import open_account
from tools.export.destination import complete_file
from tools.query.filters import add_filters, read_filter
from tools.query.names import nothing_matches, understood
from tools.query.reviews import add_review_filters, reviewed_query
from tools.report.text import counted
from tools.report.thumbnails import MissingThumbnail, ThumbnailSize, open_thumbnailer
from tools.review.drawing import Terms, all_rows, draw, each_label
from tools.review.label_choices import LabelChoices
from tools.review.label_studio import write_tasks
from tools.review.page import ReviewPage

if TYPE_CHECKING:
    from tools.account import Account
    from tools.review.drawing import Draw

_PIXELS = (64, 4096)
_SEEDS = 1 << 32
MAX_PHOTOS = 5_000
"""On one page; browsers refuse texts of some hundred megabytes."""
_DEFAULT_PHOTOS = 500
_BYTES_PER_PIXEL = 0.5  # at most, of the square that a photo fits into; most photos take 0.1
_DEFAULT_OUTPUT = {"html": "review.html", "label-studio": "tasks.json"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write to FILE (review.html, or tasks.json for Label Studio)"
    )
    parser.add_argument("--format", choices=tuple(_DEFAULT_OUTPUT), default="html", help="what to write (html)")
    parser.add_argument(
        "--limit", type=count_of, metavar="N", help="draw at most N photos in total (500; with --per-label 5000)"
    )
    parser.add_argument("--per-label", type=count_of, metavar="N", help="draw at most N photos of each label")
    parser.add_argument(
        "--pixels", type=pixels_of, default=1024, metavar="N", help="longest side of a photo on the page (1024)"
    )
    parser.add_argument("--seed", type=seed_of, metavar="N", help="repeat the draw that printed this seed")
    parser.add_argument("--json", action="store_true", help="print the summary as a JSON line")
    add_filters(parser)
    add_review_filters(parser)
    parser.epilog = (
        "Photos are drawn at random. Without a filter they are a random sample of all classified photos, from which\n"
        "`trust` can estimate; with a filter they count as chosen, and the lowest score comes first.\n"
        "Exit 0: done. 1: storage failed for a photo, which is left out. 2: misuse.\n\n"
        "examples:\n"
        "  python -m tools review make --per-label 20 -o review.html\n"
        "  python -m tools review make --label fox --since 7d -o foxes.html\n"
        "  python -m tools review make --format label-studio -o tasks.json"
    )


def run(args: argparse.Namespace) -> int:
    """Write the page or the tasks, then the summary; 1 if storage failed for a photo."""
    args.limit = args.limit or (MAX_PHOTOS if args.per_label else _DEFAULT_PHOTOS)
    if args.format == "html" and args.limit > MAX_PHOTOS:
        raise ConfigurationError(f"--limit is {args.limit:,}, but a page holds at most {MAX_PHOTOS:,}: make several.")
    console = Console(stderr=True, highlight=False)
    started = time.monotonic()
    output = args.output or Path(_DEFAULT_OUTPUT[args.format])
    return_freed_memory()  # safe here: the process runs nothing else
    with complete_file(output) as path, open_account() as account, photo_progress(console) as progress:
        row_filter = understood(read_filter(args, account.settings.incoming_container), account)
        labels = LabelChoices()
        drawn = _draw(account, row_filter, labels, args, progress)
        if not drawn.records:
            _print_line(console, nothing_matches(account, row_filter))
        if (
            args.per_label
            and (requested := sum(min(args.per_label, rows) for rows in drawn.rows.values())) > args.limit
        ):
            console.print(
                f"--per-label {args.per_label:,} asks for {requested:,} photos: --limit {args.limit:,} leaves fewer."
            )
        page = new_page(account, drawn, labels, console)
        if args.format == "html":
            write_page(account, page, path, args.pixels, progress)
        else:
            write_tasks(path, page)
        size = path.stat().st_size
    summary = {
        "format": args.format,
        "path": str(output),
        "sample": drawn.sample,
        "seed": drawn.seed,
        "rows": sum(drawn.rows.values()),
        "photos": page.shown.total(),
        "left_out": dict(page.missing),
        "bytes": size,
    }
    if args.json:
        print(json.dumps({"event": "summary", **summary, "seconds": round(time.monotonic() - started, 3)}), flush=True)
    else:
        _print_line(console, _in_words(summary))
        print(output)
    return 1 if page.missing[MissingThumbnail.UNREACHABLE] else 0


def _draw(
    account: Account, row_filter: Filter, labels: LabelChoices, args: argparse.Namespace, progress: Progress
) -> Draw:
    # Only classified rows have a label, so --status classified takes none away.
    is_all = replace(row_filter, status=None) == Filter(row_filter.container) and args.selection is None
    is_random = is_all and row_filter.status in {None, Status.CLASSIFIED}
    # Without a filter the results table answers, which holds each image once.
    found = reviewed_query(account, Filter(row_filter.container) if is_random else row_filter, args.selection)
    records = found.query.records() if args.selection is None else (row.record for row in found.rows())
    seed = secrets.randbelow(_SEEDS) if args.seed is None else args.seed
    return draw(
        labels.seen_in(progress.track(records, description="Reading rows")),
        each_label if args.per_label else all_rows,
        Terms(args.limit, args.per_label, seed, is_random),
    )


def new_page(account: Account, drawn: Draw, labels: LabelChoices, console: Console) -> ReviewPage:
    """The page of a draw, which offers the labels of the app's models too. A model that cannot be read is reported."""
    for folder in account.settings.model_dirs if drawn.records else ():
        if problem := labels.add_model(folder):
            _print_line(console, problem)
    return ReviewPage(account.settings.incoming_container, datetime.now(UTC), drawn, labels.all())


def write_page(account: Account, page: ReviewPage, path: Path, pixels: int, progress: Progress) -> None:
    """Read the photos of a page from storage and write it.

    Args:
        account: The account of the photos.
        page: Counts the photos shown and those left out.
        path: Of the file.
        pixels: The longest side of a photo.
        progress: Shows how many photos are done.
    """
    size = ThumbnailSize(pixels, round(pixels * pixels * _BYTES_PER_PIXEL))
    records = page.draw.records
    pictures = open_thumbnailer(account, size).thumbnails(records)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        page.write(file, progress.track(pictures, description="Preparing photos", total=len(records)))


def photo_progress(console: Console) -> Progress:
    """Show progress on a terminal, and nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _print_line(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _in_words(summary: dict[str, Any]) -> str:
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in summary["left_out"].items())
    left_out = f", {sum(summary['left_out'].values()):,} left out ({reasons})" if reasons else ""
    how = f"a random sample of {summary['rows']:,}, seed {summary['seed']}"
    if summary["sample"] == "chosen":
        how = f"chosen by filters, of {summary['rows']:,} that match, seed {summary['seed']}"
    return f"{counted(summary['photos'], 'photo')}{left_out}; {how}; {summary['bytes'] / 1e6:.1f} MB."


def count_of(text: str) -> int:
    """Read the number of photos of an option."""
    return _whole(text, 1, 10_000_000, "a number of photos")


def pixels_of(text: str) -> int:
    """Read the longest side of a photo of an option."""
    return _whole(text, *_PIXELS, "a number of pixels")


def seed_of(text: str) -> int:
    """Read the seed of an option."""
    return _whole(text, 0, _SEEDS - 1, "a seed")


def _whole(text: str, lowest: int, highest: int, meaning: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and lowest <= int(text) <= highest):
        raise argparse.ArgumentTypeError(
            f"{text!r:.100} is not {meaning}: write a whole number from {lowest:,} to {highest:,}"
        )
    return int(text)
