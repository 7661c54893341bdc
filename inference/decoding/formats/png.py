"""PNG: chunks with a length and a name (PNG Specification, third edition).

Pillow's reader sees only the chunks that make the pixels. It would inflate every text and profile, keep them all, and
refuse the picture for one that is large; ``png_chunks`` reads the two that matter, within bounds.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import PngImagePlugin

from inference.decoding.decoder_errors import decoder_errors
from inference.decoding.formats.image_format import ImageFormat
from inference.decoding.formats.png_chunks import read_chunks, read_color_profile, read_exif, read_xmp
from inference.decoding.formats.refusals import chunk_name, truncated, unsupported
from inference.decoding.formats.zlib_stream import PIECE_BYTES, missing_checksum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image
    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.partial import Part
    from inference.decoding.pixels import Mode

_GREY_FACTORS = {"L;2": 85, "L;4": 17}
_PIXEL_CHUNKS = frozenset(
    {b"tRNS", b"acTL", b"fcTL", b"fdAT"}
)  # beside the critical ones, whose names begin upper-case


class _PixelChunks(BytesIO):
    """The file without the chunks that Pillow does not need; it shares the bytes of the file."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._next: dict[int, int] = {}
        end = 0
        for kind, start, length in read_chunks(content):
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
        for kind, start, length in read_chunks(content):
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
            image.missing_end = missing_checksum(_coded_pixels(content))
        image.load()
        return image

    def decode_part(self, content: bytes) -> Part | None:
        """Decode the rows before the first chunk whose checksum is wrong: damaged data may decode to other pixels."""
        pixels = [(start, start + length) for kind, start, length in read_chunks(content) if kind == b"IDAT"]
        damaged = next((start - 8 for start, end in pixels[1:] if not _is_intact(content, start, end)), 0)
        part = super().decode_part(content[:damaged]) if damaged else None
        return part or super().decode_part(content)

    def read_color_profile(self, content: bytes) -> str | None:
        """Return the name of the profile, which stands before the pixels."""
        return read_color_profile(content)

    def metadata(self, image: ImageFile, content: bytes) -> tuple[object, object]:  # noqa: ARG002 - one interface
        """Return the EXIF block and the XMP packet, also from behind the pixels, where Pillow's reader stops."""
        return read_exif(content), read_xmp(content)


FORMAT = Png()


def _is_intact(content: bytes, start: int, end: int) -> bool:
    """Return whether the checksum behind the body of a chunk is that of its name and body; a cut chunk has none."""
    checksum = content[end : end + 4]
    return len(checksum) < 4 or zlib.crc32(memoryview(content)[start - 4 : end]).to_bytes(4) == checksum


def _is_cut(content: bytes) -> bool:
    return not any(kind == b"IEND" for kind, _, _ in read_chunks(content))


def _coded_pixels(content: bytes) -> Iterator[bytes]:
    """Yield the zlib stream of the pixels, which may be cut, in pieces."""
    for kind, start, length in read_chunks(content):
        if kind == b"IDAT":
            end = min(start + length, len(content))
            yield from (content[at : min(at + PIECE_BYTES, end)] for at in range(start, end, PIECE_BYTES))
