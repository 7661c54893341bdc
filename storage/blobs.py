"""Reading source blobs: one request, size known before the body, one content only, checked on arrival.

Source blobs are never written: a metadata write would be a new version, and would fire the trigger again.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ResourceNotModifiedError,
)

from inference.errors import PermanentError, Reason, TransientError
from storage.errors import one_line, translate, translated
from storage.listing import Listed, list_pages
from storage.results.record import Image, bare_etag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from azure.storage.blob import BlobServiceClient


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What storage says of a source blob, without its bytes.

    Attributes:
        etag: Without quotes.
        last_modified: Aware UTC, one-second grain.
        content_length: Bytes.
    """

    etag: str
    last_modified: datetime
    content_length: int


@dataclass(frozen=True, slots=True)
class SourceBlob:
    """The bytes of one content of a blob, and which content they are."""

    info: SourceInfo
    content: bytes


class TooLargeError(PermanentError):
    """The blob has more bytes than allowed; its body was never read."""

    def __init__(self, info: SourceInfo, max_bytes: int) -> None:
        super().__init__(
            Reason.TOO_MANY_BYTES,
            f"The file has {info.content_length:,} bytes; the limit is {max_bytes:,} (MAX_IMAGE_BYTES).",
        )
        self.info = info


class SourceBlobs:
    """Reads blobs of the image account. Thread-safe.

    Args:
        service: A pooled client whose ``max_single_get_size`` is at least ``max_bytes``, so that one request suffices.
        max_bytes: The largest blob that is read.
    """

    def __init__(self, service: BlobServiceClient, max_bytes: int) -> None:
        self._service = service
        self._max_bytes = max_bytes

    def read(
        self, image: Image, *, unless_etag: str | None = None, on_length: Callable[[int], object] = lambda _: None
    ) -> SourceBlob | None:
        """Read a blob's current content in one request.

        Args:
            image: Which blob.
            unless_etag: If the blob still has this ETag there is nothing to do, and nothing is downloaded.
            on_length: Called once with the length of the body before it is read; it may block until there is memory.

        Returns:
            The bytes with their own ETag, or ``None`` when the blob still has ``unless_etag``.

        Raises:
            FileNotFoundError: There is no such blob (any more).
            TooLargeError: It has more than ``max_bytes``; the body was not read.
            TransientError: Storage failed for now, or the bytes that came are not the bytes that were promised.
            ConfigurationError: Storage refused the request.
        """
        action = one_line(f"reading {image}")
        arrival = _Arrival(self._max_bytes, on_length)
        # The first response answers everything: 304 and 404 end it, its headers carry size and ETag before the body.
        # The bytes are taken as they are stored: unpacked by a Content-Encoding they would not be the length promised.
        conditions: dict[str, Any] = {"decompress": False}
        if unless_etag:
            conditions |= {"etag": f'"{bare_etag(unless_etag)}"', "match_condition": MatchConditions.IfModified}
        blob = self._service.get_blob_client(image.container, image.blob_name)
        try:
            body = blob.download_blob(raw_request_hook=arrival.watch, max_concurrency=1, **conditions)
            content = b"".join(body.chunks())  # one chunk: no copy, as ``readall`` makes through a stream of its own
        except ResourceNotFoundError as error:
            raise FileNotFoundError(str(image)) from error
        except ResourceNotModifiedError:
            return None
        except HttpResponseError as error:
            if error.status_code == 304:  # the SDK has a class for this, but not on every path
                return None
            raise translate(error, action) from None  # as ``translated`` does, and for its reason
        except AzureError as error:
            raise translate(error, action) from None
        info = arrival.info
        if info is None:
            raise TransientError(f"{action} failed for now (the answer had no ETag).")
        _check_integrity(action, content, info, arrival.md5)
        return SourceBlob(info, content)

    def pages(self, container: str, *, prefix: str | None = None) -> Iterator[list[Listed]]:
        """Yield what a container holds; see ``list_pages``."""
        return list_pages(self._service.get_container_client(container), prefix=prefix)

    def is_current(self, image: Image, etag: str) -> bool:
        """Whether the blob exists and still has this ETag (a conditional HEAD: Last-Modified is too coarse to tell)."""
        blob = self._service.get_blob_client(image.container, image.blob_name)
        try:
            blob.get_blob_properties(etag=f'"{bare_etag(etag)}"', match_condition=MatchConditions.IfNotModified)
        except (ResourceNotFoundError, ResourceModifiedError):
            return False
        except AzureError as error:
            raise translate(error, f"asking whether {image} is current") from None
        return True

    def info(self, image: Image) -> SourceInfo | None:
        """What the blob is now, without reading it; ``None`` when it is gone."""
        blob = self._service.get_blob_client(image.container, image.blob_name)
        with translated(f"looking at {image}"):
            try:
                properties = blob.get_blob_properties()
            except ResourceNotFoundError:
                return None
        return SourceInfo(bare_etag(properties.etag), properties.last_modified, properties.size)


class _Arrival:
    """Looks at each response's headers before its body is read, and remembers what they promise."""

    def __init__(self, max_bytes: int, on_length: Callable[[int], object]) -> None:
        self._max_bytes = max_bytes
        self._on_length = on_length
        self.info: SourceInfo | None = None
        self.md5: bytes | None = None

    def watch(self, request: Any) -> None:
        # Not raw_response_hook: the SDK forgets that one when a connection drops and it sends the request again, and
        # the second answer would come unchecked. What stands in the request's context is asked each time.
        request.context["response_callback"] = self.check

    def check(self, response: Any) -> None:
        http = response.http_response
        if http.status_code not in {200, 206}:
            return
        headers = http.headers
        span = headers.get("Content-Range")
        length = int(span.rpartition("/")[2]) if span else int(headers.get("Content-Length", 0))
        info = SourceInfo(bare_etag(headers["ETag"]), parsedate_to_datetime(headers["Last-Modified"]), length)
        if self.info is not None and self.info.etag != info.etag:
            http.internal_response.close()
            raise TransientError(f"The blob changed from {self.info.etag} to {info.etag} while it was read.")
        first = self.info is None
        self.info = info
        md5 = headers.get("x-ms-blob-content-md5") or (None if span else headers.get("Content-MD5"))
        self.md5 = base64.b64decode(md5) if md5 else None
        if length > self._max_bytes:
            http.internal_response.close()
            raise TooLargeError(info, self._max_bytes)
        if first:
            self._on_length(length)


def _check_integrity(action: str, content: bytes, info: SourceInfo, md5: bytes | None) -> None:
    if len(content) != info.content_length:
        raise TransientError(f"{action} gave {len(content)} bytes where storage promised {info.content_length}.")
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).digest() != md5:
        raise TransientError(f"{action} gave bytes whose MD5 is not the one stored with the blob.")
