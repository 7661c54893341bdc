"""Bilinear resampling without antialiasing, against a reference in plain Python and against OpenCV's own numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inference import resample
from inference.resample import resize_bilinear
from tests.inference.model.model_folders import noise


def reference(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Follow TensorFlow's description of ``half_pixel_centers``, one pixel at a time in float64."""
    pixels = np.asarray(image, np.float64)
    height, width = pixels.shape[:2]
    result = np.empty((size[1], size[0], *pixels.shape[2:]))
    for row in range(size[1]):
        for column in range(size[0]):
            y = min(max((row + 0.5) * height / size[1] - 0.5, 0), height - 1)
            x = min(max((column + 0.5) * width / size[0] - 0.5, 0), width - 1)
            top, left = math.floor(y), math.floor(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = pixels[top, left] * (left + 1 - x) + pixels[top, right] * (x - left)
            lower = pixels[bottom, left] * (left + 1 - x) + pixels[bottom, right] * (x - left)
            result[row, column] = upper * (top + 1 - y) + lower * (y - top)
    return result


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30), st.integers(1, 30))
def test_every_size_is_the_reference(width: int, height: int, new_width: int, new_height: int) -> None:
    image = noise(width, height)
    resized = np.asarray(resize_bilinear(image, (new_width, new_height)), np.float64)
    assert np.abs(resized - reference(image, (new_width, new_height))).max() <= 0.5 + 1e-4


def test_a_large_image_is_read_in_bands_and_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(150, 130)
    whole = np.asarray(resize_bilinear(image, (24, 31)))
    monkeypatch.setattr(resample, "_BAND_PIXELS", 1000)
    np.testing.assert_array_equal(np.asarray(resize_bilinear(image, (24, 31))), whole)


def test_a_box_is_the_part_of_the_image() -> None:
    image = noise(40, 30)
    part = resize_bilinear(image, (7, 5), (8.0, 6.0, 36.0, 26.0))
    np.testing.assert_array_equal(np.asarray(part), np.asarray(resize_bilinear(image.crop((8, 6, 36, 26)), (7, 5))))


# ``cv2.resize(a, size, interpolation=cv2.INTER_LINEAR)`` of OpenCV 5.0.0, where ``a`` is the ramp below.
OPENCV = {
    (2, 3): [[175, 109], [102, 164], [157, 91]],
    (3, 4): [[139, 95, 115], [175, 120, 98], [168, 146, 91], [151, 171, 95]],
    (9, 5): [
        [50, 110, 136, 115, 67, 138, 152, 126, 84],
        [224, 148, 128, 124, 36, 107, 149, 129, 53],
        [244, 134, 119, 133, 5, 76, 147, 132, 22],
        [213, 137, 117, 159, 230, 141, 138, 118, 42],
        [182, 140, 114, 128, 199, 150, 130, 104, 62],
    ],
}


@pytest.mark.parametrize("size", OPENCV, ids=str)
def test_opencv_gives_the_same_numbers(size: tuple[int, int]) -> None:
    """OpenCV rounds its weights to 1/2048, and may so be one level away."""
    ramp = Image.fromarray((np.arange(9 * 7).reshape(9, 7) * 91 % 256).astype(np.uint8))
    difference = np.asarray(resize_bilinear(ramp, size), int) - np.array(OPENCV[size])
    assert np.abs(difference).max() <= 1
    assert np.count_nonzero(difference) <= difference.size // 4
