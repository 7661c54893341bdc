"""Equal and similar images among rows: groups of equal content, and pictures within a distance of one picture.

Both read every row that a filter selects before they give the first answer. Equal content needs about 100 bytes of
memory for each row, for its MD5, and the rows of all groups; similar pictures need the rows that are near enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from storage.results.record import Record

MAX_DISTANCE = 64
"""The number of bits of a perceptual hash."""


def groups_of_equal_content(records: Callable[[], Iterable[Record]]) -> Iterator[list[Record]]:
    """Yield the rows of each content that more than one row has, by name; the groups in the order of their first rows.

    The rows are read twice: the first time only the MD5 of each is kept, the second time the rows of the groups are.

    Args:
        records: Reads the rows; called twice. Rows without an MD5 belong to no group.
    """
    once: set[bytes] = set()
    repeated: set[bytes] = set()
    for record in records():
        md5 = _md5_of(record)
        if md5 is not None:
            (repeated if md5 in once else once).add(md5)
    del once
    if not repeated:
        return
    groups: dict[bytes, list[Record]] = {}
    for record in records():
        md5 = _md5_of(record)
        if md5 is not None and md5 in repeated:
            groups.setdefault(md5, []).append(record)
    for group in groups.values():
        if len(group) > 1:  # a row may have changed between the two reads
            yield sorted(group, key=lambda record: record.blob_name)


def similar_pictures(records: Iterable[Record], phash: str, within: int) -> list[tuple[Record, int]]:
    """Return the rows whose picture is at most ``within`` bits from a hash, with that distance, nearest first.

    Args:
        records: The rows; those without a hash, or with one that cannot be read, are left out.
        phash: The perceptual hash that is asked for: 16 hex digits.
        within: 0 to ``MAX_DISTANCE``.
    """
    found = []
    for record in records:
        try:
            bits = distance(record.phash or "", phash)
        except ValueError:
            continue
        if bits <= within:
            found.append((record, bits))
    return sorted(found, key=lambda each: (each[1], each[0].blob_name))


def distance(one: str, other: str) -> int:
    """Return the number of bits that differ between two hashes: 0 to ``MAX_DISTANCE``.

    Raises:
        ValueError: One of them is no hexadecimal number of 64 bits.
    """
    bits = int(one, 16), int(other, 16)
    if not all(0 <= each < 1 << MAX_DISTANCE for each in bits):
        raise ValueError("not a hash of 64 bits")
    return (bits[0] ^ bits[1]).bit_count()


def _md5_of(record: Record) -> bytes | None:
    try:
        md5 = bytes.fromhex(record.content_md5 or "")
    except ValueError:  # a person edited the row
        return None
    return md5 or None
