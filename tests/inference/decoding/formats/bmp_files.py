"""BMP files in every variant of the format, written by its description (Microsoft's BITMAPINFOHEADER and OS/2's)."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.integer]


def bmp(
    rows: list[bytes],
    width: int,
    bits: int,
    *,
    header_bytes: int = 40,
    compression: int = 0,
    palette: bytes = b"",
    colors_used: int = 0,
    masks: tuple[int, ...] = (),
    top_down: bool = False,
    height: int | None = None,
) -> bytes:
    """Write a file.

    Args:
        rows: The rows from the top, without padding; one string of bytes that is written as it is for run lengths.
        width: Pixels.
        bits: Of one pixel.
        header_bytes: 12 and 16 are OS/2's short headers, 64 OS/2's long one, the others Windows'.
        compression: BI_RGB 0, BI_RLE8 1, BI_RLE4 2, BI_BITFIELDS 3 and others.
        palette: BGR with the short header, or BGR0.
        colors_used: As the header states it; 0 is all.
        masks: Red, green, blue and perhaps alpha: in the header where it is long enough, else behind it.
        top_down: Whether the first row comes first.
        height: Pixels, where it is not the number of rows.
    """
    height = len(rows) if height is None else height
    if compression in {1, 2, 4, 5}:
        pixels = b"".join(rows)
    else:
        ordered = rows if top_down else rows[::-1]
        pixels = b"".join(row.ljust(-(-len(row) // 4) * 4, b"\0") for row in ordered)
    if header_bytes == 12:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        signed = -height if top_down else height
        header = struct.pack(
            "<IiiHHIIiiII", header_bytes, width, signed, 1, bits, compression, len(pixels), 2835, 2835, colors_used, 0
        )
        header = header[:40] + struct.pack(f"<{len(masks)}I", *masks)
        header = header[:header_bytes].ljust(header_bytes, b"\0")
    behind = struct.pack("<3I", *masks[:3]) if masks and header_bytes == 40 else b""
    start = 14 + len(header) + len(behind) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + behind + palette + pixels


def packed_rows(indices: Indices, bits: int) -> list[bytes]:
    """Pack indices (height, width) of ``bits`` each, the leftmost in the highest bits."""
    planes = np.unpackbits(indices.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
    return [np.packbits(row.ravel()).tobytes() for row in planes]


def color_table(colors: NDArray[np.uint8], *, entry_bytes: int = 4) -> bytes:
    """Return the palette of RGB ``colors`` (count, 3)."""
    return b"".join(bytes(color[::-1]) + bytes(entry_bytes - 3) for color in colors)


def field_rows(colors: NDArray[np.uint8], bits: int, masks: tuple[int, ...]) -> list[bytes]:
    """Pack RGB or RGBA ``colors`` (height, width, channels) into pixels by their masks."""
    pixels = np.zeros(colors.shape[:2], np.uint64)
    for channel, mask in enumerate(masks):
        if mask:
            top = mask.bit_length()  # eight bits fill the upper ones of the field
            pixels |= (colors[..., channel].astype(np.uint64) << np.uint64(32 + top - 8) >> np.uint64(32)) & np.uint64(
                mask
            )
    return [row.astype(f"<u{bits // 8}").tobytes() for row in pixels]
