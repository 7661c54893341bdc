"""A left join of a container's blobs with their rows, in constant memory and linear requests, for any names.

The listing is sorted by blob name, the table by encoded folder and file name. Escapes, hashes of long names and files
named before folders make the two orders differ, so nothing here relies on one: each page of the listing (5,000 names)
is looked up in the table. Where rows and blobs match, that is one request for 5,000 blobs and one for 1,000 rows; never
more than two for a blob.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.keys import image_keys
from storage.query.lookup import RowLookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from storage.listing import Listed
    from storage.results.record import Record
    from storage.tables import TableReader


def join_blobs_with_rows(
    pages: Iterable[Sequence[Listed]], container: str, rows: TableReader
) -> Iterator[tuple[Listed, Record | None]]:
    """Yield every listed blob, in the listing's order, with its row's record or ``None``.

    A row is read a moment after its blob was listed, so a caller reads both again before it acts on a difference.

    Args:
        pages: The listing.
        container: Where the blobs are.
        rows: The results table; ``SUMMARY_COLUMNS`` are enough.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    with RowLookup(rows) as lookup:
        for page in pages:
            addresses = [image_keys(container, blob.name) for blob in page]
            found = lookup.records(addresses)
            for blob, address in zip(page, addresses, strict=True):
                record = found.get(address)
                # A shortened key names its image by a hash; the column holds the whole name.
                yield blob, record if record and record.blob_name == blob.name else None
