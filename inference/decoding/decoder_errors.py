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


# Parts of the decoders' messages, in lower case -> reason and sentence. The first that fits holds.
_FAULTS = (
    (
        ("truncated", "end of file", "end-of-file", "unexpected end", "premature", "not enough data"),
        Reason.TRUNCATED,
        "The {name} file ends before its picture does.",
    ),
    (
        ("decompressed data too large", "too much memory"),
        Reason.DECOMPRESSION_BOMB,
        "The {name} file asks its decoder for more memory than any picture needs.",
    ),
    (
        (
            "unknown pixel mode",
            "unsupported",
            "not supported",
            "not yet supported",
            "not implemented",
            "no decoding plugin",
        ),
        Reason.UNSUPPORTED_FORMAT,
        "The content is a variant of {name} that is not supported.",
    ),
    (("checksum", "crc"), Reason.CORRUPT, "The {name} file is damaged: a checksum does not match."),
    (
        (
            "broken data stream",
            "decoder error",
            "decode image",
            "decoding",
            "bitstream",
            "codec",
            "inflate",
            "decompress",
        ),
        Reason.CORRUPT,
        "The {name} file is damaged: its decoder stopped inside the picture.",
    ),
    (
        ("header", "marker", "magic", "cannot identify", "not a ", "invalid", "missing", "broken"),
        Reason.CORRUPT,
        "The {name} file is damaged: its decoder does not accept the header.",
    ),
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
        raise PermanentError(Reason.TOO_MANY_PIXELS, f"The {name} decoder refused the image's size.") from error
    except _IMAGE_FAULTS as error:
        raise PermanentError(*_classify(name, error)) from error


def _classify(name: str, error: BaseException) -> tuple[Reason, str]:
    """Return reason and sentence. No decoder's own words reach the sentence, because they change with its version."""
    text = str(error).lower()
    return next(
        (
            (reason, sentence.format(name=name))
            for fragments, reason, sentence in _FAULTS
            if any(f in text for f in fragments)
        ),
        (Reason.CORRUPT, f"The {name} decoder cannot read the file."),
    )
