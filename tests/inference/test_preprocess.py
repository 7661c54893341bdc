from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inference.decoding.decode import DecodedImage
from inference.model_spec import Align, ColorOrder, CropRounding, InputSpec, Interpolation, Layout, ResizeMode
from inference.predictions import ImageInfo
from inference.preprocess import needed_size, normalize, preprocess
from inference.resample import resize_bilinear
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


def tensor_of(image: Image.Image, input_spec: InputSpec) -> np.ndarray[Any, Any]:
    tensor: np.ndarray[Any, Any] = preprocess(input_spec, decoded(image))
    return tensor


def reduced_twice(image: Image.Image) -> DecodedImage:
    """Return the image as the decoder returns it for an original of twice the size."""
    return DecodedImage(image, ImageInfo(2 * image.width, 2 * image.height, "jpeg"))


def crop(side: int, interpolation: Interpolation, **numbers: Any) -> InputSpec:
    return spec(
        resize=ResizeMode.SHORTEST_SIDE_CROP,
        resized_height=side,
        resized_width=side,
        interpolation=interpolation,
        **{"scale": 1.0, **numbers},
    )


def reference(image: Image.Image, input_spec: InputSpec) -> np.ndarray[Any, Any]:
    """Resize the whole image, crop the centre, and apply the formula in float64."""
    filters = {kind: Image.Resampling[kind.name] for kind in Interpolation}
    if input_spec.resize is ResizeMode.SHORTEST_SIDE_CROP:
        side, shorter = input_spec.resized_height, min(image.size)
        whole = (max(side, side * image.width // shorter), max(side, side * image.height // shorter))
    else:
        whole = (input_spec.resized_width, input_spec.resized_height)
    resized = image.resize(whole, filters[input_spec.interpolation])
    left, top = (resized.width - input_spec.width) // 2, (resized.height - input_spec.height) // 2
    pixels = np.asarray(resized.crop((left, top, left + input_spec.width, top + input_spec.height)), np.float64)
    if input_spec.color_order is ColorOrder.BGR:
        pixels = pixels[:, :, ::-1]
    values = (pixels * input_spec.scale - np.array(input_spec.mean)) / np.array(input_spec.std)
    tensor: np.ndarray[Any, Any] = values[None] if input_spec.layout is Layout.NHWC else values.transpose(2, 0, 1)[None]
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
    input_spec = spec(layout=layout, color_order=color_order, **numbers)
    image = noise(32, 32)
    np.testing.assert_allclose(tensor_of(image, input_spec), reference(image, input_spec), rtol=0, atol=1e-5)


def test_mean_without_scale_agrees_within_float32() -> None:
    """Caffe's 0..255 minus mean: values of 150 cannot be closer than 1e-5 in float32."""
    input_spec = spec(color_order=ColorOrder.BGR, scale=1.0, mean=(103.53, 116.28, 123.675))
    image = noise(32, 32)
    np.testing.assert_allclose(tensor_of(image, input_spec), reference(image, input_spec), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("size", [(64, 48), (33, 90), (20, 25)], ids=["half", "tall", "enlarged"])
def test_squash_is_the_reference_for_every_interpolation(interpolation: Interpolation, size: tuple[int, int]) -> None:
    input_spec = spec(interpolation=interpolation, **IMAGENET)
    image = noise(*size)
    np.testing.assert_allclose(tensor_of(image, input_spec), reference(image, input_spec), rtol=0, atol=1e-5)


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
    input_spec = crop(side, interpolation)
    image = noise(width, height)
    difference = np.abs(preprocess(input_spec, reduced_twice(image)) - reference(image, input_spec))
    # Pillow chooses the order of its two passes by the size of the result, and rounds in between; noise is the worst
    # case. A crop that is off by half a pixel differs by 20 levels on average.
    assert difference.mean() < 2


@settings(max_examples=60, deadline=None)
@given(st.integers(20, 130), st.integers(20, 130), st.sampled_from([32, 36, 40]), st.sampled_from(Interpolation))
def test_crop_of_an_image_that_was_not_reduced_is_the_reference(
    width: int, height: int, side: int, interpolation: Interpolation
) -> None:
    input_spec = crop(side, interpolation, **IMAGENET)
    image = noise(width, height)
    np.testing.assert_allclose(tensor_of(image, input_spec), reference(image, input_spec), rtol=0, atol=1e-5)


@pytest.mark.parametrize("interpolation", [Interpolation.NEAREST, Interpolation.BOX])
def test_filters_with_sharp_edges_are_off_by_a_pixel_at_most(interpolation: Interpolation) -> None:
    """Where their edge falls on the border of two pixels, float32 decides which one it is."""
    ramp = Image.fromarray(np.add.outer(np.arange(90), np.arange(121)).astype(np.uint8)[:, :, None].repeat(3, axis=2))
    input_spec = crop(40, interpolation)
    assert np.abs(preprocess(input_spec, reduced_twice(ramp)) - reference(ramp, input_spec)).max() <= 2


def test_squash_and_crop_takes_the_centre() -> None:
    input_spec = spec(resized_height=40, resized_width=40, scale=1.0)
    image = noise(40, 40)
    np.testing.assert_array_equal(tensor_of(image, input_spec)[0].transpose(1, 2, 0), np.asarray(image)[4:36, 4:36])


def test_letterbox_keeps_the_shape_and_pads_both_sides() -> None:
    input_spec = spec(resize=ResizeMode.LETTERBOX, scale=1.0, pad_color=(10, 20, 30))
    tensor = tensor_of(Image.new("RGB", (64, 32), (200, 100, 50)), input_spec)[0]
    np.testing.assert_array_equal(tensor[:, 16, 16], [200, 100, 50])
    np.testing.assert_array_equal(tensor[:, 7, 0], [10, 20, 30])
    np.testing.assert_array_equal(tensor[:, 24, 31], [10, 20, 30])
    assert np.all(tensor[:, 8:24, :] == np.array([200, 100, 50])[:, None, None])


def test_grey_letterbox_pads_with_the_grey_of_its_colour() -> None:
    input_spec = spec(
        resize=ResizeMode.LETTERBOX,
        color_order=ColorOrder.GREY,
        scale=1.0,
        mean=(0.0,),
        std=(1.0,),
        pad_color=(255,) * 3,
    )
    tensor = tensor_of(Image.new("L", (8, 32), 7), input_spec)[0]
    assert tensor.shape == (1, 32, 32)
    assert (tensor[0, 0, 0], tensor[0, 16, 16]) == (255, 7)


def test_uint8_input_gets_the_pixels_themselves() -> None:
    image = noise(32, 32)
    tensor = tensor_of(image, spec(dtype="uint8", layout=Layout.NHWC, scale=1.0))
    assert tensor.dtype == np.uint8
    np.testing.assert_array_equal(tensor[0], np.asarray(image))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tensor_has_the_dtype_of_the_graph(dtype: str) -> None:
    image, input_spec = noise(32, 32), spec(dtype=dtype, **IMAGENET)
    tensor = tensor_of(image, input_spec)
    assert tensor.dtype == dtype
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor, reference(image, input_spec), atol=2e-3 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize(("batch", "shape"), [(None, (1, 3, 32, 32)), (4, (4, 3, 32, 32)), (0, (3, 32, 32))])
def test_the_batch_axis_is_the_graph_s(batch: int | None, shape: tuple[int, ...]) -> None:
    tensor = tensor_of(noise(32, 32), spec(batch=batch))
    assert tensor.shape == shape
    if batch:
        np.testing.assert_array_equal(tensor[0], tensor[-1])


def test_a_photo_that_was_decoded_small_gives_the_same_pixels() -> None:
    """The decoder returns a reduced image; the crop must still show the same part."""
    across = np.linspace(0, 255, 3001)[None, :, None] * np.ones((2003, 1, 3))
    image = Image.fromarray(across.astype(np.uint8))
    input_spec = spec(resize=ResizeMode.SHORTEST_SIDE_CROP, resized_height=40, resized_width=40, scale=1.0)
    content = encoded(image)
    small = decode_image(content, needed_size(input_spec, 3001, 2003))
    assert small.image.width < 300
    tensor: np.ndarray[Any, Any] = preprocess(input_spec, small)
    np.testing.assert_allclose(tensor, reference(image, input_spec), atol=1.5)


def test_nearest_needs_every_pixel_because_averages_are_other_pixels() -> None:
    assert needed_size(spec(interpolation=Interpolation.NEAREST), 4000, 3000) == (4000, 3000)
    assert needed_size(spec(), 4000, 3000) == (32, 32)


def test_without_antialiasing_every_pixel_is_needed() -> None:
    assert needed_size(spec(antialias=False), 4000, 3000) == (4000, 3000)


@pytest.mark.parametrize("resize", ResizeMode)
def test_without_antialiasing_each_pixel_is_a_mean_of_two_by_two(resize: ResizeMode) -> None:
    """Columns of 0 and 255 in turn: antialiased they are grey; here each fourth column is taken as it is."""
    stripes = np.zeros((32 * 3, 32 * 3, 3), np.uint8)
    stripes[:, 1::3] = 255  # the centre of each three, which is the centre of a pixel of the result
    image = Image.fromarray(stripes)
    input_spec = spec(resize=resize, scale=1.0, antialias=False)
    assert tensor_of(image, input_spec).min() == 255
    assert tensor_of(image, input_spec._replace(antialias=True)).max() < 128


def test_a_crop_without_antialiasing_is_the_crop_of_the_whole() -> None:
    image = noise(90, 60)
    input_spec = crop(40, Interpolation.BILINEAR, antialias=False)
    whole = np.asarray(resize_bilinear(image, (60, 40)))[4:36, 14:46]
    np.testing.assert_array_equal(tensor_of(image, input_spec)[0], whole.transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_without_antialiasing(orientation: int) -> None:
    upright = np.asarray(noise(37, 29))
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    content = encode(stored, "PNG", exif=exif_orientation(orientation))
    tensor = preprocess(spec(antialias=False, scale=1.0), decode_image(content, (37, 29), upright=False))
    expected = np.asarray(resize_bilinear(Image.fromarray(upright), (32, 32))).transpose(2, 0, 1)
    np.testing.assert_array_equal(tensor[0], expected)


def test_a_letterbox_may_be_aligned_to_the_top_and_left() -> None:
    input_spec = spec(resize=ResizeMode.LETTERBOX, scale=1.0, pad_color=(10, 20, 30), align=Align.TOP_LEFT)
    wide = tensor_of(Image.new("RGB", (64, 32), (200, 100, 50)), input_spec)[0]
    assert np.all(wide[:, :16] == np.array([200, 100, 50])[:, None, None])
    assert np.all(wide[:, 16:] == np.array([10, 20, 30])[:, None, None])
    tall = tensor_of(Image.new("RGB", (32, 64), (200, 100, 50)), input_spec)[0]
    assert np.all(tall[:, :, :16] == np.array([200, 100, 50])[:, None, None])
    assert np.all(tall[:, :, 16:] == np.array([10, 20, 30])[:, None, None])


@given(st.integers(1, 20000), st.integers(1, 20000), st.sampled_from(list(ResizeMode)))
def test_needed_size_is_never_empty(width: int, height: int, resize: ResizeMode) -> None:
    assert min(needed_size(spec(resize=resize), width, height)) >= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (7, 3)], ids=str)
@pytest.mark.parametrize("resize", ResizeMode)
def test_the_smallest_and_the_thinnest_images_fit(size: tuple[int, int], resize: ResizeMode) -> None:
    assert tensor_of(noise(*size), spec(resize=resize)).shape == (1, 3, 32, 32)


def test_normalize_rounds_where_an_integer_input_has_a_mean() -> None:
    pixels = np.full((1, 1, 3), 100, np.uint8)
    input_spec = spec(dtype="uint8", scale=1.0, mean=(0.6, 0.4, 200.0))
    np.testing.assert_array_equal(normalize(input_spec, pixels).ravel(), [99, 100, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", ResizeMode)
def test_orientation_applied_after_the_resize_gives_the_same_tensor(resize: ResizeMode, orientation: int) -> None:
    """Odd sizes and an odd crop: an error of half a pixel would be visible."""
    upright = np.asarray(noise(37, 29).resize((1301, 957), Image.Resampling.BICUBIC))
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    content = encode(stored, "JPEG", exif=exif_orientation(orientation), quality=95)
    side = 61 if resize is ResizeMode.SHORTEST_SIDE_CROP else 32
    input_spec = spec(resize=resize, resized_height=side, resized_width=side, height=32, width=32, scale=1.0)
    before, after = (
        decode_image(content, needed_size(input_spec, 1301, 957), upright=upright_first)
        for upright_first in (True, False)
    )
    assert (before.orientation, after.orientation) == (1, orientation)
    first, last = (np.asarray(preprocess(input_spec, one), np.float64) for one in (before, after))
    difference = np.abs(first - last)
    assert difference.max() <= 2  # Pillow rounds between its two passes, and their order follows the shape
    assert difference.mean() < 0.2


def test_an_image_that_was_not_reduced_becomes_upright_before_the_resize() -> None:
    content = encode(noise(40, 50), "PNG", exif=exif_orientation(6))
    decoded = decode_image(content, upright=False)
    assert (decoded.orientation, decoded.image.size) == (1, (50, 40))


@pytest.mark.parametrize(
    ("rounding", "offsets"), [(CropRounding.FLOOR, [0, 1, 2]), (CropRounding.HALF_EVEN, [0, 2, 2])], ids=str
)
def test_half_a_pixel_of_a_centre_crop(rounding: CropRounding, offsets: list[int]) -> None:
    """Surpluses of 1, 3 and 5 pixels: torchvision computes ``int(round(surplus / 2.0))``, Hugging Face halves down."""
    for surplus, offset in zip((1, 3, 5), offsets, strict=True):
        image = noise(8, 8 + surplus)
        cropped = tensor_of(image, crop(8, Interpolation.BILINEAR, height=8, width=8, crop_rounding=rounding))
        expected = np.asarray(image)[offset : offset + 8].transpose(2, 0, 1)
        np.testing.assert_array_equal(cropped[0], expected)


@pytest.mark.parametrize(("rounding", "before"), [(CropRounding.FLOOR, 2), (CropRounding.HALF_EVEN, 1)], ids=str)
def test_a_crop_larger_than_the_image_is_padded_with_black(rounding: CropRounding, before: int) -> None:
    """Hugging Face puts the odd pixel in front (``ceil``), torchvision behind (``// 2``)."""
    image = noise(8, 8)
    input_spec = crop(8, Interpolation.BILINEAR, height=11, width=11, crop_rounding=rounding)
    expected = np.zeros((11, 11, 3))
    expected[before : before + 8, before : before + 8] = np.asarray(image)
    np.testing.assert_array_equal(tensor_of(image, input_spec)[0], expected.transpose(2, 0, 1))
    reduced = preprocess(input_spec, reduced_twice(image))
    np.testing.assert_array_equal(reduced[0], expected.transpose(2, 0, 1))
