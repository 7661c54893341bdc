"""What a decode takes at its peak, in bytes beside the encoded content.

Measured: one image per fresh process, the peak of its resident set over what it was before, 12 and 50 megapixels,
Pillow 13.0 and pillow-heif 1.8 on Linux; ``docs/images.md`` has the table,
``tests/inference/decoding/test_memory_cost.py`` holds the formula to the truth. Bytes per pixel; a Pillow pixel is
4 bytes (1 for grey and palette, 2 for 16 bits), and an image has a pointer to each of its rows, which is
most of it where it is a pixel wide:

    JPEG        the reduced image, three times and the file where a flat last row is looked into (``jpeg_gaps``);
                progressive: 2 per stored sample more, at full scale, whatever the reduction
    PNG, BMP    one Pillow image; BMP 4 bytes at least, for run lengths
    GIF, ICO    two Pillow images
    TIFF        three: strips, image, and a turned copy
    HEIF        9 (planes, interleaved copy, image), as AVIF of the pixels coded where those are more
    AVIF        12; 17 where samples have 10 or 12 bits
    WebP        16 (two canvases, a copy, the image) and twice the file
    JPEG 2000   4 per channel (32-bit samples), 8 for copy and image, and 12 KiB for every tile, however small
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.decoding.decode import reduction

if TYPE_CHECKING:
    from inference.decoding.decode import Header, Needed

_FIXED_BYTES = 8 * 1024 * 1024  # conversion bands, decoder tables, allocator slack
_PILLOW_PIXEL_BYTES = 4
_PILLOW_ROW_BYTES = 8
_COEFFICIENT_BYTES = 2  # libjpeg's JCOEF
_TILE_BYTES = 12 * 1024  # OpenJPEG's coding parameters; 11.1 KiB measured with 43,691 tiles of 1 x 24
_BLOCK_BYTES = 448  # OpenJPEG's code-block: 405 measured with flat, 440 with noisy pictures in blocks of 4 x 4
_BYTES_PER_PIXEL = {"bmp": 4, "heif": 9, "avif": 12}
_DEEP_AVIF_BYTES = 5  # two bytes for each sample of up to four
_IMAGES = {"png": 1, "gif": 2, "ico": 2, "tiff": 3}


def decode_cost(header: Header, needed: Needed) -> int:
    """Bound the peak bytes of ``decode(content, header, needed=needed)`` beside ``content`` itself."""
    shrink = reduction(header, needed)
    result = 2 * _image_bytes(header, _PILLOW_PIXEL_BYTES, shrink.total)  # and a turned copy of it
    return int(_decoder_bytes(header, shrink.inside) + result) + _FIXED_BYTES


def _decoder_bytes(header: Header, scale: int) -> float:
    stored = _image_bytes(header, _stored_pixel_bytes(header.mode), scale)
    kind = header.info.format
    if kind == "jpeg":
        coefficients = _COEFFICIENT_BYTES * header.samples * header.pixels if header.progressive else 0
        return coefficients + 3 * stored + header.encoded_bytes
    if kind == "webp":
        return 16 * header.pixels + 2 * header.encoded_bytes
    if kind == "jpeg2000":
        blocks = header.samples * header.pixels / header.block_samples
        return (4 * header.samples + 8) * header.pixels + _TILE_BYTES * header.tiles + _BLOCK_BYTES * blocks
    if kind in _BYTES_PER_PIXEL:
        deep = _DEEP_AVIF_BYTES if header.coded.is_deep else 0
        return (_BYTES_PER_PIXEL[kind] + deep) * max(header.pixels, header.coded.pixels)
    return _IMAGES[kind] * stored


def _image_bytes(header: Header, pixel_bytes: int, scale: int) -> float:
    """A Pillow image of the picture, reduced ``scale`` times; upright or not, so either side may be its rows."""
    rows = max(header.info.width, header.info.height)
    return pixel_bytes * header.pixels / scale**2 + _PILLOW_ROW_BYTES * rows / scale


def _stored_pixel_bytes(mode: str) -> int:
    if mode in {"1", "L", "P"}:
        return 1
    return 2 if mode.startswith("I;16") else _PILLOW_PIXEL_BYTES
