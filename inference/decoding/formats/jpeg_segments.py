"""The segments of a JPEG up to its first scan (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from inference.decoding.formats.chunk_limit import ChunkLimit
from inference.decoding.formats.refusals import corrupt, truncated
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = re.compile(rb"\xff+[^\xff]")  # any number of 0xFF may precede a marker's code
END = b"\xff\xd9"
START_OF_SCAN = 0xDA

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # T.81, table B.1
_PROGRESSIVE = 0xC2
_TABLES = frozenset({0xC4, 0xDB, 0xDD})  # Huffman codes, quantisation, restart interval
ADOBE = 0xEE
JFIF = 0xE0
_EXIF_OR_XMP = 0xE1
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_MAX_JUNK_BYTES = 65_536  # between segments
_MAX_EXIF_SEGMENTS = 256  # 16 MiB
_PROFILE = 0xE2
_PROFILE_NAME = b"ICC_PROFILE\0"  # then the number of this part and of all parts
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


class Segments(NamedTuple):
    """The facts before the first scan.

    Attributes:
        frame: The marker's code of the frame header, which names the coding process.
        precision: Bits per sample.
        width: Stored pixels.
        height: Stored pixels.
        sampling: The horizontal and vertical sampling factors of each component.
        scan: The offset of the first scan's marker.
        has_several_scans: Whether others follow: progressive, or one for each component.
        exif: The EXIF block with its prefix; ``None`` where there is none.
        xmp: The XMP packet; ``None`` where there is none.
        profile: The (number, start, end) of each part of the ICC profile.
        needed: The (start, end) of the segments that a decoder needs, from the marker on.
    """

    frame: int
    precision: int
    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]
    scan: int
    has_several_scans: bool
    exif: bytes | None
    xmp: bytes | None
    profile: tuple[tuple[int, int, int], ...]
    needed: tuple[tuple[int, int], ...]

    @property
    def samples_per_pixel(self) -> float:
        """1.5 for 4:2:0, 3.0 for 4:4:4 ..."""
        return sum(h * v for h, v in self.sampling) / (self.largest_sampling[0] * self.largest_sampling[1])

    @property
    def largest_sampling(self) -> tuple[int, int]:
        """The blocks of 8 x 8 pixels across and down in one coded unit."""
        return max(h for h, _ in self.sampling), max(v for _, v in self.sampling)

    @property
    def is_progressive(self) -> bool:
        """Whether each scan refines the whole picture."""
        return self.frame == _PROGRESSIVE


class _Segment(NamedTuple):
    """A segment: its marker's code, and the offsets of its marker, its body behind the length, and its end."""

    code: int
    start: int
    body: int
    end: int


def read_segments(content: bytes, chunks: ChunkLimit | None = None) -> Segments:
    """Read the segments up to the first scan; a file that was validated before needs no limit.

    Bytes between segments are skipped, as every decoder does.

    Raises:
        PermanentError: ``truncated``, ``corrupt``, ``decompression_bomb`` or ``too_many_frames``.
        struct.error, IndexError: The file ends inside a segment.
    """
    frame: _Segment | None = None
    exif: list[bytes] = []
    xmp: bytes | None = None
    profile: list[tuple[int, int, int]] = []
    needed: list[tuple[int, int]] = []
    for segment in _segments(content, chunks or ChunkLimit(len(content))):
        code, start, body, end = segment
        if code in _FRAMES:
            frame = segment
        if code in _FRAMES or code in _TABLES or _states_colours(content, segment):
            needed.append((start, end))
        elif code == _EXIF_OR_XMP and content[body : body + 4] == b"Exif":
            exif.append(content[body if not exif else body + 6 : end])
            if len(exif) > _MAX_EXIF_SEGMENTS:
                raise PermanentError(
                    Reason.DECOMPRESSION_BOMB, f"The file carries more than {_MAX_EXIF_SEGMENTS} EXIF segments."
                )
        elif code == _EXIF_OR_XMP and content.startswith(_XMP, body):
            xmp = content[body + len(_XMP) : end]
        elif code == _PROFILE and content.startswith(_PROFILE_NAME, body) and end - body > len(_PROFILE_NAME) + 2:
            profile.append((content[body + len(_PROFILE_NAME)], body + len(_PROFILE_NAME) + 2, end))
    if frame is None:
        raise corrupt("its picture data begins without a frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", content, frame.body)
    factors = [content[frame.body + 7 + 3 * index] for index in range(components)]
    return Segments(
        frame=frame.code,
        precision=precision,
        width=width,
        height=height,
        sampling=tuple((byte >> 4, byte & 15) for byte in factors),
        scan=segment.start,
        has_several_scans=frame.code == _PROGRESSIVE or content[segment.body] < components,
        exif=b"".join(exif) or None,
        xmp=xmp,
        profile=tuple(profile),
        needed=tuple(needed),
    )


def _segments(content: bytes, chunks: ChunkLimit) -> Iterator[_Segment]:
    """Yield the segments in order; the last is the header of the first scan."""
    at, junk, code = 2, 0, 0
    while code != START_OF_SCAN:
        chunks.count()
        found = MARKER.search(content, at)
        if found is None:
            raise truncated(content, "no picture data begins")
        junk += found.end() - 2 - at
        if junk > _MAX_JUNK_BYTES:
            raise corrupt(f"{junk:,} bytes between its segments belong to none of them")
        start, at = found.end() - 2, found.end()
        code = content[start + 1]
        if code == END[1]:
            raise corrupt("it ends before any picture data")
        if code in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", content, at)
        at += max(length, 2)
        yield _Segment(code, start, start + 4, at)


def _states_colours(content: bytes, segment: _Segment) -> bool:
    """Return whether it is a whole JFIF or Adobe segment; a decoder ignores shorter ones."""
    code, _, body, end = segment
    if code == ADOBE:
        return content.startswith(b"Adobe", body) and end - body >= 12
    return code == JFIF and content.startswith(b"JFIF\0", body) and end - body >= 14
