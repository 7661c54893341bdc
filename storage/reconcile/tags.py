"""Finds images whose index tags differ from their row: one more pass over blobs and rows, with ``TAG_IMAGES`` only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.actions.index_tags import merged, tags_of
from storage.etags import same_etag
from storage.query.join import join_blobs_with_rows
from storage.results.serialization import SUMMARY_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.pipeline.stores import Stores
    from storage.results.record import Record


def differing_tags(stores: Stores, container: str) -> Iterator[Record]:
    """Yield the rows of current contents whose tags are missing or differ; tags of others do not count.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    pages = stores.source.pages(container, with_tags=True)
    for blob, record in join_blobs_with_rows(pages, container, stores.results.row_reader(SUMMARY_COLUMNS)):
        if record is None or not same_etag(record.etag, blob.etag):
            continue
        if merged(blob.tags, tags_of(record)) != blob.tags:
            yield record
