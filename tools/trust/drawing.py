"""``python -m tools trust draw``: makes the review page of a random sample, stratified by label and score."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from inference.errors import ConfigurationError
from inference.resources.memory import return_freed_memory
from storage.query.plan import Filter
from tools.account import open_account
from tools.export.destination import complete_file
from tools.query.names import nothing_matches
from tools.report.text import counted
from tools.report.thumbnails import MissingThumbnail
from tools.review.drawing import Draw
from tools.review.drawing import Stratum as PageStratum
from tools.review.label_choices import LabelChoices
from tools.review.make import MAX_PHOTOS, count_of, new_page, photo_progress, pixels_of, seed_of, write_page
from tools.terminal import fitted
from tools.trust.reading import choose_model, fits, model_of, rows_with_reviews
from tools.trust.sampling import BANDS, Sample, StratifiedSample, Stratum, stratum_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from storage.results.record import Record
    from storage.reviews.join import ReviewedRow
    from tools.review.page import ReviewPage
    from tools.trust.reading import Model


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("review.html"), metavar="FILE", help="write to FILE (review.html)"
    )
    parser.add_argument(
        "--per-label", type=count_of, default=150, metavar="N", help="draw N photos of each label (150)"
    )
    parser.add_argument(
        "--label", action="append", metavar="LABEL", help="draw of this label only; may be given several times"
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="draw of this model's labels, by name or version (the one with most rows)"
    )
    parser.add_argument(
        "--pixels", type=pixels_of, default=1024, metavar="N", help="longest side of a photo on the page (1024)"
    )
    parser.add_argument("--seed", type=seed_of, default=1, metavar="N", help="another number draws other photos (1)")
    parser.add_argument("--json", action="store_true", help="print the summary as a JSON line")
    parser.epilog = (
        "Within a label every band of scores gets its share of the photos. Photos of the sample that have a review\n"
        "already are left out: draw again with a larger N to add to them.\n"
        "Exit 0: done. 1: storage failed for a photo, which is left out. 2: misuse.\n\n"
        "examples:\n"
        "  python -m tools trust draw --per-label 150 -o review.html\n"
        "  python -m tools trust draw --label lynx --per-label 300 -o lynx.html"
    )


def run(args: argparse.Namespace) -> int:
    """Write the page, then the summary; 1 if storage failed for a photo."""
    console = Console(stderr=True, highlight=False)
    return_freed_memory()  # safe here: the process runs nothing else
    with complete_file(args.output) as path, open_account() as account, photo_progress(console) as progress:
        labels, reviewed = LabelChoices(), _Reviewed()
        rows = progress.track(rows_with_reviews(account, lambda records: records), description="Reading rows")
        sample = _draw(labels.seen_in(reviewed.passing(rows)), args)
        remaining = [record for record in sample.records if record.blob_name not in reviewed.names]
        if len(remaining) > MAX_PHOTOS:
            raise ConfigurationError(
                f"The sample has {len(remaining):,} photos, but a page holds at most {MAX_PHOTOS:,}: draw fewer with "
                "--per-label, or some labels at a time with --label."
            )
        if not sample.records:
            console.print(nothing_matches(account, Filter(account.settings.incoming_container)), soft_wrap=True)
        page = new_page(account, _as_draw(sample, remaining, args.seed), labels, console)
        write_page(account, page, path, args.pixels, progress)
    _print_summary(args, page, len(sample.records) - len(remaining))
    return 1 if page.missing[MissingThumbnail.UNREACHABLE] else 0


class _Reviewed:
    """Notes which images are in the random sample already."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def passing(self, rows: Iterable[ReviewedRow]) -> Iterator[Record]:
        """Yield the record of each row."""
        for row in rows:
            if any(fits(review, row.record) for review in row.reviews):
                self.names.add(row.record.blob_name)
            yield row.record


def _draw(records: Iterable[Record], args: argparse.Namespace) -> Sample:
    """Draw from the rows of each model, and return the sample of the chosen one."""
    samples: defaultdict[Model, StratifiedSample] = defaultdict(lambda: StratifiedSample(args.per_label, args.seed))
    for record in records:
        if args.label is None or record.label in args.label:
            samples[model_of(record)].add(record)
    drawn = {model: sample.drawn() for model, sample in samples.items()}
    model = choose_model({model: sample.images for model, sample in drawn.items()}, args.model)
    return Sample([], {}) if model is None else drawn[model]


def _as_draw(sample: Sample, records: list[Record], seed: int) -> Draw:
    """The sample for the page, with the strata of the whole sample."""
    rows = {_bounds(stratum): size for stratum, size in sample.sizes.items()}
    return Draw(
        is_random=True,
        seed=seed,
        records=records,
        rows=rows,
        stratum_of=lambda record: _bounds(stratum_of(str(record.label), record.score or 0.0)),
    )


def _bounds(stratum: Stratum) -> PageStratum:
    edges = (None, *BANDS, None)
    return PageStratum(stratum.label, edges[stratum.band], edges[stratum.band + 1])


def _print_summary(args: argparse.Namespace, page: ReviewPage, reviewed: int) -> None:
    shown, missing = page.shown.total(), page.missing.total()
    if args.json:
        numbers = {"photos": shown, "reviewed": reviewed, "left_out": dict(page.missing), "seed": args.seed}
        labels = len({stratum.label for stratum in page.draw.rows})
        print(json.dumps({"event": "summary", "path": str(args.output), "labels": labels, **numbers}), flush=True)
        return
    left_out = f"; {missing:,} more cannot be shown" if missing else ""
    before = f"; {reviewed:,} of the sample have a review already" if reviewed else ""
    print(fitted(f"{counted(shown, 'photo')} drawn at random{before}{left_out}.", sys.stderr), file=sys.stderr)
    print(args.output)
