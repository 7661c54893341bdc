"""Writes results as files that other programs open, with the filters of query.

A file or folder appears under its name only when it is complete.
"""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from tools.account import open_account
from tools.export.destination import complete_file, complete_folder
from tools.export.formats.camtrap_dp.options import add_options
from tools.export.label_types import add_label_type
from tools.export.registry import FORMATS, Export
from tools.query.events import add_gap
from tools.query.filters import add_filters, read_filter
from tools.query.names import understood
from tools.query.progress import RowProgress
from tools.query.reviews import add_review_filters, reviewed_query

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from storage.query.plan import Filter
    from storage.reviews.join import ReviewedRow
    from tools.export.registry import Format


_INCOMPLETE = ("gone", "failed")  # numbers that make the exit code 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--format", required=True, choices=FORMATS, help="the format (see below)")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="PATH", help="the file or folder to write, by format"
    )
    parser.add_argument("--json", action="store_true", help="print progress and summary as JSON lines")
    options = parser.add_argument_group("options of some formats")
    options.add_argument(
        "--since-last",
        action="store_true",
        help="parquet: write a folder with a file for each day, and read only the days since the last run",
    )
    options.add_argument(
        "--list", action="store_true", help="imagefolder: write the blob names by label instead of copying images"
    )
    options.add_argument(
        "--events",
        action="store_true",
        help="csv, xlsx, parquet: add the event of each image: its id, start, end, number of images, label and mean "
        "score; rows without a capture time come first, the others by camera and time",
    )
    add_gap(options, "with --events, and camtrap-dp")
    add_label_type(options)
    add_options(options)
    add_filters(parser)
    add_review_filters(parser)
    parser.epilog = (
        "formats:\n"
        "  csv           a file for spreadsheets and scripts; no text is read as a formula\n"
        "  xlsx          an Excel workbook; a new sheet after 1,048,576 rows\n"
        "  parquet       a file with typed columns for pandas, DuckDB and Power BI; with --since-last a folder\n"
        "  coco          a JSON file of the classified images, each label as a box of the full frame\n"
        "  megadetector  MegaDetector's batch results, for Timelapse; each label as a box of the full frame\n"
        "  camtrap-dp    a folder with a data package for GBIF: deployments, media, observations, datapackage.json\n"
        "  imagefolder   a folder for each label with copies of its images, for training; a later run copies\n"
        "                only the missing ones\n\n"
        "parquet and xlsx need more libraries: pip install -r requirements-export.txt\n"
        "Where -o names a folder of --since-last, a run without that option writes every day again.\n"
        "Ctrl+C leaves an earlier export as it was, or nothing; folders of --since-last and imagefolder keep\n"
        "the complete files, and the next run goes on.\n"
        "Exit 0: done, also without a row. 1: an image could not be copied. 2: misuse, or camtrap-dp without a\n"
        "time, a place or a zone that it needs.\n\n"
        "examples:\n"
        "  python -m tools export --format xlsx -o week.xlsx --since 7d\n"
        "  python -m tools export --format parquet -o results --since-last\n"
        "  python -m tools export --format csv -o visits.csv --events --gap 5m\n"
        "  python -m tools export --format imagefolder -o training --min-score 0.9"
    )


def run(args: argparse.Namespace) -> int:
    """Write the export and its summary; 0 unless a part is missing."""
    chosen = FORMATS[args.format]
    _refuse_options_of_others(args)
    target = Path(os.path.abspath(args.output))  # noqa: PTH100 - resolve() would follow a link that is to be replaced
    with open_account() as account, RowProgress(as_json=args.json) as progress:

        def rows(row_filter: Filter) -> Iterator[ReviewedRow]:
            return progress.counted(reviewed_query(account, row_filter, args.selection).rows())

        row_filter = understood(read_filter(args, account.settings.incoming_container), account)
        export = Export(account, row_filter, args, progress.report, rows)
        with _destination(chosen, target, args) as path:
            numbers = chosen.write(rows(row_filter), path, export) or {}
    summary = {"rows": progress.rows, **numbers}
    if args.json:
        event = {"event": "summary", "format": args.format, "path": str(args.output), **summary}
        print(json.dumps({**event, "seconds": round(progress.seconds, 3)}), flush=True)
    else:
        counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in summary.items())
        progress.report(f"{counts}, in {progress.seconds:.1f} s.")
        print(args.output)
    return 1 if any(numbers.get(name) for name in _INCOMPLETE) else 0


def _destination(chosen: Format, target: Path, args: argparse.Namespace) -> AbstractContextManager[Path]:
    if chosen.continues(args):
        if target.exists() and not target.is_dir():
            raise ConfigurationError(f"{target} is a file: give the name of a folder.")
        return nullcontext(target)
    return complete_folder(target, chosen.contents) if chosen.contents else complete_file(target)


def _refuse_options_of_others(args: argparse.Namespace) -> None:
    """Refuse an option that another format takes.

    Raises:
        ConfigurationError: There is one.
    """
    for option in dict.fromkeys(option for each in FORMATS.values() for option in each.options):
        if getattr(args, option) not in (None, False) and option not in FORMATS[args.format].options:
            *others, last = [name for name, each in FORMATS.items() if option in each.options]
            takers = f"{', '.join(others)} or {last}" if others else last
            raise ConfigurationError(
                f"--{option.replace('_', '-')} belongs to --format {takers}, not to {args.format}."
            )
