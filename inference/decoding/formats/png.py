"""PNG: chunks with a length and a name (PNG Specification, third edition).

Pillow's reader sees only the chunks that make the pixels. It would inflate every text and profile, keep them all, and
refuse the picture for one that is large; this module reads the two that matter, within bounds.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import PngImagePlugin

from inference.decoding.decoder_errors import decoder_errors
from inference.decoding.formats.image_format import ImageFormat
from inference.decoding.formats.refusals import chunk_name, truncated, unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image
    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.pixels import Mode

_GREY_FACTORS = {"L;2": 85, "L;4": 17}
_PIXEL_CHUNKS = frozenset(
    {b"tRNS", b"acTL", b"fcTL", b"fdAT"}
)  # beside the critical ones, whose names begin upper-case
_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_EXIF_KEYWORD = b"Raw profile type exif\0"  # ImageMagick's way before there was eXIf
_MAX_INFLATED_BYTES = 1024 * 1024  # EXIF blocks and XMP packets that state an orientation have some kilobytes
_PIECE_BYTES = 64 * 1024


class _PixelChunks(BytesIO):
    """The file without the chunks that Pillow does not need; it shares the bytes of the file."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._next: dict[int, int] = {}
        end = 0
        for kind, start, length in _chunks(content):
            at = start - 8
            if not kind[:1].isupper() and kind not in _PIXEL_CHUNKS:
                end = start + length + 4
                self._next[at] = end

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on behind the chunks to skip; Pillow reads the head of a chunk in a call of its own."""
        at = self.tell()
        while at in self._next:
            at = self._next[at]
            self.seek(at)
        return super().read(size)


class _Reader(PngImagePlugin.PngImageFile):
    """Pillow's reader, which scales the pixels of 2- and 4-bit grey, but not their transparent level."""

    missing_end = b""

    def _open(self) -> None:
        super()._open()
        level = self.info.get("transparency")
        if self.tile and isinstance(level, int):
            self.info["transparency"] = level * _GREY_FACTORS.get(str(self.tile[0].args), 1)

    def load_read(self, read_bytes: int) -> bytes:
        """Read coded pixels, and behind the last of a cut file the checksum that it lacks."""
        try:
            read = super().load_read(read_bytes)
        except struct.error:  # the file ends inside the head of a chunk
            read = b""
        if not read:
            read, self.missing_end = self.missing_end, b""
        return read


class Png(ImageFormat):
    """PNG of all modes; the default image of an animation."""

    name = "png"
    reader = _Reader

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that every chunk before the pixels is there, and return the frames of an animation.

        Behind the start of the pixels a file may be cut: the decoder notices whether a pixel is missing.
        """
        frames, has_pixels, length = 1, False, 0
        for kind, start, length in _chunks(content):
            chunks.count()
            if kind == b"CgBI":
                raise unsupported("a PNG in Apple's own variant (CgBI)")
            if kind == b"acTL":
                (frames,) = struct.unpack_from(">I", content, start)
            has_pixels |= kind == b"IDAT"
            if start + length + 4 > len(content) and not has_pixels:
                raise truncated(content, f"a {chunk_name(kind)} chunk of {length:,} bytes is incomplete")
        if not has_pixels:
            raise truncated(content, "it holds no pixels")
        return frames

    def open(self, content: bytes) -> ImageFile:
        """Open the content with Pillow's reader, without the chunks that hold no pixels."""
        with decoder_errors(self.name):
            return self.reader(_PixelChunks(content))

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:  # noqa: ARG002 - one interface
        """Decode the default image; of a cut file, only where every pixel is there."""
        image = self.open(content)
        if isinstance(image, _Reader) and _is_cut(content):
            image.missing_end = _missing_checksum(content)
        image.load()
        return image

    def metadata(self, image: ImageFile, content: bytes) -> tuple[object, object]:  # noqa: ARG002 - one interface
        """Return the EXIF block and the XMP packet, also from behind the pixels, where Pillow's reader stops."""
        return _exif(content), _xmp(content)


FORMAT = Png()


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the body and length of every chunk, up to and with ``IEND`` or to the end of the file."""
    at, kind = 8, b""
    while kind != b"IEND" and at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, at + 8, length
        at += 12 + length


def _is_cut(content: bytes) -> bool:
    return not any(kind == b"IEND" for kind, _, _ in _chunks(content))


def _missing_checksum(content: bytes) -> bytes:
    """Return the bytes that the zlib stream of the pixels lacks of its checksum (RFC 1950), in a cut file.

    The stream is inflated piece by piece. A stream that lacks more than its checksum is not completed by this.
    """
    stream, last, adler = zlib.decompressobj(wbits=-15), b"", 1
    skip = 2  # the head of the stream
    for kind, start, length in _chunks(content):
        if kind != b"IDAT":
            continue
        for at in range(start, min(start + length, len(content)), _PIECE_BYTES):
            piece = content[at : min(at + _PIECE_BYTES, start + length)]
            coded, skip = piece[skip:], max(0, skip - len(piece))
            if stream.eof:
                last += coded
            while coded and not stream.eof:
                adler = zlib.adler32(stream.decompress(coded, _PIECE_BYTES), adler)
                coded = stream.unconsumed_tail
            last = last or stream.unused_data
    return adler.to_bytes(4)[len(last) :] if stream.eof else b""


def _exif(content: bytes) -> bytes:
    for kind, start, length in _chunks(content):
        if kind == b"eXIf":
            return content[start : start + length]
    lines = _text(content, _EXIF_KEYWORD).split(b"\n")
    try:
        return bytes.fromhex(b"".join(lines[3:]).decode("ascii"))
    except ValueError:
        return b""


def _xmp(content: bytes) -> bytes:
    return _text(content, _XMP_KEYWORD)


def _text(content: bytes, keyword: bytes) -> bytes:
    """Return the start of the last text with this keyword; empty where there is none."""
    found = b""
    for kind, start, length in _chunks(content):
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
