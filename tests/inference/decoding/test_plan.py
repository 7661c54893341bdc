"""A reduced decode keeps sizes, registration and the pixels of the next resize."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inference.decoding.formats.image_format import Header
from inference.decoding.memory_cost import DecoderMemory
from inference.decoding.orientation import Orientation
from inference.decoding.plan import plan_decode
from inference.predictions import ImageInfo
from tests.inference.decoding.image_samples import decode_image, encode, exif_orientation, scene
from tests.inference.decoding.test_orientation import STORED


def shortest_side(side: int, width: int, height: int) -> tuple[int, int]:
    return max(side, round(side * width / height)), max(side, round(side * height / width))


def header_of(width: int, height: int, kind: str) -> Header:
    scales = (8, 4, 2) if kind == "jpeg" else ()
    return Header(ImageInfo(width, height, kind), Orientation.UPRIGHT, "RGB", 1, DecoderMemory(0, 0), scales)


@given(
    width=st.integers(1, 20_000),
    height=st.integers(1, 20_000),
    side=st.integers(1, 1000),
    kind=st.sampled_from(["jpeg", "png"]),
)
def test_the_result_is_at_least_twice_the_needed_size_or_the_original(
    width: int, height: int, side: int, kind: str
) -> None:
    needed = shortest_side(side, width, height)
    plan = plan_decode(header_of(width, height, kind), needed)
    if plan.reduction > 1:
        kept = 2.5 if min(needed) < 200 else 2
        assert width / plan.reduction >= kept * needed[0]
        assert height / plan.reduction >= kept * needed[1]
    assert plan.scale in ((1, 2, 4, 8) if kind == "jpeg" else (1,))


def detailed(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture like a photo: coarse colours with detail down to a few pixels, and no symmetry."""
    random = np.random.default_rng(5)
    layers = [
        np.asarray(
            Image.fromarray(random.integers(0, 255, (height // step + 1, width // step + 1, 3), dtype=np.uint8)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        ).astype(float)
        for step in (97, 31, 7)
    ]
    return (0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]).round().astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_reduced_image_and_its_box_are_registered_with_the_original(kind: str, orientation: int) -> None:
    """A resize of ``box`` equals a resize of the original, also for sizes that are no multiple of the factor."""
    upright = detailed(1277, 941)
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {"compress_level": 1}
    content = encode(stored, kind, exif=exif_orientation(orientation), **options)
    size = (85, 63)
    decoded = decode_image(content, size)
    assert decoded.box is not None
    assert decoded.image.width < 1277 / 3
    got = np.asarray(decoded.image.resize(size, Image.Resampling.BICUBIC, decoded.box)).astype(int)
    expected = np.asarray(Image.fromarray(upright).resize(size, Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(got - expected).mean() < 0.8
    assert np.abs(got[:, [0, -1]] - expected[:, [0, -1]]).mean() < 1.2  # a shift would show at the edges
    assert np.abs(got[[0, -1]] - expected[[0, -1]]).mean() < 1.2


@settings(max_examples=30, deadline=None)
@given(width=st.integers(1, 90), height=st.integers(1, 60), side=st.integers(1, 12))
def test_any_size_decodes_to_a_box_inside_the_image(width: int, height: int, side: int) -> None:
    content = encode(Image.fromarray(scene(width, height)), "JPEG")
    decoded = decode_image(content, (side, side))
    assert decoded.box is not None
    left, top, right, bottom = decoded.box
    assert 0 <= left < right <= decoded.image.width
    assert 0 <= top < bottom <= decoded.image.height
    assert decoded.image.width - right < 1
    assert decoded.image.height - bottom < 1


@pytest.mark.parametrize("mode", ["P", "RGBA", "L", "CMYK"])
def test_conversion_in_bands_equals_conversion_at_once(mode: str) -> None:
    """The image has more rows than one band."""
    picture = Image.fromarray(scene(700, 1500))
    source = picture.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else picture.convert(mode)
    content = encode(source, "TIFF")
    decoded = decode_image(content, (700 // 9, 1500 // 9))
    expected = np.asarray(source.convert("RGB").reduce(3)).astype(int)
    assert np.abs(np.asarray(decoded.image).astype(int) - expected).max() <= 1
