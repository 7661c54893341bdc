"""Small files of every format, and ways to damage them, for the fuzzers.

A blind change rarely passes a checksum or a length check. So some mutations write other sizes for the picture, and
correct PNG checksums and RIFF lengths afterwards.
"""

from __future__ import annotations

import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.inference.decoding.format_mutations import mutate_parts
from tests.inference.decoding.formats.heif_files import put_together, taken_apart
from tests.inference.decoding.image_samples import encode, encode_heif, exif_orientation
from tests.inference.decoding.memory_layouts import interlaced_png, one_scan_per_component, run_length_bmp, tiff

if TYPE_CHECKING:
    import random

WIDTH, HEIGHT = 40, 24
_NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 127, (HEIGHT, WIDTH, 3), dtype=np.uint8))
_CLEAR = _NOISE.convert("RGBA")
_DEEP = Image.fromarray(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 68)
_SQUARE = _NOISE.resize((64, 64))
_EXIF = exif_orientation(6)


def _two_frames(picture: Image.Image, kind: str) -> bytes:
    return encode(picture, kind, save_all=True, append_images=[_NOISE.rotate(180)])


SEEDS = [
    encode(_NOISE, "JPEG", exif=_EXIF),
    encode(_NOISE, "JPEG", progressive=True),
    encode(_NOISE.convert("L"), "JPEG", restart_marker_blocks=2),
    encode(_NOISE.convert("CMYK"), "JPEG"),
    encode(_NOISE, "JPEG", subsampling=0, icc_profile=bytes(200)),
    _two_frames(_NOISE, "MPO"),
    encode(_NOISE, "PNG", exif=_EXIF),
    encode(_NOISE.quantize(16), "PNG", transparency=3),
    encode(_NOISE.convert("1"), "PNG"),
    encode(_DEEP, "PNG"),
    _two_frames(_NOISE, "PNG"),
    encode(_NOISE, "WEBP", exif=_EXIF),
    encode(_CLEAR, "WEBP", lossless=True),
    encode(_CLEAR, "WEBP", quality=60),
    _two_frames(_NOISE, "WEBP"),
    encode(_NOISE.quantize(16), "GIF"),
    _two_frames(_NOISE.quantize(16), "GIF"),
    encode(_NOISE, "BMP"),
    encode(_NOISE.quantize(16), "BMP"),
    encode(_NOISE, "TIFF", exif=_EXIF),
    encode(_NOISE, "TIFF", compression="tiff_lzw", tiffinfo={322: 16, 323: 16}),
    encode(_NOISE, "TIFF", compression="jpeg"),
    encode(_NOISE, "TIFF", compression="tiff_adobe_deflate"),
    encode(_NOISE.convert("1"), "TIFF", compression="group4"),
    encode(_DEEP, "TIFF", compression="packbits"),
    _two_frames(_NOISE, "TIFF"),
    encode(_NOISE, "TIFF", big_tiff=True),
    encode(_NOISE, "AVIF", exif=_EXIF),
    encode(_CLEAR, "AVIF"),
    encode(_NOISE, "JPEG2000"),
    encode(_NOISE, "JPEG2000", no_jp2=True),
    encode(_CLEAR, "JPEG2000", tile_size=(16, 16), irreversible=True),
    encode(_CLEAR, "ICO", sizes=[(40, 24)]),
    encode(_CLEAR, "ICO", sizes=[(16, 16), (32, 24)], bitmap_format="bmp"),
    encode_heif(_NOISE),
    encode_heif(_CLEAR, exif=_EXIF),
    one_scan_per_component(_NOISE),
    encode(_NOISE.convert("CMYK"), "JPEG", progressive=True),
    interlaced_png(_NOISE),
    run_length_bmp(_NOISE),
    tiff(np.asarray(_NOISE), tile=(16, 16), compression="adobe_deflate"),
    tiff(np.asarray(_NOISE), tile=(32, 48)),
    tiff(np.moveaxis(np.asarray(_NOISE), -1, 0), planarconfig="separate", compression="lzw"),
    tiff(np.asarray(_NOISE), compression="lzma", rowsperstrip=8),
    tiff(np.asarray(_NOISE), compression="zstd"),
    put_together("HEIC", [taken_apart("HEIC", _SQUARE)] * 4, (64, 64), grid=(2, 2, 120, 100)),
    put_together("AVIF", [taken_apart("AVIF", _SQUARE)] * 4, (64, 64), grid=(2, 2, 120, 100)),
]
_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
_SIZES = [0, 1, 2, 255, 4000, 8000, 14_100, 16_383, 16_384, 20_000, 65_500, 65_535, 1 << 20, 199_000_000]


