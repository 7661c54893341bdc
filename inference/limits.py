"""Limits on one image. They are checked on the encoded bytes and the header, before pixels are decoded."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """The images that are accepted.

    Attributes:
        max_bytes: Encoded size. 128 MiB holds a 50-megapixel photo as PNG (70 to 110 MiB) and a 200-megapixel phone
            JPEG (about 50 MiB); a 50-megapixel PNG of pure noise has 143 MiB.
        max_pixels: Stored width times height. 200 million is the largest phone sensor; more pixels improve no
            classification and cost at least 4 bytes of memory each.
        max_frames: Frames or pages. Only the first is decoded, but each is parsed to check that the file is complete.
        max_chunks: Segments, chunks or boxes. Real files have hundreds; a file of five million empty ones keeps a
            parser busy for minutes.
        accept_damaged: Whether a truncated or damaged picture is classified by its decoded part.
    """

    max_bytes: int = 128 * 1024 * 1024
    max_pixels: int = 200_000_000
    max_frames: int = 10_000
    max_chunks: int = 50_000
    accept_damaged: bool = False
