"""A WebP's header, read without its decoder: Pillow's makes two canvases and two copies of the file to open one."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from inference.errors import PermanentError, Reason

_ALPHA_FLAG = 0x10  # RFC 9649, section 2.7


@dataclass(frozen=True, slots=True)
class WebpHeader:
    """Stored size in pixels, Pillow's mode, and the EXIF block and XMP packet (empty where there is none)."""

    width: int
    height: int
    mode: str
    exif: bytes = b""
    xmp: bytes = b""


def read_webp_header(content: bytes) -> WebpHeader:
    """Read the first chunk (RFC 9649, sections 2.5 to 2.7) and, where it promises metadata, the chunks of it.

    Raises:
        PermanentError: ``truncated`` or ``corrupt``.
    """
    try:
        return _read(content)
    except struct.error as error:
        raise PermanentError(
            Reason.TRUNCATED, f"The file ends inside its header, after {len(content):,} bytes."
        ) from error


def _read(content: bytes) -> WebpHeader:
    match content[12:16]:
        case b"VP8X":
            flags, low, high = struct.unpack_from("<IIH", content, 20)
            bits = low | high << 32
            mode = "RGBA" if flags & _ALPHA_FLAG else "RGB"
            return WebpHeader(
                (bits & 0xFFFFFF) + 1, (bits >> 24) + 1, mode, _chunk(content, b"EXIF"), _chunk(content, b"XMP ")
            )
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 21)
            mode = "RGBA" if bits >> 28 & 1 else "RGB"
            return WebpHeader((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, mode)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", content, 26)
            return WebpHeader(width & 0x3FFF, height & 0x3FFF, "RGB")
    raise PermanentError(Reason.CORRUPT, "The file is damaged: it calls itself WebP and holds no picture chunk.")


def _chunk(content: bytes, wanted: bytes) -> bytes:
    at = 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        if kind == wanted:
            return content[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)
    return b""