def mutate(content: bytes, dice: random.Random, corpus: list[bytes] = SEEDS) -> bytes:
    """Damage a part that only this format has, or any place, or both."""
    if dice.random() < 0.4:
        content = mutate_parts(content, dice)
        if dice.random() < 0.5:
            return with_valid_checksums(content)
    return _mutate_anywhere(content, dice, corpus)


def _mutate_anywhere(content: bytes, dice: random.Random, corpus: list[bytes]) -> bytes:
    """Change a few places, mostly in the header: bits, numbers, sizes, missing, doubled and borrowed parts."""
    changed = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 3, 8])):
        if not changed:
            break
        at = dice.randrange(len(changed) if dice.random() < 0.5 else min(len(changed), 300))
        length = dice.randrange(1, 40)
        match dice.randrange(8):
            case 0:
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                changed[at] = dice.randrange(256)
            case 2:
                size = dice.choice([1, 2, 4])
                number = dice.choice(_NUMBERS) & (256**size - 1)
                changed[at : at + size] = number.to_bytes(size, dice.choice(["big", "little"]))
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length] * dice.choice([1, 3, 50])
            case 5:
                other = dice.choice(corpus)
                start = dice.randrange(len(other))
                changed[at : at + length] = other[start : start + length]
            case 6:
                _state_another_size(changed, dice)
            case _:
                del changed[at if dice.random() < 0.3 else -1 :]
    return with_valid_checksums(bytes(changed)) if dice.random() < 0.7 else bytes(changed)


def _state_another_size(content: bytearray, dice: random.Random) -> None:
    """Write another width, height or both, at every place that holds one in the encoding of some format."""
    forms = [struct.Struct(form) for form in (">I", "<I", ">H", "<H")]
    for old in dice.sample([WIDTH, HEIGHT], dice.choice([1, 2, 2])):
        claim = dice.choice(_SIZES)
        form = dice.choice(forms)
        less = dice.choice([0, 0, 1])  # WebP's canvas is written as one less
        new = max(0, claim - less) & (256**form.size - 1)
        changed = bytes(content).replace(form.pack(old - less), form.pack(new), dice.choice([1, -1]))
        if dice.random() < 0.3 and (at := content.find(b"VP8L")) > 0 and len(content) > at + 13:
            bits = (dice.choice(_SIZES) & 0x3FFF) | (dice.choice(_SIZES) & 0x3FFF) << 14
            changed = bytes(content[: at + 9]) + struct.pack("<I", bits) + bytes(content[at + 13 :])
        content[:] = changed


def with_valid_checksums(content: bytes) -> bytes:
    """Correct a PNG's checksums and a RIFF's length, so that a change passes them."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _with_png_checksums(content)
    if content[:4] == b"RIFF" and len(content) > 12:
        return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    return content


def _with_png_checksums(content: bytes) -> bytes:
    parts, at = [content[:8]], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        end = at + 8 + length
        if end + 4 > len(content):
            break
        parts += [content[at:end], struct.pack(">I", zlib.crc32(content[at + 4 : end]))]
        at = end + 4
    return b"".join([*parts, content[at:]])


def giants(megapixels: int) -> dict[str, bytes]:
    """Return valid pictures of one colour and of this size, in a few kilobytes each."""
    width = 16_000 if megapixels >= 100 else 8_000
    flat = Image.new("RGB", (width, megapixels * 1_000_000 // width), (70, 140, 90))
    writers = {
        "baseline.jpg": partial(encode, flat, "JPEG"),
        "progressive.jpg": partial(encode, flat, "JPEG", progressive=True),
        "png": partial(encode, flat, "PNG", compress_level=1),
        "lossless.webp": partial(encode, flat, "WEBP", lossless=True, method=0),
        "lossy.webp": partial(encode, flat, "WEBP", method=0),
        "gif": partial(encode, flat.convert("P"), "GIF"),
        "lzw.tiff": partial(encode, flat, "TIFF", compression="tiff_lzw"),
        "avif": partial(encode, flat, "AVIF", speed=10),
        "jp2": partial(encode, flat, "JPEG2000"),
        "heic": partial(encode_heif, flat, quality=40, enc_params={"preset": "ultrafast"}),
    }
    made = {}
    for name, write in writers.items():
        try:
            made[name] = write()
        except (OSError, ValueError, RuntimeError):  # this writer cannot make one as large
            continue
    return made
