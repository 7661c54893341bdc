"""What one image may ask of us. Every limit is checked on the encoded bytes or the header, before pixels exist."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """The largest image that is looked at.

    Attributes:
        max_bytes: Encoded size. 128 MiB holds a photo of 50 megapixels as PNG (70 to 110 MiB) and a 200-megapixel
            phone JPEG (about 50 MiB); a PNG of pure noise would have 143.
        max_pixels: Stored width times height. 200 million is the largest phone sensor; a bigger picture gains no
            classifier anything and costs at least 4 bytes of memory per pixel.
        max_frames: Frames or pages. Only the first is decoded, but each is walked to know that the file is whole.
        max_chunks: Segments, chunks or boxes. Real files have hundreds; a file of five million empty ones keeps
            a parser busy for minutes.
    """

    max_bytes: int = 128 * 1024 * 1024
    max_pixels: int = 200_000_000
    max_frames: int = 10_000
    max_chunks: int = 50_000
