"""The formats of the command: what each writes, and the options that it takes.

A format is a function of rows and a path. For a file or a folder of ``contents`` the path is a new one, which the
command moves to its final name at the end. A format that continues earlier runs gets the final path itself, and keeps
each file in it complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.query.events import DEFAULT_GAP, EventSorter
from storage.reviews.query import Selection
from tools.export.formats import coco, csv_file, image_folder, megadetector, parquet_days, parquet_file, xlsx_file
from tools.export.formats.camtrap_dp.write import CONTENTS as PACKAGE_CONTENTS
from tools.export.formats.camtrap_dp.write import PackageOptions
from tools.export.formats.camtrap_dp.write import write as write_package
from tools.export.formats.event_columns import EventTable
from tools.export.formats.table import Table, table_of
from tools.export.label_types import label_types
from tools.query.download import Downloads
from tools.query.reviews import reviewed_query

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from storage.query.plan import Filter
    from storage.reviews.join import ReviewedRow
    from tools.account import Account

    Rows = Iterable[ReviewedRow]
    Numbers = Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Export:
    """One run of the command.

    Attributes:
        account: Where the results and images are.
        row_filter: Which rows to export.
        options: The command line.
        report: Prints a sentence while the run goes on.
        rows: Reads the rows of a filter and shows the progress of that.
    """

    account: Account
    row_filter: Filter
    options: argparse.Namespace
    report: Callable[[str], object]
    rows: Callable[[Filter], Iterator[ReviewedRow]]


@dataclass(frozen=True, slots=True)
class Format:
    """How rows become a file or a folder.

    Attributes:
        write: Writes the rows; returns numbers for the summary, if it has any.
        contents: Patterns of the names in the folder that it writes; empty where it writes one file.
        options: Names of the options that not every format takes; each is ``None`` or false where it is not given.
        continues: Whether the command line asks to continue the folder of an earlier run.
    """

    write: Callable[[Rows, Path, Export], Numbers]
    contents: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    continues: Callable[[argparse.Namespace], bool] = lambda _: False


def _table(write: Callable[[Table, Path], Numbers]) -> Callable[[Rows, Path, Export], Numbers]:
    """For a format that takes a table: with ``--events`` each row has the columns of its event."""

    def write_rows(rows: Rows, path: Path, export: Export) -> Numbers:
        if not export.options.events:
            if export.options.gap is not None:
                raise ConfigurationError("--gap says which photos are one event: add --events.")
            return write(table_of(rows), path)
        with EventSorter(export.options.gap or DEFAULT_GAP) as sorter:
            joined = EventTable(rows, sorter, export.report)
            numbers = write(joined.table, path) or {}
        return {**numbers, "events": joined.events, "without_event": sorter.without_time}

    return write_rows


def _parquet(rows: Rows, path: Path, export: Export) -> Numbers:
    if not _continues_days(export.options):
        return _table(parquet_file.write)(rows, path, export)
    if export.options.events or export.options.gap is not None:
        raise ConfigurationError(
            "A folder of --since-last has a file for each day of classification, and the images of one event "
            "may be in several: leave out --events and --gap, or write one file without --since-last."
        )
    if export.options.selection is not None:
        raise ConfigurationError(
            f"A folder of --since-last holds reviewed and other images: leave out --{export.options.selection}, and "
            "select by the columns reviewed_label and label where you read it."
        )
    reviewed_since = reviewed_query(export.account, export.row_filter).reviewed_since
    since_last = export.options.since_last
    return parquet_days.update(path, export.row_filter, export.rows, reviewed_since, since_last=since_last)


def _continues_days(options: argparse.Namespace) -> bool:
    return bool(options.since_last) or (options.output / parquet_days.STATE).is_file()


def _image_folder(rows: Rows, path: Path, export: Export) -> Numbers:
    label_of = _label_of(export)
    if export.options.list:
        return image_folder.write_lists(rows, path, label_of, export.report)
    account = export.account
    downloads = Downloads(account.clients.blobs, account.stores.source, path, export.report)
    return image_folder.copy(rows, path, label_of, downloads)


def _coco(rows: Rows, path: Path, export: Export) -> Numbers:
    return coco.write(rows, path, _label_of(export))


def _label_of(export: Export) -> Callable[[ReviewedRow], str | None]:
    """The label for training. With --reviewed only a person's: where the reviewer is unsure, there is none."""
    only_human = export.options.selection is Selection.REVIEWED
    return lambda row: row.label if row.is_human or not only_human else None


def _megadetector(rows: Rows, path: Path, export: Export) -> Numbers:
    return megadetector.write(rows, path, label_types(export.options.label_type))


def _camtrap_dp(rows: Rows, path: Path, export: Export) -> Numbers:
    options, output = export.options, export.options.output
    package = PackageOptions(
        container=export.row_filter.container,
        template=output.with_name(f"{output.name}-deployments.csv"),
        gap=options.gap or DEFAULT_GAP,
        type_of=label_types(options.label_type),
        report=export.report,
        deployments=options.deployments,
        zone=options.timezone,
        metadata=options.metadata,
        media_url=options.media_url,
    )
    return write_package(rows, path, package)


_EVENTS = ("events", "gap")
FORMATS: Mapping[str, Format] = {
    "csv": Format(_table(csv_file.write), options=_EVENTS),
    "xlsx": Format(_table(xlsx_file.write), options=_EVENTS),
    "parquet": Format(_parquet, options=("since_last", *_EVENTS), continues=_continues_days),
    "coco": Format(_coco),
    "megadetector": Format(_megadetector, options=("label_type",)),
    "camtrap-dp": Format(
        _camtrap_dp,
        contents=PACKAGE_CONTENTS,
        options=("deployments", "timezone", "gap", "label_type", "metadata", "media_url"),
    ),
    "imagefolder": Format(
        _image_folder, contents=("*.txt",), options=("list",), continues=lambda options: not options.list
    ),
}
