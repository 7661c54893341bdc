"""A container and its table side by side, in constant memory and linear requests, whatever the names.

The listing comes by blob name, the rows lie by encoded folder and file, and the two orders differ: escapes, hashes of
long names, a file named before a folder. So nothing here relies on one. For each page of the listing (5,000 names) the
keys of the rows wanted are sorted, and the table is read from the first of them on, 1,000 rows a request. What was
passed by is answered: there, or not there. While pages bring rows that are wanted the reading goes on; once a page
brings only strangers, it starts again at the next key wanted.

    wanted   a1 a2 a3 .......... k7 k8        sorted keys of one page of the listing
    rows     a1 a3 b1 b2 c5 .... k7 k8        a2 has none; the reading leaps from b to k

Where rows and blobs match, that is one request for 5,000 blobs and one for 1,000 rows; never more than two for a blob.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from datetime import datetime
from typing import TYPE_CHECKING

from storage.keys import RowKeys, image_keys
from storage.results.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from storage.listing import Listed
    from storage.tables import Entities, Ranges

logger = logging.getLogger(__name__)

OUTLINE = (
    "PartitionKey",
    "RowKey",
    "container",
    "blob_name",
    "status",
    "etag",
    "model",
    "model_version",
    "classified_at",
    "sidecar",
    "label",
    "score",
)
"""The columns a comparison needs: which content was judged, by whom, when, and how it ended."""

# A run of this many names in one folder is read by that folder's own range; smaller folders are read together.
_RUN = 100
# Up to here code points, UTF-8 and UTF-16 sort alike, so that any service agrees with Python about the order.
_LAST_SAFE = "\ud7ff"


def side_by_side(
    pages: Iterable[Sequence[Listed]], container: str, rows: Ranges
) -> Iterator[tuple[Listed, Record | None]]:
    """Yield every listed blob, in the listing's order, with the outline of its row (see ``OUTLINE``) or ``None``.

    The row is as it stood a moment after the blob was listed: whoever acts on a difference looks again.

    Args:
        pages: The listing.
        container: Where the blobs are.
        rows: The results table.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused.
    """
    for page in pages:
        addresses = [image_keys(container, blob.name) for blob in page]
        found = find_rows(rows, addresses)
        for blob, address in zip(page, addresses, strict=True):
            record = found.get(address)
            # A cut key names its image by a hash; the column says it in full.
            yield blob, record if record and record.blob_name == blob.name else None


def find_rows(rows: Ranges, wanted: Iterable[RowKeys]) -> dict[RowKeys, Record]:
    """Read the rows at these addresses in as few requests as their order allows. Addresses without a row are left out.

    Memory is bounded by what is wanted: give a page at a time.
    """
    found: dict[RowKeys, Record] = {}
    plain: list[RowKeys] = []
    for address in wanted:
        if max(address.partition_key + address.row_key) <= _LAST_SAFE:
            plain.append(address)
        else:
            for page in rows.within(address.partition_key, address.row_key, address.row_key):
                _keep(page, {address}, found)
    _leap(rows, sorted(set(plain)), found)
    return found


def _leap(rows: Ranges, ahead: list[RowKeys], found: dict[RowKeys, Record]) -> None:
    """Read all rows at the sorted addresses ``ahead``."""
    wanted = set(ahead)
    stuck = False
    while ahead:
        first = ahead[0]
        if stuck or ahead[min(len(ahead) - 1, _RUN)].partition_key == first.partition_key:
            of_folder = bisect_right(ahead, first.partition_key, key=lambda address: address.partition_key)
            end = ahead[of_folder - 1]
            pages = rows.within(first.partition_key, first.row_key, end.row_key)
        else:
            end = ahead[-1]
            pages = rows.across(first.partition_key, end.partition_key)
        stuck = True
        for page in pages:
            if not page:
                continue  # the service paused: its pages may be empty and yet not the last
            useful = _keep(page, wanted, found)
            passed = bisect_right(ahead, _address(page[-1]))
            stuck = stuck and passed == 0
            del ahead[:passed]
            if not (useful and ahead and ahead[0] <= end):
                break
        else:
            del ahead[: bisect_right(ahead, end)]
            stuck = False


def _keep(page: Entities, wanted: set[RowKeys], found: dict[RowKeys, Record]) -> bool:
    """Keep what is wanted of a page; true if there was any."""
    useful = False
    for entity in page:
        address = _address(entity)
        if address in wanted:
            useful = True
            record = readable(entity)
            if record is not None:
                found[address] = record
    return useful


def readable(entity: Mapping[str, Any]) -> Record | None:
    """The record of a row, or ``None`` and a warning where a row is not one of ours: anybody may have put it there."""
    try:
        record = Record.from_entity(entity)
        texts = (record.container, record.blob_name, record.etag, record.model_version)
        if not (all(isinstance(text, str) for text in texts) and isinstance(record.classified_at, datetime)):
            raise ValueError("a column of ours is missing")  # noqa: TRY301 - one warning for all that may be odd
    except (ValueError, TypeError, KeyError) as error:
        logger.warning("row_unreadable partition_key=%r row_key=%r error=%s", *_address(entity), error)
        return None
    return record


def _address(entity: Mapping[str, Any]) -> RowKeys:
    return RowKeys(entity["PartitionKey"], entity["RowKey"])
