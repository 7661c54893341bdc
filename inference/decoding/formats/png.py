"""PNG: chunks with a length and a name (PNG Specification, third edition)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from PIL import PngImagePlugin

from inference.decoding.formats.image_format import ImageFormat
from inference.decoding.formats.refusals import chunk_name, truncated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.chunk_limit import ChunkLimit

_GREY_FACTORS = {"L;2": 85, "L;4": 17}
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_MAX_INFLATED_BYTES = 1024 * 1024  # as Pillow; XMP packets have some kilobytes


class _Reader(PngImagePlugin.PngImageFile):
    """Pillow's reader, which scales the pixels of 2- and 4-bit grey, but not their transparent level."""

    def _open(self) -> None:
        super()._open()
        level = self.info.get("transparency")
        if self.tile and isinstance(level, int):
            self.info["transparency"] = level * _GREY_FACTORS.get(str(self.tile[0].args), 1)


class Png(ImageFormat):
    """PNG of all modes; the default image of an animation."""

    name = "png"
    reader = _Reader

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that every chunk is there, up to and with ``IEND``, and return the frames of an animation."""
        frames = 1
        for kind, start, length in _chunks(content):
            chunks.count()
            if kind == b"acTL":
                (frames,) = struct.unpack_from(">I", content, start)
            if start + length + 4 > len(content):
                raise truncated(content, f"a {chunk_name(kind)} chunk of {length:,} bytes is incomplete")
        return frames

    def metadata(self, image: ImageFile, content: bytes) -> tuple[object, object]:
        """Return the EXIF block and the XMP packet, also from behind the pixels, where Pillow's reader stops."""
        return image.info.get("exif") or _exif(image, content), _xmp(content)


FORMAT = Png()


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the body and length of every chunk, up to and with ``IEND``."""
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, at + 8, length
        at += 12 + length


def _exif(image: ImageFile, content: bytes) -> bytes:
    for kind, start, length in _chunks(content):
        if kind == b"eXIf":
            return content[start : start + length]
    lines = str(image.info.get("Raw profile type exif", "")).split("\n")  # ImageMagick's way before there was eXIf
    try:
        return bytes.fromhex("".join(lines[3:]))
    except ValueError:
        return b""


def _xmp(content: bytes) -> bytes:
    """Return the last XMP packet; empty where there is none."""
    packet = b""
    for kind, start, length in _chunks(content):
        if kind == b"iTXt" and content.startswith(_XMP_KEYWORD, start):
            packet = _international_text(content[start + len(_XMP_KEYWORD) : start + length])
    return packet


def _international_text(body: bytes) -> bytes:
    """Unpack the part of an ``iTXt`` chunk behind its keyword: two bytes, language, translated keyword, text."""
    try:
        is_packed, method = struct.unpack_from("BB", body)
        text = body[2:].split(b"\0", 2)[2]
        if not is_packed:
            return text
        return zlib.decompressobj().decompress(text, _MAX_INFLATED_BYTES) if method == 0 else b""
    except (struct.error, IndexError, zlib.error):
        return b""
