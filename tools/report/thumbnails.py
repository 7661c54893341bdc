"""Thumbnails of the images themselves: read, decoded and shrunk on all cores, in bounded memory.

An image that is gone, was changed since, or cannot be read or decoded here has none, and the page says which: it never
stops a report. Metadata is left behind: a photo's GPS position has no business in a page that is passed around.
"""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from PIL import Image as Pillow

from inference.decoding.decode import decode, read_header
from inference.decoding.memory_cost import decode_cost
from inference.errors import ConfigurationError, PermanentError, TransientError
from inference.resources.cpus import usable_cpus
from storage.results.record import same_etag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from inference.limits import Limits
    from inference.resources.admission import Admission
    from storage.blobs import SourceBlobs
    from storage.results.record import Record

# Bytes that one thumbnail may take -> pixels of its longer side. Photographs need about 0.15 bytes per pixel.
_SIDES = ((8_000, 256), (3_500, 160), (0, 112))
_MOST_BYTES = 20_000  # at 256 pixels nothing is gained beyond
_ATTEMPTS = ((1.0, 72), (1.0, 50), (1.0, 28), (0.85, 28), (0.7, 25), (0.5, 20))  # share of the side, WebP quality
_READ_AHEAD = 4  # per thread: enough that no thread waits for a slow neighbour, few enough to bound memory


class Missing(StrEnum):
    """Why an image has no thumbnail."""

    GONE = "gone"  # the blob was deleted
    CHANGED = "changed"  # the blob is not what was judged any more
    UNDECODABLE = "undecodable"  # not with the limits that are set here
    UNREACHABLE = "unreachable"  # storage failed or refused


@dataclass(frozen=True, slots=True)
class Workshop:
    """What making thumbnails needs. Thread-safe.

    Attributes:
        source: Reads images.
        limits: What is decoded at all.
        admission: Bounds what is downloaded and decoded at one moment.
        max_bytes: The most one thumbnail may take; its size in pixels follows.
    """

    source: SourceBlobs
    limits: Limits
    admission: Admission
    max_bytes: int

    def thumbnails(self, records: Sequence[Record]) -> Iterator[bytes | Missing]:
        """Yield a WebP image, or why there is none, for each record, in their order."""
        threads = max(2, usable_cpus() + 1)  # one more than decode: storage is waited for
        with ThreadPoolExecutor(threads, "thumbnail") as pool:
            ahead: deque[Future[bytes | Missing]] = deque()
            try:
                for record in records:
                    ahead.append(pool.submit(self._thumbnail, record))
                    if len(ahead) > threads * _READ_AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _thumbnail(self, record: Record) -> bytes | Missing:
        with ExitStack() as held:
            try:
                blob = self.source.read(
                    record.image,
                    on_length=lambda length: held.enter_context(self.admission.reserve_content(length)),
                )
            except FileNotFoundError:
                return Missing.GONE
            except PermanentError:
                return Missing.UNDECODABLE  # it has become larger than is read
            except (TransientError, ConfigurationError):
                return Missing.UNREACHABLE
            if blob is None or not same_etag(blob.info.etag, record.etag):
                return Missing.CHANGED
            try:
                return self._shrunk(blob.content)
            except (PermanentError, TransientError):  # the latter: memory ran out
                return Missing.UNDECODABLE

    def _shrunk(self, content: bytes) -> bytes | Missing:
        side = next(side for least, side in _SIDES if self.max_bytes >= least)
        header = read_header(content, self.limits)

        def needed(width: int, height: int) -> tuple[int, int]:
            return _fitted(width, height, side)

        with self.admission.reserve(decode_cost(header, needed)):
            decoded = decode(content, header, needed=needed)
        size = needed(decoded.info.width, decoded.info.height)
        small = decoded.image.resize(size, Pillow.Resampling.LANCZOS, box=decoded.box)
        for share, quality in _ATTEMPTS:
            size = _fitted(*small.size, round(side * share))
            sized = small if small.size == size else small.resize(size, Pillow.Resampling.LANCZOS)
            file = io.BytesIO()
            sized.save(file, "WEBP", quality=quality, icc_profile=b"", exif=b"", xmp=b"")
            if file.tell() <= self.max_bytes:
                return file.getvalue()
        return Missing.UNDECODABLE


def bytes_each(total_bytes: int, images: int) -> int:
    """How many bytes each of so many thumbnails may take, so that together they stay within ``total_bytes``."""
    return min(_MOST_BYTES, total_bytes // max(1, images))


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """The size whose longer side is ``side`` at most, never enlarged."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
