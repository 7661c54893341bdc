"""The chunks of a PNG (PNG Specification, third edition), and the metadata in them, read within bounds."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from inference.decoding.color_profile import name_cicp, name_profile

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_EXIF_KEYWORD = b"Raw profile type exif\0"  # ImageMagick's way before there was eXIf
_MAX_INFLATED_BYTES = 1024 * 1024  # EXIF blocks and XMP packets that state an orientation have some kilobytes


def read_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the body and length of every chunk, up to and with ``IEND`` or to the end of the file."""
    at, kind = 8, b""
    while kind != b"IEND" and at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, at + 8, length
        at += 12 + length


def read_exif(content: bytes) -> bytes:
    """Return the EXIF block, also from behind the pixels; empty where there is none."""
    for kind, start, length in read_chunks(content):
        if kind == b"eXIf":
            return content[start : start + length]
    lines = _text(content, _EXIF_KEYWORD).split(b"\n")
    try:
        return bytes.fromhex(b"".join(lines[3:]).decode("ascii"))
    except ValueError:
        return b""


def read_color_profile(content: bytes) -> str | None:
    """Return the name of the profile that differs from sRGB (``cICP``, ``iCCP``), of which the start is inflated.

    Raises:
        LookupError, zlib.error: The chunk is broken.
    """
    name = None
    for kind, start, length in read_chunks(content):
        if kind == b"cICP":
            return name_cicp(content[start], content[start + 1])
        if kind == b"iCCP":
            packed = content[start : start + length].split(b"\0", 1)[1][1:]
            name = name_profile(zlib.decompressobj().decompress(packed, _MAX_INFLATED_BYTES))
        if kind == b"IDAT":
            break
    return name


def read_xmp(content: bytes) -> bytes:
    """Return the start of the XMP packet, also from behind the pixels; empty where there is none."""
    return _text(content, _XMP_KEYWORD)


def _text(content: bytes, keyword: bytes) -> bytes:
    """Return the start of the last text with this keyword; empty where there is none."""
    found = b""
    for kind, start, length in read_chunks(content):
        if kind in _TEXT_CHUNKS and content.startswith(keyword, start):
            try:
                found = _unpack_text(kind, content[start + len(keyword) : start + length])
            except (IndexError, zlib.error):
                continue
    return found


def _unpack_text(kind: bytes, body: bytes) -> bytes:
    """Unpack the part of a text chunk behind its keyword; an ``iTXt`` has two bytes and two words before its text."""
    if kind == b"tEXt":
        return body
    text = body[2:].split(b"\0", 2)[2] if kind == b"iTXt" else body[1:]
    is_packed = kind == b"zTXt" or body[0]
    return zlib.decompressobj().decompress(text, _MAX_INFLATED_BYTES) if is_packed else text
