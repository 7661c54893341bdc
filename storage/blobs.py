"""Reads source blobs: one request per blob, its size known before its body, one content only, checked on arrival.

Source blobs are never written: even a metadata write makes a new version and fires the trigger again.
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

from inference.errors import PermanentError, Reason, TransientError, printable
from storage.errors import translate, translate_errors
from storage.etags import bare_etag, quoted_etag
from storage.listing import Listed, list_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from azure.storage.blob import BlobServiceClient

    from storage.results.record import Image


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """The properties of a source blob.

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
    """The bytes of one content of a blob, with the properties of that content."""

    info: SourceInfo
    content: bytes


class TooLargeError(PermanentError):
    """The blob has more bytes than allowed; its body was not read."""

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
            image: The blob to read.
            unless_etag: If the blob still has this ETag, nothing is downloaded.
            on_length: Called once with the length of the body in bytes before it is read; it may block until there is
                memory.

        Returns:
            The bytes with their own ETag, or ``None`` when the blob still has ``unless_etag``.

        Raises:
            FileNotFoundError: The blob does not exist.
            TooLargeError: It has more than ``max_bytes``; the body was not read.
            TransientError: Storage failed for now, or the bytes do not match the length or MD5 in the headers.
            ConfigurationError: Storage refused the request.
        """
        action = printable(f"reading {image}")
        check = _ResponseCheck(self._max_bytes, on_length)
        # One response is enough: 304 and 404 end the read, and the headers hold size and ETag before the body.
        # Bytes are read as stored: decoded by a Content-Encoding they would not have the length in the headers.
        conditions: dict[str, Any] = {"decompress": False}
        if unless_etag:
            conditions |= {"etag": quoted_etag(unless_etag), "match_condition": MatchConditions.IfModified}
        blob = self._service.get_blob_client(image.container, image.blob_name)
        try:
            body = blob.download_blob(raw_request_hook=check.attach, max_concurrency=1, **conditions)
            content = b"".join(body.chunks())  # one chunk, without the copy that ``readall`` makes
        except ResourceNotFoundError as error:
            raise FileNotFoundError(str(image)) from error
        except ResourceNotModifiedError:
            return None
        except HttpResponseError as error:
            if error.status_code == 304:  # the SDK has a class for this, but not on every path
                return None
            raise translate(error, action) from None  # without a cause, see ``translate_errors``
        except AzureError as error:
            raise translate(error, action) from None
        info = check.info
        if info is None:
            raise TransientError(f"{action} failed for now (the response had no ETag).")
        _check_integrity(action, content, info, check.md5)
        return SourceBlob(info, content)

    def pages(self, container: str, *, prefix: str | None = None) -> Iterator[list[Listed]]:
        """Yield the blobs of a container; see ``list_pages``."""
        return list_pages(self._service.get_container_client(container), prefix=prefix)

    def is_current(self, image: Image, etag: str) -> bool:
        """Whether the blob exists and still has this ETag. A conditional HEAD, because Last-Modified is too coarse.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        blob = self._service.get_blob_client(image.container, image.blob_name)
        try:
            blob.get_blob_properties(etag=quoted_etag(etag), match_condition=MatchConditions.IfNotModified)
        except (ResourceNotFoundError, ResourceModifiedError):
            return False
        except AzureError as error:
            raise translate(error, f"checking whether {image} is current") from None
        return True

    def info(self, image: Image) -> SourceInfo | None:
        """The properties of the blob; ``None`` when it is deleted.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        blob = self._service.get_blob_client(image.container, image.blob_name)
        with translate_errors(f"reading the properties of {image}"):
            try:
                properties = blob.get_blob_properties()
            except ResourceNotFoundError:
                return None
        return SourceInfo(bare_etag(properties.etag), properties.last_modified, properties.size)


class _ResponseCheck:
    """Checks each response's headers before its body is read, and keeps what they announce."""

    def __init__(self, max_bytes: int, on_length: Callable[[int], object]) -> None:
        self._max_bytes = max_bytes
        self._on_length = on_length
        self.info: SourceInfo | None = None
        self.md5: bytes | None = None

    def attach(self, request: Any) -> None:
        # Not raw_response_hook: after a dropped connection the SDK repeats the request without that hook, and the
        # second response would not be checked. A callback in the request's context is called for every response.
        request.context["response_callback"] = self._check

    def _check(self, response: Any) -> None:
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
        raise TransientError(f"{action} gave {len(content)} bytes where storage announced {info.content_length}.")
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).digest() != md5:
        raise TransientError(f"{action} gave bytes whose MD5 differs from the one stored with the blob.")
