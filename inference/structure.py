"""Is the file whole? A walk over each container's own lengths, without decoding a pixel.

Some decoders fill what is missing with grey or stop early without a word (JPEG 2000, GIF, BMP with run lengths), and
all of them notice late. The walk costs microseconds and also bounds how many chunks and frames a parser will meet.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inference.limits import Limits

_JPEG_MARKER = re.compile(rb"\xff+[^\xff]")
_MAX_JUNK_BYTES = 65_536  # between JPEG segments; Pillow walks it byte by byte
_MAX_EXIF_SEGMENTS = 256  # 16 MiB; Pillow joins them in quadratic time
_MAX_ICON_PIXELS = 1024 * 1024  # an icon is 256 x 256 by its format; 1024 is seen in the wild

_TIFF_SUB_IFDS = 330
_TIFF_NEW_SUBFILE_TYPE = 254
_TIFF_DNG_VERSION = 50706
_TIFF_LAYOUT = frozenset({258, 273, 279, 324, 325})  # bits per sample, offsets and lengths of strips and tiles
_TIFF_SHORT = 3
_TIFF_SIZES = {
    3: 2,
    4: 4,
    5: 8,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}  # bytes of a value by type
_BIG_TIFF_ENTRY_BYTES = 20


def check_structure(kind: str, content: bytes, limits: Limits) -> int:
    """Walk the container of format ``kind`` and count its frames (1 where the format has no notion of them).

    Raises:
        PermanentError: ``truncated``, ``corrupt``, ``too_many_frames`` (or chunks), ``decompression_bomb`` or, for raw
            photos inside TIFF, ``unsupported_format``.
    """
    walk = _WALKS.get(kind)
    if walk is None:
        return 1
    try:
        frames = walk(content, _Counter(limits.max_chunks))
    except (struct.error, IndexError) as error:
        raise _truncated(content, "its header is cut off") from error
    except OverflowError as error:  # a 64-bit offset no file can have
        raise _corrupt("it points outside of any file") from error
    if frames > limits.max_frames:
        raise PermanentError(
            Reason.TOO_MANY_FRAMES, f"The file holds {frames:,} frames or pages; the limit is {limits.max_frames:,}."
        )
    return frames


class _Counter:
    """Counts the pieces of one file and refuses at the limit."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._limit = limit

    def count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise PermanentError(
                Reason.TOO_MANY_FRAMES, f"The file is made of more than {self._limit:,} chunks, the limit."
            )


def _truncated(content: bytes, why: str) -> PermanentError:
    return PermanentError(Reason.TRUNCATED, f"The file ends too early, after {len(content):,} bytes: {why}.")


def _corrupt(why: str) -> PermanentError:
    return PermanentError(Reason.CORRUPT, f"The file is damaged: {why}.")


def jpeg_scan_start(content: bytes) -> int:
    """Find where the first scan's header stands in a JPEG that ``check_structure`` has passed."""
    return _jpeg_scan(content, _Counter(len(content)))


def _walk_jpeg(content: bytes, pieces: _Counter) -> int:
    if content.rfind(b"\xff\xd9", _jpeg_scan(content, pieces)) < 0:
        raise _truncated(content, "the end-of-image marker is missing")
    return 1


def _jpeg_scan(content: bytes, pieces: _Counter) -> int:
    at = 2
    junk = exif_segments = 0
    marker = 0
    while marker != 0xDA:  # start of scan
        pieces.count()
        marker_at = _next_jpeg_marker(content, at)
        junk += marker_at - at - 1
        if junk > _MAX_JUNK_BYTES:
            raise _corrupt(f"{junk:,} bytes of junk stand between its segments")
        marker = content[marker_at]
        at = marker_at + 1
        if marker == 0xD9:
            raise _corrupt("it ends before any picture data")
        if marker in {0x00, 0x01} or 0xD0 <= marker <= 0xD8:
            continue
        (length,) = struct.unpack_from(">H", content, at)
        if marker == 0xE1 and content[at + 2 : at + 6] == b"Exif":
            exif_segments += 1
            if exif_segments > _MAX_EXIF_SEGMENTS:
                raise PermanentError(
                    Reason.DECOMPRESSION_BOMB, f"The file carries more than {_MAX_EXIF_SEGMENTS} EXIF segments."
                )
        at += max(length, 2)
    return at


def _next_jpeg_marker(content: bytes, at: int) -> int:
    """Find the code of the next marker; any number of 0xFF may stand before it."""
    marker = _JPEG_MARKER.search(content, at)
    if marker is None:
        raise _truncated(content, "no picture data begins")
    return marker.end() - 1


def _walk_png(content: bytes, pieces: _Counter) -> int:
    frames = 1
    for kind, start, length in png_chunks(content):
        pieces.count()
        if kind == b"acTL":
            (frames,) = struct.unpack_from(">I", content, start)
        if start + length + 4 > len(content):
            raise _truncated(content, f"a {_printable(kind)} chunk of {length:,} bytes is incomplete")
    return frames


