"""Whatever the bytes, only an image or a named refusal comes out. Short and deterministic; the long run is by hand.

``FUZZ_INPUTS=200000 python -m pytest tests/inference/test_decode_fuzz.py`` makes it long.
"""

from __future__ import annotations

import os
import random
import time
import warnings

import numpy as np
import pytest
from PIL import Image

from inference.decode import decode, read_header
from inference.errors import PermanentError
from inference.limits import Limits
from tests.inference.image_samples import encode, encode_heif, exif_orientation

INPUTS = int(os.environ.get("FUZZ_INPUTS", "3000"))
SLOWEST_SECONDS = 5
LIMITS = Limits(max_pixels=10_000_000)  # what is larger and valid is slow by right

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 127, (24, 40, 3), dtype=np.uint8))
CLEAR = NOISE.convert("RGBA")
EXIF = exif_orientation(6)
TWO_FRAMES = {"save_all": True, "append_images": [NOISE.rotate(180)]}

SEEDS = [
    encode(NOISE, "JPEG", exif=EXIF),
    encode(NOISE, "JPEG", progressive=True),
    encode(NOISE.convert("CMYK"), "JPEG"),
    encode(NOISE, "MPO", **TWO_FRAMES),
    encode(NOISE, "PNG", exif=EXIF),
    encode(NOISE.quantize(16), "PNG", transparency=3),
    encode(Image.fromarray(np.arange(960, dtype=np.uint16).reshape(24, 40) * 68), "PNG"),
    encode(NOISE, "PNG", **TWO_FRAMES),
    encode(NOISE, "WEBP", exif=EXIF),
    encode(CLEAR, "WEBP", lossless=True),
    encode(NOISE, "WEBP", **TWO_FRAMES),
    encode(NOISE.quantize(16), "GIF"),
    encode(NOISE, "BMP"),
    encode(NOISE.quantize(16), "BMP"),
    encode(NOISE, "TIFF", exif=EXIF),
    encode(NOISE, "TIFF", compression="tiff_lzw", tiffinfo={322: 16, 323: 16}),
    encode(NOISE, "TIFF", big_tiff=True),
    encode(NOISE, "AVIF", exif=EXIF),
    encode(NOISE, "JPEG2000"),
    encode(NOISE, "JPEG2000", no_jp2=True),
    encode(CLEAR, "ICO", sizes=[(40, 24)]),
    encode(CLEAR, "ICO", sizes=[(32, 24)], bitmap_format="bmp"),
    encode_heif(NOISE),
]
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def mutate(content: bytes, dice: random.Random) -> bytes:
    """Change a few places, mostly in the header: bits, numbers, missing, doubled and borrowed parts."""
    changed = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 3, 8])):
        if not changed:
            break
        at = dice.randrange(len(changed) if dice.random() < 0.5 else min(len(changed), 300))
        length = dice.randrange(1, 40)
        match dice.randrange(7):
            case 0:
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                changed[at] = dice.randrange(256)
            case 2:
                size = dice.choice([1, 2, 4])
                number = dice.choice(NUMBERS) & (256**size - 1)
                changed[at : at + size] = number.to_bytes(size, dice.choice(["big", "little"]))
            case 3:
                del changed[at : at + length]
            case 4:
                changed[at:at] = changed[at : at + length] * dice.choice([1, 3, 50])
            case 5:
                other = dice.choice(SEEDS)
                start = dice.randrange(len(other))
                changed[at : at + length] = other[start : start + length]
            case _:
                del changed[at if dice.random() < 0.3 else -1 :]
    return bytes(changed)


@pytest.mark.parametrize("warn", ["ignore", "error"])
def test_only_an_image_or_a_named_refusal_comes_out(warn: str) -> None:
    dice = random.Random(20_240_229 if warn == "ignore" else 11)
    decoded = 0
    with warnings.catch_warnings():
        warnings.simplefilter(warn)  # type: ignore[arg-type]
        for _ in range(INPUTS // 2):
            content = mutate(dice.choice(SEEDS), dice)
            started = time.perf_counter()
            try:
                image = decode(content, read_header(content, LIMITS), needed=lambda _width, _height: (20, 12)).image
            except PermanentError as error:
                assert error.detail  # noqa: PT017
            else:
                assert image.mode == "RGB"
                decoded += 1
            assert time.perf_counter() - started < SLOWEST_SECONDS
    assert 0.05 < decoded / (INPUTS // 2) < 0.9  # the mutations neither break all nor touch nothing
