"""Write what the classifier said as one HTML page, for people who would rather look than read.

The page needs nothing but a browser: no network, no server. Its numbers count all that was chosen; the gallery holds
thumbnails of up to 10,000 images, evenly of each label, and says so where it left some out.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from inference.errors import ConfigurationError
from inference.limits import Limits
from inference.resources.admission import Admission
from inference.resources.memory import budget_bytes, return_freed_memory
from storage.blobs import SourceBlobs
from storage.query.query import Query
from storage.results.record import Status
from tools.account import open_account
from tools.query.filters import add_filters, read_filter
from tools.report.gallery import MOST_IMAGES, THUMBNAIL_BYTES, Gallery
from tools.report.measures import counted
from tools.report.page import Report
from tools.report.sampling import EvenSample
from tools.report.summary import Summary
from tools.report.thumbnails import Missing, Workshop, bytes_each

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from storage.query.plan import Filter
    from tools.account import Account


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add_filters(parser)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="where to write (report.html)"
    )
    parser.epilog = "example:\n  python -m tools report --since 7d -o week.html"


def run(args: argparse.Namespace) -> int:
    """Write the page and print its path; 0 also when nothing was found."""
    talk = Console(stderr=True, highlight=False)
    return_freed_memory()  # this process is ours
    with _written_whole(args.output) as file, open_account() as account, _progress(talk) as progress:
        made = datetime.now(UTC)
        wanted = read_filter(args, account.settings.incoming_container)
        found = Query(account.clients.tables, account.settings.results_table, wanted).records()
        summary, sample = Summary(), EvenSample(MOST_IMAGES)
        reading = progress.add_task("Reading rows", total=None)
        for record in found:
            summary.add(record)
            if record.status is Status.CLASSIFIED:
                sample.add(record)
            progress.advance(reading)
        progress.update(reading, total=summary.images)
        gallery = Gallery(sample.records())
        thumbnails = _workshop(account, len(gallery.records)).thumbnails(gallery.records)
        pictures = list(progress.track(thumbnails, description="Making thumbnails", total=len(gallery.records)))
        report = Report(wanted.container, _in_words(wanted), made, summary, gallery)
        file.write_text(report.page(pictures), encoding="utf-8")
        size = file.stat().st_size
    missing = Counter(str(each) for each in pictures if isinstance(each, Missing))
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in missing.most_common())
    without = f", {missing.total():,} without a picture ({reasons})" if missing else ""
    talk.print(
        f"{counted(summary.images, 'image')}, {len(pictures):,} in the gallery{without}, {size / 1e6:.1f} MB.",
        soft_wrap=True,
    )
    print(args.output)
    return 0


def _in_words(wanted: Filter) -> list[str]:
    """The filter as the page says it."""
    said = {
        "image": wanted.image,
        "folder": wanted.folder,
        "label": wanted.label,
        "score from": None if wanted.min_score is None else f"{wanted.min_score:g}",
        "since": wanted.since and f"{wanted.since:%Y-%m-%d %H:%M}",
        "before": wanted.until and f"{wanted.until:%Y-%m-%d %H:%M}",
        "status": wanted.status,
        "model": wanted.model,
    }
    return [f"{name} {value}" for name, value in said.items() if value is not None]


def _workshop(account: Account, images: int) -> Workshop:
    settings = account.settings
    limits = Limits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    admission = Admission(budget_bytes(settings.decode_budget_mib))
    source = SourceBlobs(account.clients.blobs, limits.max_bytes)
    return Workshop(source, limits, admission, bytes_each(THUMBNAIL_BYTES, images))


def _progress(talk: Console) -> Progress:
    """Live on a terminal, silent elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=talk, transient=True, disable=not talk.is_terminal)


@contextmanager
def _written_whole(target: Path) -> Iterator[Path]:
    """A file beside the target that takes its place once all went well; opened before any work is done.

    Raises:
        ConfigurationError: Nothing can be written there.
    """
    if target.is_dir():
        raise ConfigurationError(f"{target} is a folder: name the file to write, such as {target / 'report.html'}.")
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
