"""Unpacks the run lengths of a BMP (BI_RLE8 and BI_RLE4).

Pillow's own decoder loses empty rows and calls a picture damaged that ends before its last row, as the format permits.
"""

from __future__ import annotations

_END_OF_LINE, _END_OF_BITMAP, _DELTA = 0, 1, 2


def unpack_runs(content: bytes, start: int, size: tuple[int, int], bits: int) -> tuple[bytearray, bool]:
    """Unpack the indices of a picture.

    Args:
        content: The whole file.
        start: Where the run lengths begin.
        size: Width and height in pixels.
        bits: 4 or 8, of one index.

    Returns:
        One byte for each pixel, row by row from the bottom; 0 where a delta or an early end leaves pixels out. And
        whether the data reaches the last pixel or an end mark.
    """
    width, height = size
    indices = bytearray(width * height)
    at, x, y = start, 0, 0
    while y < height and at + 2 <= len(content):
        count, value = content[at], content[at + 1]
        at += 2
        if count:
            run = _expand(bytes([value]) * ((count + 1) // 2), count) if bits == 4 else bytes([value]) * count
            x = _write(indices, run, x, y, width)
        elif value == _END_OF_LINE:
            x, y = 0, y + 1
        elif value == _END_OF_BITMAP:
            return indices, True
        elif value == _DELTA:
            if at + 2 > len(content):
                break
            x, y = x + content[at], y + content[at + 1]
            at += 2
        else:
            length = (value + 1) // 2 if bits == 4 else value
            literal = content[at : at + length]
            if len(literal) < length:
                break
            x = _write(indices, _expand(literal, value) if bits == 4 else literal, x, y, width)
            at += length + (length & 1)
        if x >= width and y == height - 1:
            return indices, True
    return indices, y >= height


def _write(indices: bytearray, run: bytes, x: int, y: int, width: int) -> int:
    """Write a run into row ``y``, up to the end of the row, and return the column behind it."""
    run = run[: max(0, width - x)]
    indices[y * width + x : y * width + x + len(run)] = run
    return x + len(run)


def _expand(packed: bytes, count: int) -> bytes:
    """Return ``count`` indices of 4 bits, the upper one of each byte first."""
    pairs = bytearray(2 * len(packed))
    pairs[::2] = bytes(byte >> 4 for byte in packed)
    pairs[1::2] = bytes(byte & 15 for byte in packed)
    return bytes(pairs[:count])
