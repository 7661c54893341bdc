from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inference.decoding.decode import DecodedImage
from inference.model_spec import ColorOrder, InputSpec, Interpolation, Layout, ResizeMode
from inference.predictions import ImageInfo
from inference.preprocess import needed_size, normalize, preprocess
from tests.inference.decoding.image_samples import decode_image, encode, exif_orientation
from tests.inference.decoding.test_orientation import STORED
from tests.inference.model.model_folders import encoded, noise

IMAGENET = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def spec(**changes: Any) -> InputSpec:
    plain = InputSpec(
        name="input",
        dtype="float32",
        layout=Layout.NCHW,
        color_order=ColorOrder.RGB,
        height=32,
        width=32,
        resize=ResizeMode.SQUASH,
        resized_height=32,
        resized_width=32,
        interpolation=Interpolation.BILINEAR,
        scale=1 / 255,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        pad_color=(0, 0, 0),
        batch=1,
    )
    return plain._replace(**changes)


def decoded(image: Image.Image) -> DecodedImage:
    return DecodedImage(image, ImageInfo(image.width, image.height, "png"))


def tensor_of(image: Image.Image, wanted: InputSpec) -> np.ndarray[Any, Any]:
    tensor: np.ndarray[Any, Any] = preprocess(wanted, decoded(image))
    return tensor


def reduced_twice(image: Image.Image) -> DecodedImage:
    """What the decoder hands over for an original of twice the size."""
    return DecodedImage(image, ImageInfo(2 * image.width, 2 * image.height, "jpeg"))


def crop(side: int, interpolation: Interpolation, **numbers: Any) -> InputSpec:
    return spec(
        resize=ResizeMode.SHORTEST_SIDE_CROP,
        resized_height=side,
        resized_width=side,
        interpolation=interpolation,
        **{"scale": 1.0, **numbers},
    )


def reference(image: Image.Image, wanted: InputSpec) -> np.ndarray[Any, Any]:
    """The straightforward way: resize all of it, crop the centre, calculate in float64 as the formula is written."""
    filters = {kind: Image.Resampling[kind.name] for kind in Interpolation}
    if wanted.resize is ResizeMode.SHORTEST_SIDE_CROP:
        side, shorter = wanted.resized_height, min(image.size)
        whole = (max(side, side * image.width // shorter), max(side, side * image.height // shorter))
    else:
        whole = (wanted.resized_width, wanted.resized_height)
    resized = image.resize(whole, filters[wanted.interpolation])
    left, top = (resized.width - wanted.width) // 2, (resized.height - wanted.height) // 2
    pixels = np.asarray(resized.crop((left, top, left + wanted.width, top + wanted.height)), np.float64)
    if wanted.color_order is ColorOrder.BGR:
        pixels = pixels[:, :, ::-1]
    values = (pixels * wanted.scale - np.array(wanted.mean)) / np.array(wanted.std)
    tensor: np.ndarray[Any, Any] = values[None] if wanted.layout is Layout.NHWC else values.transpose(2, 0, 1)[None]
    return tensor


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("color_order", [ColorOrder.RGB, ColorOrder.BGR])
@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(IMAGENET, id="ImageNet"),
        pytest.param({"scale": 1 / 127.5, "mean": (1, 1, 1), "std": (1, 1, 1)}, id="-1 to 1"),
        pytest.param({"scale": 1 / 255, "mean": (0, 0, 0), "std": (1, 1, 1)}, id="0 to 1"),
        pytest.param({"scale": 1, "mean": (0, 0, 0), "std": (1, 1, 1)}, id="0 to 255"),
        pytest.param({"scale": 1, "mean": (127.0, 127, 127), "std": (128.0, 128, 128)}, id="TensorFlow lite"),
    ],
)
def test_tensor_is_the_reference_where_nothing_is_resampled(
    layout: Layout, color_order: ColorOrder, numbers: dict[str, Any]
) -> None:
    wanted = spec(layout=layout, color_order=color_order, **numbers)
    image = noise(32, 32)
    np.testing.assert_allclose(tensor_of(image, wanted), reference(image, wanted), rtol=0, atol=1e-5)


