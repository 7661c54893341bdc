"""ISO BMFF boxes, each with a length and a name (ISO/IEC 14496-12): the container of AVIF, HEIF and JP2."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.formats.refusals import chunk_name, truncated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.errors import PermanentError

# A picture misses something where one of these is cut; other boxes may belong to data appended to the file.
_NEEDED = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"jP  ", b"jp2h", b"jp2c"})


class Box(NamedTuple):
    """One box: its name, and where its body begins and ends."""

    kind: bytes
    start: int
    end: int


def boxes(content: bytes, start: int, end: int, chunks: ChunkLimit) -> Iterator[Box]:
    """Yield the boxes between ``start`` and ``end``, up to the first that does not fit."""
    while start + 8 <= end:
        chunks.count()
        size, kind = struct.unpack_from(">I4s", content, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, body)
            body += 8
        stop = start + size if size else end
        if not body <= stop <= end:
            return
        yield Box(kind, body, stop)
        start = stop


class CutBox(NamedTuple):
    """A box that a picture needs and that ends behind the file."""

    kind: bytes
    size: int
    missing: int  # bytes

    def refusal(self, content: bytes) -> PermanentError:
        """Return the refusal of its file."""
        return truncated(content, f"a {chunk_name(self.kind)} box of {self.size:,} bytes is incomplete")


def find_cut_box(content: bytes, chunks: ChunkLimit) -> CutBox | None:
    """Return the top-level box of a picture that is cut; data appended to the file is no box.

    Raises:
        PermanentError: ``too_many_frames``: there are more boxes than the limit.
        struct.error: The file ends inside a box's header.
    """
    at = 0
    while at < len(content):
        chunks.count()
        if at and at + 8 > len(content):
            break
        size, kind = struct.unpack_from(">I4s", content, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
        elif size == 0:
            break
        if size < 8:
            break  # padding after the last box
        at += size
        if at > len(content) and kind in _NEEDED:
            return CutBox(kind, size, at - len(content))
    return None


def check_boxes(content: bytes, chunks: ChunkLimit) -> None:
    """Check that every top-level box of a picture is whole.

    Raises:
        PermanentError: ``truncated``, or ``too_many_frames`` where there are more boxes than the limit.
        struct.error: The file ends inside a box's header.
    """
    if cut := find_cut_box(content, chunks):
        raise cut.refusal(content)