def png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start of the body and length of every chunk, up to and with ``IEND``."""
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, at + 8, length
        at += 12 + length


def _walk_webp(content: bytes, pieces: _Counter) -> int:
    (size,) = struct.unpack_from("<I", content, 4)
    if size + 8 > len(content):
        raise _truncated(content, f"its header promises {size + 8:,}")
    at = 12
    frames = 0
    while at + 8 <= min(size + 8, len(content)):
        pieces.count()
        kind, length = struct.unpack_from("<4sI", content, at)
        frames += kind == b"ANMF"
        at += 8 + length + (length & 1)
    return max(frames, 1)


def _walk_gif(content: bytes, pieces: _Counter) -> int:
    flags = content[10]
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    frames = 0
    while True:
        pieces.count()
        block = content[at]
        if block == 0x3B:
            break
        if block == 0x2C:
            frames += 1
            flags = content[at + 9]
            at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
        elif block == 0x21:
            at += 2
        elif block == 0:
            at += 1
            continue
        else:
            raise _corrupt(f"byte {at:,} begins no GIF block")
        while content[at]:
            at += 1 + content[at]
        at += 1
    if frames == 0:
        raise _corrupt("it holds no picture")
    return frames


def _walk_boxes(content: bytes, pieces: _Counter) -> int:
    """Walk the top-level boxes that AVIF, HEIF and JP2 share."""
    if content[:2] == b"\xff\x4f":  # a bare JPEG 2000 codestream
        if content.rfind(b"\xff\xd9") < 0:
            raise _truncated(content, "the end-of-codestream marker is missing")
        return 1
    at = 0
    while at < len(content):
        pieces.count()
        size, kind = struct.unpack_from(">I4s", content, at)
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, at + 8)
        elif size == 0:
            break
        if size < 8:
            break  # padding after the last box
        at += size
        if at > len(content):
            raise _truncated(content, f"a {_printable(kind)} box of {size:,} bytes is incomplete")
    return 1


def _walk_ico(content: bytes, pieces: _Counter) -> int:
    (count,) = struct.unpack_from("<H", content, 4)
    for index in range(count):
        pieces.count()
        size, offset = struct.unpack_from("<II", content, 6 + 16 * index + 8)
        if offset + size > len(content):
            raise _truncated(content, f"picture {index + 1} of {count} is incomplete")
        if content[offset : offset + 8] == b"\x89PNG\r\n\x1a\n":
            width, height = struct.unpack_from(">II", content, offset + 16)
            if width * height > _MAX_ICON_PIXELS:
                raise PermanentError(
                    Reason.DECOMPRESSION_BOMB, f"An icon's picture claims {width:,} x {height:,} pixels."
                )
    return 1


def _walk_tiff(content: bytes, pieces: _Counter) -> int:
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in {b"+\x00", b"\x00+"}
    entry_bytes, count_format, offset_format = (_BIG_TIFF_ENTRY_BYTES, "Q", "Q") if big else (12, "H", "I")
    (at,) = struct.unpack_from(order + offset_format, content, 8 if big else 4)
    seen: set[int] = set()
    while at and at not in seen:
        seen.add(at)
        pieces.count()
        (count,) = struct.unpack_from(order + count_format, content, at)
        first = at + struct.calcsize(count_format)
        if len(seen) == 1:
            _check_first_page(content, order, range(first, first + count * entry_bytes, entry_bytes), pieces)
        (at,) = struct.unpack_from(order + offset_format, content, first + count * entry_bytes)
    return len(seen)


def _check_first_page(content: bytes, order: str, entries: range, pieces: _Counter) -> None:
    """Check that the layout of the picture is in the file, and that the picture is not a raw photo's thumbnail."""
    wide = entries.step == _BIG_TIFF_ENTRY_BYTES
    tags: dict[int, int] = {}
    for at in entries:
        pieces.count()
        tag, kind, count, value = struct.unpack_from(order + ("HHQQ" if wide else "HHII"), content, at)
        size = count * _TIFF_SIZES.get(kind, 1)
        if tag in _TIFF_LAYOUT and size > (8 if wide else 4) and value + size > len(content):
            raise _truncated(content, f"its layout (tag {tag}) stands behind the end")
        (tags[tag],) = (
            struct.unpack_from(order + "H", content, at + (12 if wide else 8)) if kind == _TIFF_SHORT else (value,)
        )
    if _TIFF_DNG_VERSION in tags:
        raise _raw("DNG")
    if _TIFF_SUB_IFDS in tags and tags.get(_TIFF_NEW_SUBFILE_TYPE, 0) & 1:
        raise _raw("such as NEF")


def _raw(name: str) -> PermanentError:
    detail = f"The content is a camera raw file ({name}), which is not decoded here."
    return PermanentError(Reason.UNSUPPORTED_FORMAT, detail)


def _printable(kind: bytes) -> str:
    return kind.decode("ascii", "replace") if kind.isalnum() else "nameless"


_WALKS: dict[str, Callable[[bytes, _Counter], int]] = {
    "jpeg": _walk_jpeg,
    "png": _walk_png,
    "webp": _walk_webp,
    "gif": _walk_gif,
    "tiff": _walk_tiff,
    "ico": _walk_ico,
    "avif": _walk_boxes,
    "heif": _walk_boxes,
    "jpeg2000": _walk_boxes,
}
