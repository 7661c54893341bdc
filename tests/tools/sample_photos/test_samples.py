"""The demo's sample photos are the files their names claim."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

import pillow_heif
import pytest
from PIL import Image, ImageOps

from inference.errors import Reason
from tools.sample_photos.samples import render_samples
from tools.sample_photos.shapes import LABELS

if TYPE_CHECKING:
    from tools.sample_photos.samples import Sample

EXIF_ORIENTATION = 0x0112
TWELVE_MEGAPIXELS = 12_000_000


@pytest.fixture(scope="module")
def samples() -> dict[str, Sample]:
    return {sample.name: sample for sample in render_samples()}


def opened(sample: Sample) -> Image.Image:
    return Image.open(io.BytesIO(sample.content))


def test_samples_are_about_two_dozen_in_name_order(samples: dict[str, Sample]) -> None:
    assert 20 <= len(samples) <= 24
    assert list(samples) == sorted(samples)
    assert all("/" in name for name in samples)


def test_every_label_occurs(samples: dict[str, Sample]) -> None:
    assert {sample.label for sample in samples.values() if sample.status == "classified"} == set(LABELS)


def test_a_sample_has_a_label_or_a_reason(samples: dict[str, Sample]) -> None:
    for sample in samples.values():
        assert (sample.label is None) == (sample.status == "rejected")
        assert (sample.reason is None) == (sample.status == "classified")


def test_every_exif_orientation_occurs_upright_and_across(samples: dict[str, Sample]) -> None:
    stored = [opened(sample) for name, sample in samples.items() if name.startswith("camera-1/IMG_")]
    assert {image.getexif().get(EXIF_ORIENTATION) for image in stored} == set(range(1, 9))

    upright = [ImageOps.exif_transpose(image) for image in stored]
    assert {image.width > image.height for image in upright} == {True, False}


def test_one_photo_has_twelve_megapixels_and_was_taken_upright(samples: dict[str, Sample]) -> None:
    (large,) = [
        image
        for sample in samples.values()
        if sample.status == "classified" and not sample.name.endswith(".HEIC")
        for image in [opened(sample)]
        if image.width * image.height >= TWELVE_MEGAPIXELS
    ]
    assert (large.format, large.size, large.getexif()[EXIF_ORIENTATION]) == ("JPEG", (4000, 3000), 6)
    assert ImageOps.exif_transpose(large).size == (3000, 4000)


@pytest.mark.parametrize(
    ("name", "image_format", "mode"),
    [
        ("shop/cut out.png", "PNG", "RGBA"),
        ("shop/100% cotton + wool.webp", "WEBP", "RGB"),
        ("print/four colours.jpg", "JPEG", "CMYK"),
        ("phone/grey.jpg", "JPEG", "L"),
    ],
)
def test_formats_match_the_names(samples: dict[str, Sample], name: str, image_format: str, mode: str) -> None:
    image = opened(samples[name])
    image.load()
    assert (image.format, image.mode) == (image_format, mode)


def test_the_cut_out_has_transparent_corners(samples: dict[str, Sample]) -> None:
    assert opened(samples["shop/cut out.png"]).getchannel("A").getextrema() == (0, 255)


def test_the_phone_photo_is_heic(samples: dict[str, Sample]) -> None:
    assert pillow_heif.open_heif(samples["phone/IMG_4711.HEIC"].content).size == (768, 1024)


def test_exactly_three_are_broken(samples: dict[str, Sample]) -> None:
    rejected = [sample for sample in samples.values() if sample.status == "rejected"]
    assert Counter(sample.reason for sample in rejected) == {
        Reason.TRUNCATED: 1,
        Reason.NOT_AN_IMAGE: 1,
        Reason.EMPTY: 1,
    }

    for sample in rejected:
        with pytest.raises(OSError, match=r"truncated|cannot identify"):
            opened(sample).load()
