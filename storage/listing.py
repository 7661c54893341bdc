"""What lies in a container, page by page: names and what storage says of them, never the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from storage.errors import translated
from storage.results.record import bare_etag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from azure.storage.blob import ContainerClient

_PAGE = 5000  # the most that one List Blobs request gives


@dataclass(frozen=True, slots=True)
class Listed:
    """One blob as a listing shows it.

    Attributes:
        name: With folders, without the container.
        etag: Without quotes.
        last_modified: Aware UTC, one-second grain.
        content_length: Bytes.
        content_md5: 16 bytes; storage computes it when a blob is uploaded in one piece. ``None`` where nobody did.
    """

    name: str
    etag: str
    last_modified: datetime
    content_length: int
    content_md5: bytes | None = None


def list_pages(container: ContainerClient, *, prefix: str | None = None) -> Iterator[list[Listed]]:
    """Yield a container's blobs by name, up to 5,000 at a time, one request each. No container, no blobs.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused.
    """
    pages = container.list_blobs(name_starts_with=prefix, results_per_page=_PAGE).by_page()
    while True:
        with translated(f"listing the container {container.container_name}"):
            try:
                page = next(pages, None)
                if page is None:
                    return
                listed = [
                    Listed(blob.name, bare_etag(blob.etag), blob.last_modified, blob.size, _md5(blob.content_settings))
                    for blob in page
                ]
            except ResourceNotFoundError:
                return
        yield listed


def _md5(settings: object) -> bytes | None:
    md5 = getattr(settings, "content_md5", None)
    return bytes(md5) if md5 else None
