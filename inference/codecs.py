"""The decoders' edge: bytes become a lazily loaded Pillow image, and every decoder's exception becomes ours.

Pillow's readers are opened by class, not through ``Image.open``: only the reader that the content asks for ever sees
it, no plugin of the process takes part, and no process-wide limit or warning of Pillow decides for us. HEIF goes to
``pillow_heif`` directly, so nothing is registered with Pillow either.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from inference.errors import PermanentError, Reason, TransientError
from inference.exif import SWAPS_AXES
from inference.xmp import xmp_orientation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.ImageFile import ImageFile


_PNG_GREY_FACTORS = {"L;2": 85, "L;4": 17}


class _JpegReader(JpegImagePlugin.JpegImageFile):
    """Pillow's own, but broken EXIF cannot cost us the photo: it looks for a resolution there, which is of no use."""

    def _read_dpi_from_exif(self) -> None:
        pass


class _PngReader(PngImagePlugin.PngImageFile):
    """Pillow's own, but the transparent level of 2- and 4-bit grey is scaled as the pixels are."""

    def _open(self) -> None:
        super()._open()
        level = self.info.get("transparency")
        if self.tile and isinstance(level, int):
            self.info["transparency"] = level * _PNG_GREY_FACTORS.get(str(self.tile[0].args), 1)


class _TiffReader(TiffImagePlugin.TiffImageFile):
    """Pillow's own, but the process-wide limit and its warning have no say: the header has been checked by ours.

    It turns its pixels by itself, by XMP too; here, it knows its size before it does.
    """

    def _open(self) -> None:
        super()._open()
        packet = self.info.pop("xmp", None)
        if isinstance(packet, bytes):  # anything else stands for damage, on which it would fail
            self.info["xmp"] = packet
        if ExifTags.Base.Orientation not in self.tag_v2 and xmp_orientation(packet) >= SWAPS_AXES:
            self._size = self._tile_size[::-1]

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


_READERS: dict[str, Callable[[BytesIO], ImageFile]] = {
    "jpeg": _JpegReader,
    "png": _PngReader,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": _TiffReader,
    "avif": AvifImagePlugin.AvifImageFile,
    "jpeg2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "ico": IcoImagePlugin.IcoImageFile,
}

# What the readers raise on hostile bytes, found by fuzzing. UnidentifiedImageError is an OSError, UnicodeDecodeError a
# ValueError; warnings arrive as exceptions where a user's filters say so.
IMAGE_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
    Warning,
)


def open_image(kind: str, content: bytes) -> ImageFile:
    """Open ``content`` with the reader of format ``kind``; pixels are decoded at the image's first use.

    Raises:
        PermanentError: The header cannot be read, or (HEIF) the decoder is not installed.
    """
    with decoder_errors(kind):
        return _open_heif(content) if kind == "heif" else _READERS[kind](BytesIO(content))


def _open_heif(content: bytes) -> ImageFile:
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError as error:
        raise PermanentError(
            Reason.UNSUPPORTED_FORMAT,
            "The content is a HEIC/HEIF image, and pillow-heif, its decoder, is not installed.",
        ) from error
    image: ImageFile = HeifImageFile(BytesIO(content))
    return image


@contextmanager
def decoder_errors(kind: str) -> Iterator[None]:
    """Translate what a reader raises: once, here.

    Raises:
        PermanentError: ``truncated``, ``decompression_bomb``, ``too_many_pixels``, ``unsupported_format``, ``corrupt``.
        TransientError: Memory ran out, which is no verdict on the image.
    """
    try:
        yield
    except MemoryError as error:
        raise TransientError(f"Memory ran out while a {kind} image was decoded.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PermanentError(Reason.TOO_MANY_PIXELS, f"The {kind} decoder refused its size: {error}") from error
    except IMAGE_FAULTS as error:
        raise PermanentError(*_verdict(kind, error)) from error


def _verdict(kind: str, error: BaseException) -> tuple[Reason, str]:
    said = str(error).strip().rstrip(".") or type(error).__name__
    lowered = said.lower()
    if "truncated" in lowered or "end of file" in lowered or "unexpected end" in lowered:
        return Reason.TRUNCATED, f"The {kind} file ends before its picture does: {said}."
    if "decompressed data too large" in lowered or "too much memory" in lowered:
        return Reason.DECOMPRESSION_BOMB, f"The {kind} file's metadata inflates beyond all use: {said}."
    if "unknown pixel mode" in lowered or "unsupported" in lowered:
        return Reason.UNSUPPORTED_FORMAT, f"The content is a {kind} of a kind that is not decoded here: {said}."
    return Reason.CORRUPT, f"The {kind} decoder cannot read it: {said}."