def test_mean_without_scale_agrees_within_float32() -> None:
    """Caffe's 0..255 minus mean: values of 150 cannot be closer than 1e-5 in float32."""
    wanted = spec(color_order=ColorOrder.BGR, scale=1.0, mean=(103.53, 116.28, 123.675))
    image = noise(32, 32)
    np.testing.assert_allclose(tensor_of(image, wanted), reference(image, wanted), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("size", [(64, 48), (33, 90), (20, 25)], ids=["half", "tall", "enlarged"])
def test_squash_is_the_reference_for_every_interpolation(interpolation: Interpolation, size: tuple[int, int]) -> None:
    wanted = spec(interpolation=interpolation, **IMAGENET)
    image = noise(*size)
    np.testing.assert_allclose(tensor_of(image, wanted), reference(image, wanted), rtol=0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 130),
    st.integers(20, 130),
    st.sampled_from([32, 36, 40]),
    st.sampled_from([Interpolation.BILINEAR, Interpolation.BICUBIC, Interpolation.LANCZOS, Interpolation.HAMMING]),
)
def test_crop_in_one_resize_of_a_reduced_image_is_the_crop_of_the_whole(
    width: int, height: int, side: int, interpolation: Interpolation
) -> None:
    wanted = crop(side, interpolation)
    image = noise(width, height)
    difference = np.abs(preprocess(wanted, reduced_twice(image)) - reference(image, wanted))
    # Pillow chooses the order of its two passes by the size of the result, and rounds in between; noise is the worst
    # case. A crop that is off by half a pixel differs by 20 levels on average.
    assert difference.mean() < 2


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 130), st.integers(20, 130), st.sampled_from([32, 36, 40]), st.sampled_from(Interpolation))
def test_crop_of_an_image_that_was_not_reduced_is_the_reference(
    width: int, height: int, side: int, interpolation: Interpolation
) -> None:
    wanted = crop(side, interpolation, **IMAGENET)
    image = noise(width, height)
    np.testing.assert_allclose(tensor_of(image, wanted), reference(image, wanted), rtol=0, atol=1e-5)


@pytest.mark.parametrize("interpolation", [Interpolation.NEAREST, Interpolation.BOX])
def test_filters_with_sharp_edges_are_off_by_a_pixel_at_most(interpolation: Interpolation) -> None:
    """Where their edge falls on the border of two pixels, float32 decides which one it is."""
    ramp = Image.fromarray(np.add.outer(np.arange(90), np.arange(121)).astype(np.uint8)[:, :, None].repeat(3, axis=2))
    wanted = crop(40, interpolation)
    assert np.abs(preprocess(wanted, reduced_twice(ramp)) - reference(ramp, wanted)).max() <= 2


def test_squash_and_crop_takes_the_centre() -> None:
    wanted = spec(resized_height=40, resized_width=40, scale=1.0)
    image = noise(40, 40)
    np.testing.assert_array_equal(tensor_of(image, wanted)[0].transpose(1, 2, 0), np.asarray(image)[4:36, 4:36])


def test_letterbox_keeps_the_shape_and_pads_both_sides() -> None:
    wanted = spec(resize=ResizeMode.LETTERBOX, scale=1.0, pad_color=(10, 20, 30))
    tensor = tensor_of(Image.new("RGB", (64, 32), (200, 100, 50)), wanted)[0]
    np.testing.assert_array_equal(tensor[:, 16, 16], [200, 100, 50])
    np.testing.assert_array_equal(tensor[:, 7, 0], [10, 20, 30])
    np.testing.assert_array_equal(tensor[:, 24, 31], [10, 20, 30])
    assert np.all(tensor[:, 8:24, :] == np.array([200, 100, 50])[:, None, None])


def test_grey_letterbox_pads_with_the_grey_of_its_colour() -> None:
    wanted = spec(
        resize=ResizeMode.LETTERBOX,
        color_order=ColorOrder.GREY,
        scale=1.0,
        mean=(0.0,),
        std=(1.0,),
        pad_color=(255,) * 3,
    )
    tensor = tensor_of(Image.new("L", (8, 32), 7), wanted)[0]
    assert tensor.shape == (1, 32, 32)
    assert (tensor[0, 0, 0], tensor[0, 16, 16]) == (255, 7)


