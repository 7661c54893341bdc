"""ICO: a table of small pictures, each a PNG or a bitmap without its file header, behind which lies a mask of 1 bit.

The largest picture is decoded, and of several of one size the one with most colours, by the decoder of its own format.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from inference.decoding.formats.image_format import Header, ImageFormat, load_format
from inference.decoding.formats.refusals import corrupt, truncated, unsupported
from inference.decoding.memory_cost import DecoderMemory, image_bytes
from inference.decoding.orientation import Orientation
from inference.errors import PermanentError, Reason
from inference.predictions import ImageInfo

if TYPE_CHECKING:
    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.pixels import Mode
    from inference.limits import Limits


_MAX_ICON_PIXELS = 1024 * 1024  # the format ends at 256 x 256; 1024 is seen in the wild
_TABLE_AT, _ENTRY = 6, struct.Struct("<BBBBHHII")  # width, height, colours, reserved, planes, bits, length, offset
_PNG = b"\x89PNG\r\n\x1a\n"
# Length of the header, width, height, planes, bits, compression, length of the pixels, density, number of colours.
_BITMAP = struct.Struct("<IiiHHIIiiI")
_BITMAP_FILE_HEADER = struct.Struct("<2sIHHI")
_PLAIN, _BIT_FIELDS = 0, 3
_ALPHA_BITS = 32


class Ico(ImageFormat):
    """Windows icons; the largest picture."""

    name = "ico"

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Check that no picture is larger than an icon can be, and that the largest begins in the file."""
        for picture in _read_table(content, chunks):
            if picture.width * picture.height > _MAX_ICON_PIXELS:
                detail = f"A picture of the icon states {picture.width:,} x {picture.height:,} pixels."
                raise PermanentError(Reason.DECOMPRESSION_BOMB, detail)
        largest = _find_largest(content)
        return load_format(largest.format).count_frames(largest.to_file(content), chunks)

    def read_header(self, content: bytes, frames: int, limits: Limits) -> Header:
        """Read the header of the largest picture."""
        picture = _find_largest(content)
        header = load_format(picture.format).read_header(picture.to_file(content), frames, limits)
        size = picture.width, picture.height
        return header._replace(
            info=ImageInfo(*size, self.name),
            orientation=Orientation.UPRIGHT,
            # Its alpha is put into copies of it.
            decoder_memory=DecoderMemory(header.decoder_memory.peak + 3 * image_bytes(*size), 2 * image_bytes(*size)),
            has_transparency=True,
        )

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:
        """Decode the largest picture, transparent where its alpha or its mask says so."""
        picture = _find_largest(content)
        image = load_format(picture.format).decode(picture.to_file(content), mode, scale)
        if picture.format == "png":
            return image
        alpha = (picture.bits == _ALPHA_BITS and picture.read_alpha(content)) or picture.read_mask(content)
        image = image.convert("RGBA")
        image.putalpha(alpha)
        return image


FORMAT = Ico()


class _Picture(NamedTuple):
    """One picture of the table; sizes in pixels, without the mask."""

    start: int
    end: int
    width: int
    height: int
    bits: int
    format: str

    def to_file(self, content: bytes) -> bytes:
        """Return the picture as a file of its own format."""
        part = content[self.start : self.end]
        if self.format == "png":
            return part
        length, width, height, *others = _BITMAP.unpack_from(part)
        header = _BITMAP.pack(length, width, height // 2, *others)
        start = _BITMAP_FILE_HEADER.pack(
            b"BM", _BITMAP_FILE_HEADER.size + len(part), 0, 0, _BITMAP_FILE_HEADER.size + self._pixels_at(content)
        )
        return start + header + part[_BITMAP.size :]

    def read_alpha(self, content: bytes) -> Image.Image | None:
        """Return the fourth byte of each pixel of a bitmap; ``None`` where all are zero: then the mask counts."""
        start = self.start + self._pixels_at(content)
        pixels = content[start : start + 4 * self.width * self.height]
        alpha = Image.frombuffer("L", (self.width, self.height), pixels[3::4], "raw", "L", 0, -1)
        return alpha if alpha.getbbox() else None

    def read_mask(self, content: bytes) -> Image.Image:
        """Return the opacity that the mask of a bitmap states; all is opaque where the picture has no mask.

        Raises:
            PermanentError: ``truncated``.
        """
        size, row = (self.width, self.height), _row_bytes(self.width, 1)
        start = self.start + self._pixels_at(content) + _row_bytes(self.width, self.bits) * self.height
        end = start + row * self.height
        if end > len(content) and self.end > len(content):
            raise truncated(content, "the mask of its largest picture is incomplete")
        if end > min(self.end, len(content)):
            return Image.new("L", size, 255)
        return Image.frombuffer("1", size, content[start:end], "raw", "1;I", row, -1).convert("L")

    def _pixels_at(self, content: bytes) -> int:
        """Return the offset of the pixels in the picture, behind its header and its palette or masks."""
        length, *_, compression, _, _, _, colors = _BITMAP.unpack_from(content, self.start)
        return int(
            length + (12 if compression == _BIT_FIELDS else 4 * (colors or 1 << self.bits) if self.bits <= 8 else 0)
        )


def _row_bytes(width: int, bits: int) -> int:
    return (width * bits + 31) // 32 * 4


def _read_table(content: bytes, chunks: ChunkLimit | None = None) -> list[_Picture]:
    """Return the pictures of the table that begin in the file, and the others as the table states them."""
    (count,) = struct.unpack_from("<H", content, 4)
    pictures = []
    for index in range(count):
        if chunks:
            chunks.count()
        width, height, _, _, _, bits, length, start = _ENTRY.unpack_from(content, _TABLE_AT + _ENTRY.size * index)
        end, kind = start + length, "bmp"
        width, height = width or 256, height or 256
        if content.startswith(_PNG, start) and start + 24 <= len(content):
            kind = "png"
            width, height = struct.unpack_from(">II", content, start + 16)
        elif start + _BITMAP.size <= len(content):
            _, width, height, _, bits, *_ = _BITMAP.unpack_from(content, start)
            width, height = abs(width), abs(height) // 2
        pictures.append(_Picture(start, end, width, height, bits, kind))
    return pictures


def _find_largest(content: bytes) -> _Picture:
    """Return the picture that is decoded.

    Raises:
        PermanentError: ``corrupt``, ``truncated``, ``unsupported_format``.
    """
    pictures = _read_table(content)
    if not pictures:
        raise corrupt("its table lists no picture")
    largest = max(pictures, key=lambda picture: (picture.width * picture.height, picture.bits))
    if largest.start + _BITMAP.size > len(content):
        raise truncated(content, "its largest picture is missing")
    if largest.format == "bmp":
        length, *_, compression, _, _, _, _ = _BITMAP.unpack_from(content, largest.start)
        if length < 40 or compression not in {_PLAIN, _BIT_FIELDS}:
            raise unsupported("an icon of old or compressed bitmaps")
    return largest
