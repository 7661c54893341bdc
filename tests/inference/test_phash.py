"""The perceptual hash: the bits of the published algorithm, little changed by size, compression and orientation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from inference.decoding.decode import decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.limits import Limits
from inference.phash import _hash, phash
from storage.query.similar import distance


def picture(width: int = 640, height: int = 480, seed: int = 1) -> Image.Image:
    """Smooth blobs of colour, whose large shapes depend on the seed alone."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def of(
    image: Image.Image,
    *,
    orientation: int = 1,
    needed: tuple[int, int] = (96, 96),
    quality: int = 90,
    form: str = "JPEG",
) -> str:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(buffer, form, quality=quality, exif=exif)
    content = buffer.getvalue()
    return phash(decode(content, plan_decode(read_header(content, Limits()), needed), upright=False))


@pytest.mark.parametrize(
    ("seed", "recorded"), [(1, "b7382d32c2aa94f9"), (2, "92dc016d5bc5167d"), (3, "b2390d3af147e85a")]
)
def test_the_bits_of_32_pixels_are_those_of_imagehash(seed: int, recorded: str) -> None:
    """Recorded from imagehash 4.3.2, whose resize leaves a picture of this size as it is."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)
    assert _hash(pixels.astype(np.float64)) == recorded


def test_a_flat_picture_has_the_same_hash_in_every_shade() -> None:
    assert {of(Image.new("RGB", (300, 200), shade)) for shade in ("red", "grey", "white")} == {"8000000000000000"}


def test_copies_of_another_size_and_quality_are_near_and_other_pictures_are_not() -> None:
    original = of(picture(1600, 1200))
    copies = [of(picture(400, 300)), of(picture(1600, 1200), quality=40), of(picture(1600, 1200), form="PNG")]
    copies.append(of(picture(1600, 1200), needed=(1600, 1200)))
    assert max(distance(original, copy) for copy in copies) <= 4
    assert min(distance(original, of(picture(seed=seed))) for seed in range(2, 12)) > 12


def test_the_hash_is_that_of_the_upright_picture() -> None:
    turned = picture(1600, 1200).transpose(Image.Transpose.ROTATE_90)  # orientation 6 turns it back
    assert distance(of(turned, orientation=6), of(picture(1600, 1200))) <= 2
    assert distance(of(turned), of(picture(1600, 1200))) > 12


def test_a_picture_of_one_pixel_has_a_hash() -> None:
    assert len(of(Image.new("RGB", (1, 1)))) == 16


def test_the_distance_counts_bits() -> None:
    assert distance("8000000000000001", "0000000000000003") == 2
    assert distance("ffffffffffffffff", "0" * 16) == 64
    with pytest.raises(ValueError, match="invalid literal"):
        distance("no hash", "0" * 16)
