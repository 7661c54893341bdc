"""The decoders' edge: bytes become a lazily loaded Pillow image, and every decoder's exception becomes ours.

Pillow's readers are opened by class, not through ``Image.open``: only the reader that the content asks for ever sees
it, no plugin of the process takes part, and no process-wide limit or warning of Pillow decides for us. HEIF goes to
``pillow_heif`` directly, so nothing is registered with Pillow either.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, JpegImagePlugin

from inference.errors import PermanentError, Reason, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.ImageFile import ImageFile


class _JpegReader(JpegImagePlugin.JpegImageFile):
    """Pillow's own, but broken EXIF cannot cost us the photo: it looks for a resolution there, which is of no use."""

    def _read_dpi_from_exif(self) -> None:
        pass


# Module and class. Imported with the first image of the format: nearly all are JPEG, and all these take 10 ms.
_OTHER_READERS = {
    "png": ("inference.decoding.formats.png_reader", "PngReader"),
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "tiff": ("inference.decoding.formats.tiff_reader", "TiffReader"),
    "avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "jpeg2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "ico": ("PIL.IcoImagePlugin", "IcoImageFile"),
    "heif": ("pillow_heif.as_plugin", "HeifImageFile"),
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
        return _reader(kind)(BytesIO(content))


def _reader(kind: str) -> Callable[[BytesIO], ImageFile]:
    if kind == "jpeg":
        return _JpegReader
    module, name = _OTHER_READERS[kind]
    try:
        reader: Callable[[BytesIO], ImageFile] = getattr(import_module(module), name)
    except ImportError as error:
        if kind != "heif":
            raise
        raise PermanentError(
            Reason.UNSUPPORTED_FORMAT,
            "The content is a HEIC/HEIF image, and pillow-heif, its decoder, is not installed.",
        ) from error
    return reader


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
