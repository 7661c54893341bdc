"""BMP: it has no parts to count, and run lengths, which ``bmp_runs`` decodes."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import BmpImagePlugin, Image, ImagePalette

from inference.decoding.formats.bmp_runs import unpack_runs
from inference.decoding.formats.image_format import ImageFormat
from inference.decoding.formats.refusals import truncated, unsupported
from inference.errors import PermanentError, Reason

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from inference.decoding.formats.chunk_limit import ChunkLimit
    from inference.decoding.pixels import Mode

_SHORT_HEADER, _OS2_HEADER = 12, 64  # bytes
_BITS_AT, _COMPRESSION_AT = 28, 30  # in the file, with every header but the short one
_SHORT_BITS_AT = 24
_RUNS_OF_8, _RUNS_OF_4, _BIT_FIELDS = 1, 2, 3
_RUNS = frozenset({_RUNS_OF_8, _RUNS_OF_4})
_COMPRESSIONS = {4: "a JPEG inside", 5: "a PNG inside", 6: "bit fields with alpha", 11: "CMYK", 12: "CMYK", 13: "CMYK"}
_OS2_COMPRESSIONS = {3: "Huffman codes (OS/2)", 4: "run lengths of 24 bits (OS/2)"}
_DEPTHS = frozenset({1, 4, 8, 16, 24, 32})
_MAX_RUN_LENGTH_BYTES = 16 * 1024 * 1024  # they are unpacked in Python, which blocks all other threads
_RAW_MODES = {1: "P;1", 4: "P;4", 8: "P"}


class _Reader(BmpImagePlugin.BmpImageFile):
    """Pillow's reader, which takes indices of any depth for grey where the palette is a grey ramp."""

    def _bitmap(self, header: int = 0, offset: int = 0) -> None:
        super()._bitmap(header, offset)
        tile = self.tile[0]
        if self.mode not in {"1", "L"} or not isinstance(tile.args, tuple):
            return
        bits = _depth(self.fp.getvalue()) if isinstance(self.fp, BytesIO) else 8
        levels = [0, 255] if self.mode == "1" else list(range(256))
        self._mode = "P"
        self.palette = ImagePalette.raw("RGB;L", bytes(levels * 3))
        if tile.codec_name == "raw":
            self.tile = [tile._replace(args=(_RAW_MODES[bits], *tile.args[1:]))]


class Bmp(ImageFormat):
    """Windows bitmaps."""

    name = "bmp"
    reader = _Reader
    can_state_any_size = True  # run lengths may end at once, and the rest is background

    def count_frames(self, content: bytes, chunks: ChunkLimit) -> int:
        """Refuse variants that are not decoded, by name; the decoder notices a file that is too short."""
        chunks.count()
        compression = _compression(content)
        names = _OS2_COMPRESSIONS if content[14] == _OS2_HEADER else _COMPRESSIONS
        if compression in names:
            raise unsupported(f"a BMP with {names[compression]}")
        if compression > _BIT_FIELDS:
            raise unsupported(f"a BMP with compression {compression}")
        if _depth(content) not in _DEPTHS:
            raise unsupported(f"a BMP of {_depth(content)} bits per pixel")
        if compression in _RUNS and len(content) > _MAX_RUN_LENGTH_BYTES:
            detail = (
                f"The file has {len(content):,} bytes of run lengths; the limit for those is {_MAX_RUN_LENGTH_BYTES:,}."
            )
            raise PermanentError(Reason.TOO_MANY_BYTES, detail)
        return 1

    def open(self, content: bytes) -> ImageFile:
        """Open the content with Pillow's reader, which knows the usual bit fields only."""
        try:
            return super().open(content)
        except PermanentError as error:
            if error.reason is Reason.UNSUPPORTED_FORMAT and _compression(content) == _BIT_FIELDS:
                raise unsupported("a BMP with unusual bit fields") from error
            raise

    def decode(self, content: bytes, mode: Mode, scale: int) -> Image.Image:  # noqa: ARG002 - one interface
        """Decode the picture.

        Raises:
            PermanentError: ``truncated``.
        """
        compression = _compression(content)
        image = self.open(content)
        if compression not in _RUNS:
            image.load()
            return image
        bits = 4 if compression == _RUNS_OF_4 else 8
        indices, is_whole = unpack_runs(content, image.tile[0].offset, image.size, bits)
        if not is_whole:
            raise truncated(content, "its run lengths do not reach the last pixel")
        picture = Image.frombuffer("P", image.size, indices, "raw", "P", 0, -1)
        picture.palette = image.palette
        return picture


FORMAT = Bmp()


def _compression(content: bytes) -> int:
    if content[14] == _SHORT_HEADER or content[14] == 16:
        return 0
    return int(struct.unpack_from("<I", content, _COMPRESSION_AT)[0])


def _depth(content: bytes) -> int:
    at = _SHORT_BITS_AT if content[14] == _SHORT_HEADER else _BITS_AT
    return int(struct.unpack_from("<H", content, at)[0])
