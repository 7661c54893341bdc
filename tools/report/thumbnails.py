"""Reads, decodes and shrinks images to thumbnails, on all usable CPUs and in bounded memory.

An image that was deleted, was changed, or cannot be read or decoded here gets no thumbnail but a reason; the others
follow. Thumbnails carry no metadata: a photo's GPS position must not leak into a page that people pass on.
"""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image as Pillow

from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.errors import ConfigurationError, PermanentError, TransientError
from inference.limits import Limits
from inference.resources.admission import Admission
from inference.resources.cpus import usable_cpus
from inference.resources.memory import budget_bytes
from storage.blobs import SourceBlobs
from storage.etags import same_etag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from storage.results.record import Record
    from tools.account import Account

# (minimum bytes allowed per thumbnail, pixels of its longer side). Photographs need about 0.15 bytes per pixel.
_SIDES = ((8_000, 256), (3_500, 160), (0, 112))
_MAX_BYTES = 20_000  # 256 pixels need no more
_ATTEMPTS = ((1.0, 72), (1.0, 50), (1.0, 28), (0.85, 28), (0.7, 25), (0.5, 20))  # (share of the side, WebP quality)
_READ_AHEAD = 4  # per thread: a slow image does not stall the others, and memory stays bounded


class MissingThumbnail(StrEnum):
    """Why an image has no thumbnail."""

    DELETED = "deleted"
    CHANGED = "changed"  # the blob's content is no longer the one that was classified
    UNDECODABLE = "undecodable"  # with the limits set on this machine
    UNREACHABLE = "unreachable"  # storage failed or refused


class ThumbnailSize(NamedTuple):
    """What a thumbnail may take.

    Attributes:
        side: Pixels of its longer side; a smaller image keeps its size.
        max_bytes: Its file's size. An image that compresses badly gets fewer pixels.
    """

    side: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Thumbnailer:
    """Makes thumbnails. Thread-safe.

    Attributes:
        source: Reads the blobs.
        limits: The images that are decoded.
        admission: Bounds the memory of concurrent downloads and decodes.
        size: The largest thumbnail.
    """

    source: SourceBlobs
    limits: Limits
    admission: Admission
    size: ThumbnailSize

    def thumbnails(self, records: Sequence[Record]) -> Iterator[bytes | MissingThumbnail]:
        """Yield a WebP image, or why there is none, for each record, in input order."""
        threads = max(2, usable_cpus() + 1)  # one waits for storage while the others decode
        with ThreadPoolExecutor(threads, "thumbnail") as pool:
            ahead: deque[Future[bytes | MissingThumbnail]] = deque()
            try:
                for record in records:
                    ahead.append(pool.submit(self._thumbnail, record))
                    if len(ahead) > threads * _READ_AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _thumbnail(self, record: Record) -> bytes | MissingThumbnail:
        with ExitStack() as reservations:
            try:
                blob = self.source.read(
                    record.image,
                    on_length=lambda length: reservations.enter_context(self.admission.reserve_content(length)),
                )
            except FileNotFoundError:
                return MissingThumbnail.DELETED
            except PermanentError:
                return MissingThumbnail.UNDECODABLE  # the blob is now larger than the limit
            except (TransientError, ConfigurationError):
                return MissingThumbnail.UNREACHABLE
            if blob is None or not same_etag(blob.info.etag, record.etag):
                return MissingThumbnail.CHANGED
            try:
                return self._shrink(blob.content)
            except (PermanentError, TransientError):  # TransientError: out of memory
                return MissingThumbnail.UNDECODABLE

    def _shrink(self, content: bytes) -> bytes | MissingThumbnail:
        header = read_header(content, self.limits)
        size = _fit(header.info.width, header.info.height, self.size.side)
        plan = plan_decode(header, size)._replace(keep_damaged=self.limits.accept_damaged)
        with self.admission.reserve(plan.memory_bytes):
            decoded = decode(content, plan)
        small = decoded.image.resize(size, Pillow.Resampling.LANCZOS, box=decoded.box)
        for share, quality in _ATTEMPTS:
            size = _fit(*small.size, round(self.size.side * share))
            sized = small if small.size == size else small.resize(size, Pillow.Resampling.LANCZOS)
            file = io.BytesIO()
            sized.save(file, "WEBP", quality=quality, icc_profile=b"", exif=b"", xmp=b"")
            if file.tell() <= self.size.max_bytes:
                return file.getvalue()
        return MissingThumbnail.UNDECODABLE


def size_within(total_bytes: int, images: int) -> ThumbnailSize:
    """The largest size of each thumbnail for which ``images`` of them stay within ``total_bytes``."""
    max_bytes = min(_MAX_BYTES, total_bytes // max(1, images))
    return ThumbnailSize(next(side for min_bytes, side in _SIDES if max_bytes >= min_bytes), max_bytes)


def open_thumbnailer(account: Account, size: ThumbnailSize) -> Thumbnailer:
    """A thumbnailer for the images of an account, with the account's limits."""
    settings = account.settings
    limits = Limits(
        max_bytes=settings.max_image_bytes,
        max_pixels=settings.max_image_pixels,
        accept_damaged=True,  # a damaged picture was classified by its decoded part, so a page shows that part
    )
    admission = Admission(budget_bytes(settings.decode_budget_mib))
    return Thumbnailer(SourceBlobs(account.clients.blobs, limits.max_bytes), limits, admission, size)


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Scale a size down so that its longer side is at most ``side``; never up."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
