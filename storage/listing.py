"""Lists a container page by page: names and properties of its blobs, never their bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties

from storage.errors import translate_errors
from storage.etags import bare_etag
from storage.refusals import ARCHIVE_TIER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
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
        is_archived: It is in the archive tier, also while it is being rehydrated.
        is_directory: It only marks a directory; known only from a listing with metadata.
        metadata: Empty without metadata in the listing.
        tags: The blob's index tags; empty without tags in the listing.
    """

    name: str
    etag: str
    last_modified: datetime
    content_length: int
    content_md5: bytes | None = None
    is_archived: bool = False
    is_directory: bool = False
    metadata: Mapping[str, str | None] = field(default_factory=dict, compare=False)
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)


def list_pages(
    container: ContainerClient,
    *,
    prefix: str | None = None,
    with_metadata: bool = False,
    with_tags: bool = False,
    page_size: int = _PAGE,
) -> Iterator[list[Listed]]:
    """Yield a container's blobs by name, page by page. A container that does not exist has no blobs.

    Args:
        container: The container.
        prefix: Beginning of the names.
        with_metadata: Also read the metadata, which show the directory markers.
        with_tags: Also read the index tags.
        page_size: Blobs per request, at most 5,000.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    include = [name for name, asked in (("metadata", with_metadata), ("tags", with_tags)) if asked] or None
    pages = container.list_blobs(name_starts_with=prefix, include=include, results_per_page=page_size).by_page()
    while True:
        with translate_errors(f"listing the container {container.container_name}"):
            try:
                page = next(pages, None)
                if page is None:
                    return
                listed = [_listed(blob) for blob in page]
            except ResourceNotFoundError:
                return
        yield listed


def folder_pages(container: ContainerClient, folder: str) -> Iterator[list[str]]:
    """Yield the names directly below a folder, page by page, without directory markers.

    Args:
        container: The container; one that does not exist has no names.
        folder: Ends with a slash; empty for the names at the top.

    Yields:
        At most 5,000 names, whole: first those of subfolders, which end with a slash, then those of blobs.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    found = container.walk_blobs(name_starts_with=folder, include=["metadata"], delimiter="/", results_per_page=_PAGE)
    pages = found.by_page()
    while True:
        with translate_errors(f"listing the container {container.container_name}"):
            try:
                page = next(pages, None)
                if page is None:
                    return
                names = [each.name for each in page if not (isinstance(each, BlobProperties) and _is_marker(each))]
            except ResourceNotFoundError:
                return
        yield names


def is_directory(metadata: Mapping[str, str | None]) -> bool:
    """Whether a blob's metadata mark a directory, as ADLS Gen2, blobfuse and azcopy write it for an empty blob."""
    return any(name.lower() == "hdi_isfolder" and (value or "").lower() == "true" for name, value in metadata.items())


def _is_marker(blob: BlobProperties) -> bool:
    return not blob.size and is_directory(blob.metadata or {})


def _listed(blob: BlobProperties) -> Listed:
    return Listed(
        blob.name,
        bare_etag(blob.etag),
        blob.last_modified,
        blob.size,
        _md5(blob.content_settings),
        is_archived=str(blob.blob_tier or "") == ARCHIVE_TIER,
        is_directory=_is_marker(blob),
        metadata=blob.metadata or {},
        tags=blob.tags or {},
    )


def _md5(settings: object) -> bytes | None:
    md5 = getattr(settings, "content_md5", None)
    return bytes(md5) if md5 else None
