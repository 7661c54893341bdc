"""``python -m tools review import``: writes the corrections of a file to the table of reviews."""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError
from storage.etags import same_etag
from storage.keys import image_keys
from storage.query.lookup import RowLookup
from storage.reviews.store import Change, ReviewStore, batches
from tools.account import open_account
from tools.review.corrections import read_corrections
from tools.review.label_studio_export import read_export
from tools.review.labels import Labels
from tools.review.progress import ImportProgress
from tools.review.values import EntryError, read_json
from tools.terminal import fitted, printable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from storage.results.record import Record
    from storage.reviews.review import Content, Review
    from storage.reviews.store import Written
    from tools.account import Account

    Item = tuple[Content, Review]

_BATCHES_AT_ONCE = 8
_MAX_NAME = 256  # characters
_MAX_REFUSALS_SHOWN = 20
_ALWAYS_SHOWN = ("reviews", "added")
_NUMBERS = (
    *("reviews", *map(str, Change), "repeated", "refused"),
    *("unsure", "disputed", "earlier_upload", "without_row", "new_labels"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the file that a review page saved, or Label Studio's export as JSON"
    )
    parser.add_argument("--by", required=True, type=_reviewer, metavar="NAME", help="the reviewer's name")
    parser.add_argument(
        "--annotator",
        metavar="ID",
        help="read only the annotations of this person, by id or e-mail address in Label Studio",
    )
    parser.add_argument("--json", action="store_true", help="print progress and summary as JSON lines")
    parser.epilog = (
        "A review belongs to the content that the reviewer saw: another upload under the same name has none. A later\n"
        "review by the same reviewer replaces the earlier one. Importing a file twice changes nothing.\n"
        "Exit 0: done. 1: some reviews of the file were refused. 2: misuse, or no file of corrections.\n\n"
        "examples:\n"
        "  python -m tools review import corrections.json --by 'Ana Pires'\n"
        "  python -m tools review import project-1.json --annotator 7 --by 'Ana Pires'"
    )


def run(args: argparse.Namespace) -> int:
    """Import the file and print the numbers; 1 if some reviews were refused."""
    document = read_json(args.file)
    counts: Counter[str] = Counter()
    labels = Labels()
    with open_account() as account:
        items = list(_accepted(_read(document, account.settings.incoming_container, args), counts))
        work = list(batches(items))
        counts["repeated"] = len(items) - sum(map(len, work))
        with (
            ImportProgress(sum(map(len, work)), as_json=args.json) as progress,
            closing(_written(account, work)) as batches_written,
        ):
            for written, records in batches_written:
                _count(counts, written, records)
                labels.add([each.review for each in written], records.values())
                progress.advance(len(written))
        for folder in account.settings.model_dirs if labels.new else ():
            labels.add_model(folder)
    counts["new_labels"] = len(labels.new)
    for warning in labels.warnings():
        print(fitted(warning, sys.stderr), file=sys.stderr)
    _print_summary(args, counts)
    return 1 if counts["refused"] else 0


def _read(document: Any, container: str, args: argparse.Namespace) -> Iterator[Item | EntryError]:
    if isinstance(document, list):
        return read_export(document, container, args.by, args.annotator)
    if not isinstance(document, dict):
        raise ConfigurationError("This is no file of corrections: it holds no JSON object, as review pages save.")
    if args.annotator is not None:
        raise ConfigurationError("--annotator selects people of Label Studio, and this file is not its export.")
    return read_corrections(document, container, args.by)


def _accepted(items: Iterable[Item | EntryError], counts: Counter[str]) -> Iterator[Item]:
    """Yield the reviews that can be imported; report the others."""
    for each in items:
        counts["reviews"] += 1
        if not isinstance(each, EntryError):
            yield each
            continue
        counts["refused"] += 1
        if counts["refused"] <= _MAX_REFUSALS_SHOWN:
            print(fitted(str(each), sys.stderr), file=sys.stderr)
    if counts["refused"] > _MAX_REFUSALS_SHOWN:
        print(f"{counts['refused'] - _MAX_REFUSALS_SHOWN:,} more reviews are refused.", file=sys.stderr)


def _written(
    account: Account, work: Sequence[Sequence[Item]]
) -> Generator[tuple[Sequence[Written], dict[Content, Record]]]:
    """Write the batches, several at once because each of few reviews waits for storage most of the time."""
    with (
        RowLookup(account.stores.results.row_reader()) as rows,
        ReviewStore(account.clients.tables, account.settings.reviews_table) as store,
        _batch_threads() as pool,
    ):

        def write(batch: Sequence[Item]) -> tuple[Sequence[Written], dict[Content, Record]]:
            records = _records(batch, rows)
            return store.write([_completed(item, records) for item in batch]), records

        yield from pool.map(write, work)


@contextmanager
def _batch_threads() -> Iterator[ThreadPoolExecutor]:
    """Yield threads for batches; when the import stops early, the batches that have not begun are left out."""
    pool = ThreadPoolExecutor(_BATCHES_AT_ONCE, thread_name_prefix="import")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _records(batch: Sequence[Item], rows: RowLookup) -> dict[Content, Record]:
    """The results of the images that some reviews are of, as far as there are any."""
    addresses = {content: image_keys(content.container, content.blob_name) for content, _ in batch}
    found = rows.records_one_by_one(list(addresses.values()))
    return {
        content: found[address]
        for content, address in addresses.items()
        if address in found and found[address].blob_name == content.blob_name
    }


def _completed(item: Item, records: dict[Content, Record]) -> Item:
    """The review with the score and the model of the answer that the reviewer saw, if that can still be the row's."""
    content, review = item
    record = records.get(content)
    if record is None or not same_etag(record.etag, content.etag):
        return item
    if record.label != review.label or review.model_version not in {None, record.model_version}:
        return item
    score = record.score if review.score is None else review.score
    return content, replace(review, score=score, model=record.model, model_version=record.model_version)


def _count(counts: Counter[str], written: Sequence[Written], records: dict[Content, Record]) -> None:
    for each in written:
        record = records.get(each.content)
        given = {each.review.reviewed_label, *(other.reviewed_label for other in each.others)} - {None}
        counts[each.change] += 1
        counts["unsure"] += each.review.reviewed_label is None
        counts["disputed"] += len(given) > 1
        counts["without_row"] += record is None
        counts["earlier_upload"] += record is not None and not same_etag(record.etag, each.content.etag)


def _print_summary(args: argparse.Namespace, counts: Counter[str]) -> None:
    numbers = {name: counts[name] for name in _NUMBERS}
    if args.json:
        print(json.dumps({"event": "summary", **numbers}), flush=True)
        return
    shown = [
        f"{number:,} {name.replace('_', ' ')}" for name, number in numbers.items() if number or name in _ALWAYS_SHOWN
    ]
    print(fitted(f"{', '.join(shown)}."), flush=True)


def _reviewer(text: str) -> str:
    """A reviewer's name. Composed, so that a name typed on another system is the same name."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise argparse.ArgumentTypeError(
            f"{printable(text)!r:.80} is no name: write 1 to {_MAX_NAME} printable characters"
        )
    return name
