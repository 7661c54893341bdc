"""The window of earlier bytes that the decoders of LZMA and Zstandard keep beside the pixels of a TIFF.

Each strip or tile states its own, in the first bytes of its stream: The .xz File Format 1.2 (sections 2.1.1, 3.1 and
5.3.1) and RFC 8878 (section 3.1.1.1).
"""

from __future__ import annotations

import re

LZMA, ZSTANDARD = 34925, 50000  # values of the tag Compression

# The stream's header, that of its first block, and in it the LZMA2 filter with its one byte of properties.
_XZ_BLOCK = re.compile(rb"\xfd7zXZ\0.{6}.{2,40}?\x21\x01([\x00-\x28])", re.DOTALL)
_ZSTANDARD_FRAME = re.compile(rb"\x28\xb5\x2f\xfd(.)(.)", re.DOTALL)
_HAS_NO_WINDOW = 0x20  # Single_Segment_flag: the picture's own buffer is the window


def window_bytes(content: bytes, codec: int) -> int:
    """Return the largest window that any stream of the file states; 0 for the other codecs."""
    if codec == LZMA:
        return max((_xz_window(found[1][0]) for found in _XZ_BLOCK.finditer(content)), default=0)
    if codec == ZSTANDARD:
        windows = (_zstandard_window(*found[1], *found[2]) for found in _ZSTANDARD_FRAME.finditer(content))
        return max(windows, default=0)
    return 0


def _xz_window(bits: int) -> int:
    return (2 | bits & 1) << bits // 2 + 11


def _zstandard_window(descriptor: int, window: int) -> int:
    if descriptor & _HAS_NO_WINDOW:
        return 0
    base = 1 << 10 + (window >> 3)
    return base + base // 8 * (window & 7)
