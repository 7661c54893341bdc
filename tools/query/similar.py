"""The options ``--duplicates`` and ``--like``: which images are equal, or look like a given one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.errors import ConfigurationError, PermanentError
from inference.limits import Limits
from inference.phash import phash
from storage.query.plan import Filter
from storage.query.query import Query
from storage.query.similar import MAX_DISTANCE, groups_of_equal_content, similar_pictures
from storage.results.record import Status
from tools.query.names import inside_container
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.results.record import Record
    from tools.account import Account

_WITHIN = 8  # bits: copies of another size or compression differ in up to about six, other pictures in about 32
_NEEDED = (256, 256)  # pixels that the decoder keeps at least


def add_similarity(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("equal and similar images (read every row that the filters select)")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--duplicates", action="store_true", help="only images whose bytes another image has too; `group` numbers them"
    )
    either.add_argument(
        "--like", metavar="IMAGE", help="only pictures that look like this image of the container, or this local file"
    )
    group.add_argument(
        "--within",
        type=_bits,
        metavar="N",
        help=f"with --like: perceptual hashes that differ in at most N of {MAX_DISTANCE} bits ({_WITHIN}); "
        "the nearest first, with `distance`",
    )


def added_column(args: argparse.Namespace) -> str | None:
    """The name of the column that an answer has beside those of the row."""
    if args.within is not None and args.like is None:
        raise ConfigurationError("--within N says how near --like IMAGE must be: add --like.")
    if args.duplicates:
        return "group"
    return None if args.like is None else "distance"


class WithoutHash:
    """Counts the classified images that cannot be compared: an earlier version of the app kept no hash of them."""

    def __init__(self) -> None:
        self._count = 0

    def counted(self, records: Iterable[Record], column: str) -> Iterator[Record]:
        """Yield the rows; the count begins anew.

        Args:
            records: The rows.
            column: That of the hash: ``content_md5``, or ``phash``, which damaged pictures never have.
        """
        self._count = 0
        for record in records:
            is_complete = column == "content_md5" or not record.damaged
            if record.status is Status.CLASSIFIED and is_complete and getattr(record, column) is None:
                self._count += 1
            yield record

    @property
    def message(self) -> str | None:
        """A sentence about these images; ``None`` where there is none."""
        if not self._count:
            return None
        subject = "1 image was" if self._count == 1 else f"{self._count:,} images were"
        return (
            f"{subject} not compared: the row has no hash, because an earlier version of the app wrote it. "
            "`python -m tools backfill --force` classifies images again."
        )


def equal_images(query: Query, without_hash: WithoutHash) -> Iterator[tuple[Record, int]]:
    """Yield the rows of each content that several images have, with the number of the group, from 1."""

    def records() -> Iterator[Record]:
        return without_hash.counted(query.records(), "content_md5")

    for number, group in enumerate(groups_of_equal_content(records), 1):
        for record in group:
            yield record, number


def similar_images(
    account: Account, query: Query, image: str, within: int | None, without_hash: WithoutHash
) -> list[tuple[Record, int]]:
    """Return the rows whose picture looks like an image, with the distance in bits, nearest first.

    Raises:
        ConfigurationError: The image has no perceptual hash.
    """
    asked = _hash_of(account, image)
    records = without_hash.counted(query.records(), "phash")
    return similar_pictures(records, asked, _WITHIN if within is None else within)


def _hash_of(account: Account, image: str) -> str:
    """The perceptual hash of an image of the container, or of a local file if the container has no such image."""
    settings = account.settings
    shown = printable(image)
    for name in dict.fromkeys((image, inside_container(image, settings.incoming_container))):
        point = Query(account.clients.tables, settings.results_table, Filter(settings.incoming_container, image=name))
        for record in point.records():
            if record.phash is None:
                raise ConfigurationError(
                    f"The row of {shown} has no perceptual hash: it is not classified, damaged, or older than hashes. "
                    "Download the image and give its path, or classify it again with backfill --force."
                )
            return record.phash
    try:
        content = Path(image).read_bytes()
    except (OSError, ValueError):
        raise ConfigurationError(
            f"--like {shown} is neither an image with a row in {settings.incoming_container} nor a file."
        ) from None
    try:
        header = read_header(content, Limits())
        return phash(decode(content, plan_decode(header, _NEEDED), upright=False))
    except PermanentError as error:
        raise ConfigurationError(f"--like {shown} is no picture that can be read: {error.detail}") from None


def _bits(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_DISTANCE):
        raise argparse.ArgumentTypeError(f"{text!r} is not a distance: write a whole number from 0 to {MAX_DISTANCE}")
    return int(text)
