"""Writes results as one HTML page with charts and thumbnails.

The page needs only a browser: no network, no server. Its numbers count all images that match the filters; the gallery
shows thumbnails of up to 10,000 of them, sampled evenly per label, and states when it leaves images out.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from inference.errors import ConfigurationError
from inference.resources.memory import return_freed_memory
from storage.results.record import Status
from storage.reviews.query import Selection
from tools.account import open_account
from tools.query.filters import add_filters, read_filter
from tools.query.names import nothing_matches, understood
from tools.query.reviews import add_review_filters, reviewed_query
from tools.report.compare.comparison import compare
from tools.report.compare.section import with_pictures
from tools.report.compare.sources import check_table, of_answers, of_tables
from tools.report.drift.section import ChangePhotos, drift
from tools.report.drift.tally import Tally
from tools.report.gallery import MAX_IMAGES, MAX_THUMBNAIL_BYTES, Gallery
from tools.report.page import Report
from tools.report.reviewed import ReviewSums, data_uri
from tools.report.sampling import EvenSample, by_label
from tools.report.summary import Summary
from tools.report.text import counted
from tools.report.thumbnails import MissingThumbnail, ThumbnailSize, open_thumbnailer, size_within

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from storage.query.plan import Filter
    from storage.results.record import Image, Record
    from storage.reviews.join import ReviewedRow
    from tools.account import Account
    from tools.report.drift.section import Drift


_SELECTIONS = {
    Selection.REVIEWED: "reviewed images",
    Selection.UNREVIEWED: "images without a review",
    Selection.DISAGREE: "images on which reviewers and model, or several reviewers, differ",
}
_OF_EXAMPLES = ThumbnailSize(256, 20_000)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_filters(parser)
    add_review_filters(parser)
    parser.add_argument(
        "--compare",
        nargs="?",
        const="",
        metavar="TABLE",
        help="compare several models or a candidate of the app, or its results with those in another results table",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="write to FILE (report.html)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as a JSON line")
    parser.epilog = (
        "examples:\n"
        "  python -m tools report --since 7d -o week.html\n"
        "  python -m tools report --compare candidateresults -o models.html"
    )


def run(args: argparse.Namespace) -> int:
    """Write the page and print its path; return 0, also when no image was found."""
    console = Console(stderr=True, highlight=False)
    return_freed_memory()  # safe here: the process runs nothing else
    with _atomic_file(args.output) as file, open_account() as account, _progress(console) as progress:
        created_at = datetime.now(UTC)
        query_filter = understood(read_filter(args, account.settings.incoming_container), account)
        if args.compare:
            check_table(account.clients.tables, args.compare, account.settings.results_table)
        summary, sample, reviewed, tally = Summary(), EvenSample(MAX_IMAGES, by_label), ReviewSums(), Tally()
        reading = progress.add_task("Reading rows", total=None)

        def rows() -> Iterator[ReviewedRow]:
            for row in reviewed_query(account, query_filter, args.selection).rows():
                summary.add(row.record)
                reviewed.add(row)
                if row.record.status is Status.CLASSIFIED:
                    sample.add(row.record)
                    tally.add(row.record)
                progress.advance(reading)
                yield row

        tables = account.clients.tables
        comparisons = compare(of_tables(rows(), tables, args.compare) if args.compare else of_answers(rows()))
        progress.update(reading, total=summary.images)
        if not summary.images:
            console.print(nothing_matches(account, query_filter), soft_wrap=True)
        gallery = Gallery(sample.records())
        thumbnail_size = size_within(MAX_THUMBNAIL_BYTES, len(gallery.records))
        made = open_thumbnailer(account, thumbnail_size).thumbnails(gallery.records)
        thumbnails = list(progress.track(made, description="Making thumbnails", total=len(gallery.records)))
        differing = [row.record for row in reviewed.differing]
        reviewed.pictures = list(map(data_uri, open_thumbnailer(account, _OF_EXAMPLES).thumbnails(differing)))
        again = reviewed_query(account, query_filter, args.selection).rows()
        weeks = _weeks(account, tally, progress.track(again, description="Weeks"))
        compared = None
        if args.compare is not None:
            showing = {pair.row.record.image: pair.row.record for each in comparisons for pair in each.differing}
            compared = with_pictures(comparisons, _pictures(account, list(showing.values())))
        words = _in_words(query_filter, args.selection)
        shown_weeks = weeks if sample.rows else None
        report = Report(query_filter.container, words, created_at, summary, gallery, reviewed, shown_weeks, compared)
        file.write_text(report.render(thumbnails), encoding="utf-8")
        size = file.stat().st_size
    missing = Counter(str(each) for each in thumbnails if isinstance(each, MissingThumbnail))
    if args.json:
        numbers = {"images": summary.images, "pictures": len(thumbnails), "without_thumbnail": dict(missing)}
        models = None if args.compare is None else [comparison.to_json() for comparison in comparisons]
        print(json.dumps({"event": "summary", "path": str(args.output), **numbers, "bytes": size, "compared": models}))
        return 0
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in missing.most_common())
    without = f", {missing.total():,} without a thumbnail ({reasons})" if missing else ""
    console.print(
        f"{counted(summary.images, 'image')}, {len(thumbnails):,} in the gallery{without}, {size / 1e6:.1f} MB.",
        soft_wrap=True,
    )
    print(args.output)
    return 0


def _weeks(account: Account, tally: Tally, rows: Iterable[ReviewedRow]) -> Drift:
    """The section about weeks; the rows are read again only where a change needs photos."""
    changes = ChangePhotos(tally)
    if changes.found:
        for row in rows:
            if row.record.status is Status.CLASSIFIED:
                changes.add(row.record)
    return drift(tally, changes, _pictures(account, changes.records()))


def _pictures(account: Account, records: Sequence[Record]) -> dict[Image, str]:
    """The picture of each record as a data URI, or the reason that there is none."""
    thumbnails = open_thumbnailer(account, _OF_EXAMPLES).thumbnails(records)
    return {record.image: data_uri(each) for record, each in zip(records, thumbnails, strict=True)}


def _in_words(query_filter: Filter, selection: Selection | None) -> list[str]:
    """Describe each condition of filter and selection for the page."""
    conditions = {
        "image": query_filter.image,
        "folder": query_filter.folder,
        "label": query_filter.label,
        "score from": None if query_filter.min_score is None else f"{query_filter.min_score:g}",
        "since": query_filter.since and f"{query_filter.since:%Y-%m-%d %H:%M}",
        "before": query_filter.until and f"{query_filter.until:%Y-%m-%d %H:%M}",
        "captured since": query_filter.taken_since and f"{query_filter.taken_since:%Y-%m-%d %H:%M}",
        "captured before": query_filter.taken_until and f"{query_filter.taken_until:%Y-%m-%d %H:%M}",
        "camera": query_filter.camera,
        "status": query_filter.status,
        "reason": query_filter.reason,
        "model": query_filter.model,
    }
    words = [f"{name} {value}" for name, value in conditions.items() if value is not None]
    words += [] if selection is None else [_SELECTIONS[selection]]
    return [*words, "damaged pictures"] if query_filter.damaged else words


def _progress(console: Console) -> Progress:
    """Show progress on a terminal, and nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def _atomic_file(target: Path) -> Iterator[Path]:
    """Yield a file beside the target, and move it to the target if the block succeeds.

    The file is created before the block runs, so that a bad path is reported before any work is done.

    Raises:
        ConfigurationError: The target cannot be written.
    """
    if target.is_dir():
        raise ConfigurationError(f"{target} is a folder: give a file name, such as {target / 'report.html'}.")
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.touch()
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror}.") from error
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
