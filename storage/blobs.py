"""Reads source blobs: one request per blob, its size known before its body, one content only, checked on arrival.

Source blobs are never written: even a metadata write makes a new version and fires the trigger again.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ResourceNotModifiedError,
)

from inference.errors import ClassificationError, PermanentError, Reason, TransientError, printable
from storage.errors import translate, translate_errors
from storage.etags import bare_etag, quoted_etag, same_etag
from storage.keys import folder_of
from storage.listing import Listed, folder_pages, is_directory, list_pages
from storage.refusals import RefusedBlobError, refused_blob
from storage.results.record import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from azure.storage.blob import BlobServiceClient


_PIECE_BYTES = 4 * 1024 * 1024
_PROBES = 3
_LEVELS = 3  # of folders, from the top
_REFUSED_OR_GONE = frozenset({400, 401, 403, 404, 405, 409, 416})


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
    """The bytes of one content of a blob, with the properties of that content.

    Attributes:
        info: The properties.
        content: The bytes.
        is_directory: The blob only marks a directory (``hdi_isfolder``), as ADLS Gen2 and its clients write it.
        md5_mismatch: The MD5 in the blob's properties, which its uploader states, is not that of the content.
        content_md5: MD5 of the content, 32 lower-case hex digits.
        tag_count: How many index tags the blob has.
    """

    info: SourceInfo
    content: bytes
    is_directory: bool = False
    md5_mismatch: bool = False
    content_md5: str | None = None
    tag_count: int = 0


class TooLargeError(PermanentError):
    """The blob has more bytes than allowed; its body was not read."""

    def __init__(self, info: SourceInfo, max_bytes: int) -> None:
        super().__init__(
            Reason.TOO_MANY_BYTES,
            f"The file has {info.content_length:,} bytes; the limit is {max_bytes:,} (MAX_IMAGE_BYTES).",
        )
        self.info = info


class UnreadBlobError(ClassificationError):
    """Storage refuses this blob alone, and will refuse it again.

    Attributes:
        info: The blob's properties as the listing states them.
        refusal: The reason and a sentence.
    """

    def __init__(self, info: SourceInfo, refusal: RefusedBlobError) -> None:
        super().__init__(refusal.detail)
        self.info = info
        self.refusal = refusal


class SourceBlobs:
    """Reads blobs of the image account. Thread-safe.

    Args:
        service: A pooled client whose ``max_single_get_size`` is at least ``max_bytes``, so that one request suffices.
        max_bytes: The largest blob that is read.
    """

    def __init__(self, service: BlobServiceClient, max_bytes: int) -> None:
        self._service = service
        self._max_bytes = max_bytes
        self._last_read: Image | None = None

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
            UnreadBlobError: Storage refuses this blob alone, and will refuse it again.
            TransientError: Storage failed for now, the body has another length than announced, or two reads differ.
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
            raise self._unread(image, error) or translate(error, action) from None  # without a cause
        except AzureError as error:
            raise translate(error, action) from None
        info = check.info
        if info is None:
            raise TransientError(f"{action} failed for now (the response had no ETag).")
        if len(content) != info.content_length:
            raise TransientError(f"{action} gave {len(content)} bytes where storage announced {info.content_length}.")
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        mismatch = check.md5 is not None and md5 != check.md5
        if mismatch and self._md5_again(image, info, action) != md5:
            raise TransientError(f"{action} gave bytes whose MD5 differs from the one stored with the blob.")
        self._last_read = image
        return SourceBlob(info, content, not content and check.is_directory, mismatch, md5.hex(), check.tag_count)

    def _md5_again(self, image: Image, info: SourceInfo, action: str) -> bytes:
        """The MD5 of a second read of the same content, in pieces. Equal reads show that the stored MD5 is wrong."""
        blob = self._service.get_blob_client(image.container, image.blob_name)
        same: dict[str, Any] = {"etag": quoted_etag(info.etag), "match_condition": MatchConditions.IfNotModified}
        digest = hashlib.md5(usedforsecurity=False)
        with translate_errors(action):
            for offset in range(0, info.content_length, _PIECE_BYTES):
                digest.update(blob.download_blob(offset, _PIECE_BYTES, decompress=False, **same).readall())
        return digest.digest()

    def read_range(self, image: Image, etag: str, offset: int, length: int) -> bytes:
        """Read a part of one content of a blob: as many bytes as asked for, or those up to its end.

        Raises:
            FileNotFoundError: The blob is deleted, has another content now, or is refused by storage alone.
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        blob = self._service.get_blob_client(image.container, image.blob_name)
        same: dict[str, Any] = {"etag": quoted_etag(etag), "match_condition": MatchConditions.IfNotModified}
        action = printable(f"reading {image}")
        with translate_errors(action):
            try:
                return bytes(blob.download_blob(offset, length, decompress=False, **same).readall())
            except (ResourceNotFoundError, ResourceModifiedError) as error:
                raise FileNotFoundError(str(image)) from error
            except HttpResponseError as error:
                if error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # the blob ends before the offset
                    return b""
                self._info_of_refused(image, error, action)  # raises where not only this blob is refused
                raise FileNotFoundError(str(image)) from error

    def pages(self, container: str, *, prefix: str | None = None, with_tags: bool = False) -> Iterator[list[Listed]]:
        """Yield the blobs of a container, without directory markers; see ``list_pages``."""
        client = self._service.get_container_client(container)
        pages = list_pages(client, prefix=prefix, with_metadata=True, with_tags=with_tags)
        return ([blob for blob in page if not blob.is_directory] for page in pages)

    def has_container(self, container: str) -> bool:
        """Whether the container exists.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        with translate_errors(f"looking for the container {container}"):
            return self._service.get_container_client(container).exists()

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
            info = self._info_of_refused(image, error, f"checking whether {image} is current")
            return info is not None and same_etag(info.etag, etag)
        return True

    def info(self, image: Image) -> SourceInfo | None:
        """The properties of the blob; ``None`` when it is deleted.

        Raises:
            TransientError: Storage failed for now.
            ConfigurationError: Storage refused the request.
        """
        blob = self._service.get_blob_client(image.container, image.blob_name)
        try:
            properties = blob.get_blob_properties()
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            return self._info_of_refused(image, error, f"reading the properties of {image}")
        return SourceInfo(bare_etag(properties.etag), properties.last_modified, properties.size)

    def _info_of_refused(self, image: Image, error: AzureError, action: str) -> SourceInfo | None:
        """The listing's properties of a blob that storage refuses alone; every other failure is raised."""
        if self.refusal(image, error):
            return self._listed_info(image)
        raise translate(error, action) from None

    def _listed_info(self, image: Image) -> SourceInfo | None:
        """The properties of a blob as the listing states them; ``None`` when it is not listed."""
        container = self._service.get_container_client(image.container)
        for page in list_pages(container, prefix=image.blob_name, page_size=1):  # its own name sorts first
            for blob in page:
                is_same = blob.name == image.blob_name
                return SourceInfo(blob.etag, blob.last_modified, blob.content_length) if is_same else None
        return None

    def refusal(self, image: Image, error: AzureError) -> RefusedBlobError | None:
        """The error for one blob whose read failed; ``None`` if the failure concerns more than this blob, or passes.

        Raises:
            TransientError: Storage failed for now, so that nothing is known.
            ConfigurationError: Storage refused to list the container.
        """
        if not isinstance(error, HttpResponseError):
            return None
        return refused_blob(error, str(image), lambda: self._is_another_readable(image))

    def _unread(self, image: Image, error: HttpResponseError) -> Exception | None:
        refusal = self.refusal(image, error)
        if refusal is None:
            return None
        info = self._listed_info(image)
        return UnreadBlobError(info, refusal) if info else FileNotFoundError(str(image))

    def _is_another_readable(self, refused: Image) -> bool:
        """Whether storage returns any other blob of the container: the one read last, or some of the listing."""
        last = self._last_read
        if last is not None and last.container == refused.container and last != refused and self._is_readable(last):
            return True
        return any(map(self._is_readable, self._others(refused))) or any(
            map(self._is_readable, self._elsewhere(refused))
        )

    def _is_readable(self, image: Image) -> bool:
        """Whether one byte of a blob can be read.

        Raises:
            TransientError: Storage failed for now, so that nothing is known.
        """
        try:
            self._service.get_blob_client(image.container, image.blob_name).download_blob(offset=0, length=1).readall()
        except AzureError as error:
            refused_or_gone = isinstance(error, HttpResponseError) and error.status_code in _REFUSED_OR_GONE
            if refused_or_gone:
                return False
            raise translate(error, f"reading {image}") from None
        self._last_read = image  # the next refused blob need not list the container
        return True

    def _others(self, refused: Image) -> list[Image]:
        """A few other blobs from the first page of the listing, each in a folder of its own where there are several."""
        page = next(list_pages(self._service.get_container_client(refused.container)), [])
        others = [blob.name for blob in page if blob.content_length and blob.name != refused.blob_name]
        by_folder = {folder_of(name): name for name in reversed(others)}
        in_same_folder = by_folder.pop(folder_of(refused.blob_name), None)
        names = [*list(by_folder.values())[:_PROBES], *([in_same_folder] if in_same_folder else [])]
        return [Image(refused.container, name) for name in names]

    def _elsewhere(self, refused: Image) -> Iterator[Image]:
        """A few blobs beside the refused one's folders, from the top down: an ACL may refuse the whole first page."""
        container = self._service.get_container_client(refused.container)
        steps = refused.blob_name.split("/")
        for depth in range(min(len(steps) - 1, _LEVELS)):
            above = "".join(f"{step}/" for step in steps[:depth])
            names = next(folder_pages(container, above), [])
            others = [name for name in names if name != f"{above}{steps[depth]}/"]
            for name in dict.fromkeys([*others[:1], *others[len(others) // 2 :][:1], *others[-1:]]):
                page = next(list_pages(container, prefix=name, page_size=_PROBES), [])
                yield from (Image(refused.container, blob.name) for blob in page if blob.content_length)


class _ResponseCheck:
    """Checks each response's headers before its body is read, and keeps what they announce."""

    def __init__(self, max_bytes: int, on_length: Callable[[int], object]) -> None:
        self._max_bytes = max_bytes
        self._on_length = on_length
        self.info: SourceInfo | None = None
        self.md5: bytes | None = None
        self.is_directory = False
        self.tag_count = 0

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
        self.is_directory = is_directory({"hdi_isfolder": headers.get("x-ms-meta-hdi_isfolder")})
        self.tag_count = int(headers.get("x-ms-tag-count", 0))
        md5 = headers.get("x-ms-blob-content-md5") or (None if span else headers.get("Content-MD5"))
        self.md5 = base64.b64decode(md5) if md5 else None
        if length > self._max_bytes:
            http.internal_response.close()
            raise TooLargeError(info, self._max_bytes)
        if first:
            self._on_length(length)
