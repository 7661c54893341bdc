"""Translates what the decoders raise into the product's own errors, in one place."""

from __future__ import annotations

import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import Image

from inference.errors import PermanentError, Reason, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What the readers raise on hostile bytes, found by fuzzing. UnidentifiedImageError is an OSError, UnicodeDecodeError a
# ValueError; warnings are raised as exceptions where the user's filters turn them into errors.
_IMAGE_FAULTS = (
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


@contextmanager
def decoder_errors(name: str) -> Iterator[None]:
    """Translate what the decoder of the format ``name`` raises inside a ``with`` block.

    Raises:
        PermanentError: ``truncated``, ``decompression_bomb``, ``too_many_pixels``, ``unsupported_format``, ``corrupt``.
        TransientError: Memory ran out; the image is not at fault.
    """
    try:
        yield
    except MemoryError as error:
        raise TransientError(f"Memory ran out while a {name} image was decoded.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PermanentError(Reason.TOO_MANY_PIXELS, f"The {name} decoder refused the image's size: {error}") from error
    except _IMAGE_FAULTS as error:
        raise PermanentError(*_classify(name, error)) from error


def _classify(name: str, error: BaseException) -> tuple[Reason, str]:
    text = str(error).strip().rstrip(".") or type(error).__name__
    lowered = text.lower()
    if "truncated" in lowered or "end of file" in lowered or "unexpected end" in lowered:
        return Reason.TRUNCATED, f"The {name} file ends before its picture does: {text}."
    if "decompressed data too large" in lowered or "too much memory" in lowered:
        return Reason.DECOMPRESSION_BOMB, f"The {name} file's metadata inflates to more than any reader needs: {text}."
    if "unknown pixel mode" in lowered or "unsupported" in lowered:
        return Reason.UNSUPPORTED_FORMAT, f"The content is a variant of {name} that is not supported: {text}."
    return Reason.CORRUPT, f"The {name} decoder cannot read the file: {text}."