def test_uint8_input_gets_the_pixels_themselves() -> None:
    image = noise(32, 32)
    tensor = tensor_of(image, spec(dtype="uint8", layout=Layout.NHWC, scale=1.0))
    assert tensor.dtype == np.uint8
    np.testing.assert_array_equal(tensor[0], np.asarray(image))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tensor_has_the_dtype_of_the_graph(dtype: str) -> None:
    image, wanted = noise(32, 32), spec(dtype=dtype, **IMAGENET)
    tensor = tensor_of(image, wanted)
    assert tensor.dtype == dtype
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor, reference(image, wanted), atol=2e-3 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize(("batch", "shape"), [(None, (1, 3, 32, 32)), (4, (4, 3, 32, 32)), (0, (3, 32, 32))])
def test_batch_axis_is_what_the_graph_wants(batch: int | None, shape: tuple[int, ...]) -> None:
    tensor = tensor_of(noise(32, 32), spec(batch=batch))
    assert tensor.shape == shape
    if batch:
        np.testing.assert_array_equal(tensor[0], tensor[-1])


def test_a_big_photo_decoded_small_lands_on_the_same_pixels() -> None:
    """The decoder hands over a reduced image; the crop must still be of the same place."""
    across = np.linspace(0, 255, 3001)[None, :, None] * np.ones((2003, 1, 3))
    image = Image.fromarray(across.astype(np.uint8))
    wanted = spec(resize=ResizeMode.SHORTEST_SIDE_CROP, resized_height=40, resized_width=40, scale=1.0)
    content = encoded(image)
    small = decode_image(content, needed_size(wanted, 3001, 2003))
    assert small.image.width < 300
    tensor: np.ndarray[Any, Any] = preprocess(wanted, small)
    np.testing.assert_allclose(tensor, reference(image, wanted), atol=1.5)


def test_nearest_asks_for_every_pixel_because_averages_are_other_pixels() -> None:
    assert needed_size(spec(interpolation=Interpolation.NEAREST), 4000, 3000) == (4000, 3000)
    assert needed_size(spec(), 4000, 3000) == (32, 32)


@given(st.integers(1, 20000), st.integers(1, 20000), st.sampled_from(list(ResizeMode)))
def test_needed_size_is_never_empty(width: int, height: int, resize: ResizeMode) -> None:
    assert min(needed_size(spec(resize=resize), width, height)) >= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (7, 3)], ids=str)
@pytest.mark.parametrize("resize", ResizeMode)
def test_the_smallest_and_the_thinnest_images_fit(size: tuple[int, int], resize: ResizeMode) -> None:
    assert tensor_of(noise(*size), spec(resize=resize)).shape == (1, 3, 32, 32)


def test_normalise_rounds_where_an_integer_input_has_a_mean() -> None:
    pixels = np.full((1, 1, 3), 100, np.uint8)
    wanted = spec(dtype="uint8", scale=1.0, mean=(0.6, 0.4, 200.0))
    np.testing.assert_array_equal(normalize(wanted, pixels).ravel(), [99, 100, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", ResizeMode)
def test_turning_after_the_resize_gives_what_turning_before_it_does(resize: ResizeMode, orientation: int) -> None:
    """A reduced photo is turned when it is small. Odd sizes and an odd crop: half a pixel's slip would show."""
    upright = np.asarray(noise(37, 29).resize((1301, 957), Image.Resampling.BICUBIC))
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    content = encode(stored, "JPEG", exif=exif_orientation(orientation), quality=95)
    side = 61 if resize is ResizeMode.SHORTEST_SIDE_CROP else 32
    wanted = spec(resize=resize, resized_height=side, resized_width=side, height=32, width=32, scale=1.0)
    before, after = (
        decode_image(content, needed_size(wanted, 1301, 957), upright=upright_first) for upright_first in (True, False)
    )
    assert (before.orientation, after.orientation) == (1, orientation)
    first, last = (np.asarray(preprocess(wanted, one), np.float64) for one in (before, after))
    difference = np.abs(first - last)
    assert difference.max() <= 2  # Pillow rounds between its two passes, and their order follows the shape
    assert difference.mean() < 0.2


def test_an_image_that_was_not_reduced_is_turned_before_it_is_resized() -> None:
    content = encode(noise(40, 50), "PNG", exif=exif_orientation(6))
    decoded = decode_image(content, upright=False)
    assert (decoded.orientation, decoded.image.size) == (1, (50, 40))
