"""Where EXIF does not say how the camera was held, XMP may: looked for as Pillow's ``exif_transpose`` does.

Only the first ``tiff:Orientation`` counts, as an attribute or as an element, and nothing is parsed: a packet may be
broken, or megabytes long, and still be searched in one pass.
"""

from __future__ import annotations

import re
import struct
import zlib

from inference.decoding.exif import UPRIGHT, known
from inference.decoding.formats.png import png_chunks

_TAG = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_PNG_KEYWORD = b"XML:com.adobe.xmp\0"
_MAX_INFLATED_BYTES = 1024 * 1024  # as Pillow; packets have some kilobytes


def xmp_orientation(packet: object) -> int:
    """Find the orientation, 1 to 8, in an XMP packet; upright (1) where there is none, or no packet of bytes at all."""
    found = _TAG.search(packet) if isinstance(packet, bytes) else None
    return known(int(found[1])) if found else UPRIGHT


def png_xmp(content: bytes) -> bytes:
    """Find the last XMP packet of a PNG, before its pixels or behind them; empty where there is none."""
    packet = b""
    for kind, start, length in png_chunks(content):
        if kind == b"iTXt" and content.startswith(_PNG_KEYWORD, start):
            packet = _international_text(content[start + len(_PNG_KEYWORD) : start + length])
    return packet


def _international_text(body: bytes) -> bytes:
    """Unpack what follows the keyword (PNG specification, 11.3.3.4): two bytes, language, translated keyword, text."""
    try:
        is_packed, method = struct.unpack_from("BB", body)
        text = body[2:].split(b"\0", 2)[2]
        if not is_packed:
            return text
        return zlib.decompressobj().decompress(text, _MAX_INFLATED_BYTES) if method == 0 else b""
    except (struct.error, IndexError, zlib.error):
        return b""
