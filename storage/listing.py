"""Lists a container page by page: names and properties of its blobs, never their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from storage.errors import translate_errors
from storage.etags import bare_etag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from azure.storage.blob import ContainerClient

_PAGE = 5000  # the most that one List Blobs request returns


@dataclass(frozen=True, slots=True)
class Listed:
    """One blob of a listing.

    Attributes:
        name: With folders, without the container.
        etag: Without quotes.
        last_modified: Aware UTC, one-second grain.
        content_length: Bytes.
        content_md5: 16 bytes. Storage computes it for a blob that is uploaded in one piece; else it may be ``None``.
    """

    name: str
    etag: str
    last_modified: datetime
    content_length: int
    content_md5: bytes | None = None


def list_pages(container: ContainerClient, *, prefix: str | None = None) -> Iterator[list[Listed]]:
    """Yield a container's blobs by name, up to 5,000 per request. A container that does not exist has no blobs.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    pages = container.list_blobs(name_starts_with=prefix, results_per_page=_PAGE).by_page()
    while True:
        with translate_errors(f"listing the container {container.container_name}"):
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
