"""Damaged, cut, unusual and unsupported JPEGs."""

from __future__ import annotations

import random
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from inference.decoding.formats.image_format import PartialImageError
from inference.decoding.formats.jpeg_breaks import find_steps
from inference.decoding.formats.jpeg_pixels import decode_pixels
from inference.decoding.formats.jpeg_segments import read_segments
from inference.errors import PermanentError, Reason
from tests.inference.decoding.image_samples import decode_image, encode, memory_bytes, with_segments
from tools.maintainer.damaged_jpegs.damage import KINDS, Sources

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 800, 600


def photo(seed: int) -> Image.Image:
    """A picture with detail of every size, as photos have."""
    generator = np.random.default_rng(seed)
    sum_of_layers = np.zeros((HEIGHT, WIDTH, 3))
    for size in (6, 24, 96, 384):
        layer = Image.fromarray(generator.integers(0, 255, (size * 3 // 4, size, 3), dtype=np.uint8))
        sum_of_layers += np.asarray(layer.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), float) / 4
    grain = generator.normal(0, 6, (HEIGHT, WIDTH, 1))
    picture = Image.fromarray(np.clip(sum_of_layers + grain, 0, 255).astype(np.uint8)).filter(ImageFilter.SMOOTH)
    return ImageOps.autocontrast(picture, cutoff=4)  # from black to white


PHOTOS = {
    "4:2:0": encode(photo(1), "JPEG", quality=92),
    "4:4:4": encode(photo(2), "JPEG", quality=92, subsampling=0),
    "grey": encode(photo(3).convert("L"), "JPEG", quality=92),
    "progressive": encode(photo(4), "JPEG", quality=92, progressive=True),
    "restart markers": encode(photo(5), "JPEG", quality=92, restart_marker_rows=1),
}
OTHER = encode(photo(6), "JPEG", quality=60, optimize=True)
ALIKE = encode(photo(7), "JPEG", quality=92)
SOURCES = Sources(*(content[read_segments(content).scan + 600 :] for content in (OTHER, ALIKE)))
PLAIN = PHOTOS["4:2:0"]


def refusal(content: bytes) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        decode_image(content, (256, 256))
    return caught.value


def same_pixels(content: bytes, whole: bytes) -> bool:
    return np.array_equal(np.asarray(decode_image(content).image), np.asarray(decode_image(whole).image))


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_jpeg_is_never_called_whole(name: str, kind: str) -> None:
    content = PHOTOS[name]
    start = read_segments(content).scan + 40
    damaged = KINDS[kind](content, start, SOURCES, random.Random(f"{name} {kind}"))
    try:
        pixels = np.asarray(decode_image(damaged, (200, 150)).image).astype(int)
    except PermanentError as error:
        assert error.reason in {Reason.DAMAGED, Reason.TRUNCATED}  # noqa: PT017 - not all are refused
    else:  # a last scan of a progressive picture changes pixels by a few levels
        assert np.abs(pixels - np.asarray(decode_image(content, (200, 150)).image)).max() <= 8


def offset_by_a_cluster(content: bytes) -> bytes:
    """Overwrite 4 KiB with other data of the same photo that hold, by chance, as many blocks: libjpeg has no remark."""
    segments = read_segments(content)
    size = segments.width, segments.height
    whole, _ = decode_pixels(content, size, "RGB", 8)
    for seed in range(400):
        damaged = KINDS["4 KiB the photo itself"](content, segments.scan + 14, SOURCES, random.Random(seed))
        pixels, remark = decode_pixels(damaged, size, "RGB", 8)
        if remark is None and (np.abs(pixels.astype(int) - whole) > 20).mean() > 0.1:
            return damaged
    raise AssertionError("no cluster had as many blocks")


@pytest.mark.parametrize("quality", [75, 92])
def test_an_offset_without_a_remark_is_found_by_colours_that_do_not_exist(quality: int) -> None:
    content = encode(photo(1), "JPEG", quality=quality)
    damaged = offset_by_a_cluster(content)
    error = refusal(damaged)
    assert error.reason is Reason.DAMAGED
    assert isinstance(error, PartialImageError)
    first_wrong = np.flatnonzero((np.abs(pixels_of(damaged).astype(int) - pixels_of(content)) > 8).any(axis=(1, 2)))[0]
    assert HEIGHT * error.part.decoded_fraction == pytest.approx(first_wrong, abs=64)


def pixels_of(content: bytes) -> NDArray[np.uint8]:
    return decode_pixels(content, (WIDTH, HEIGHT), "RGB", 1)[0]


def with_straight_edges() -> Image.Image:
    """A photo with bands of saturated colours whose edges lie on borders of coded units, as a camera prints them."""
    picture = photo(8)
    for row, colour in enumerate(["#000", "#fff", "#f00", "#0f0", "#00f", "#ff0", "#0ff", "#f0f"]):
        picture.paste(
            colour, (WIDTH // 2 * (row % 2), 64 * row + 64, WIDTH // 2 * (row % 2) + WIDTH // 2, 64 * row + 96)
        )
    return picture


@pytest.mark.parametrize("needed", [(800, 600), (200, 150), (100, 75)])
@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"keep_rgb": True}, {"quality": 15}, {"progressive": True}], ids=str
)
def test_a_straight_edge_on_a_border_of_units_is_no_damage(options: dict[str, object], needed: tuple[int, int]) -> None:
    content = encode(with_straight_edges(), "JPEG", **options)
    segments = read_segments(content)
    pixels, _ = decode_pixels(content, (WIDTH, HEIGHT), "RGB", 1)
    assert len(find_steps(pixels, 8 * segments.largest_sampling[1])) >= 8
    assert decode_image(content, needed).image


@pytest.mark.parametrize("unit", [8, 16])
def test_a_step_of_the_brightness_is_found_at_its_own_row_of_units(unit: int) -> None:
    pixels = np.random.default_rng(1).integers(90, 100, (12 * unit, 640, 3), np.uint8)
    assert find_steps(pixels, unit).tolist() == []
    pixels[5 * unit :] += 40
    pixels[9 * unit :] -= 40
    assert find_steps(pixels, unit).tolist() == [5, 9]


def in_separate_scans(factors: list[tuple[int, int]]) -> tuple[bytes, NDArray[np.float64]]:
    """A JPEG with these sampling factors, one scan for each component, and the colours that it should have."""
    across, down = max(h for h, _ in factors), max(v for _, v in factors)
    width, height = 48 * across, 40 * down
    gradient = np.linspace(70, 180, width)[None, :] + np.zeros((height, 1))
    planes = [gradient, gradient[:, ::-1], np.linspace(100, 150, height)[:, None] + np.zeros((1, width))]
    frame = struct.pack(">BHHB", 8, height, width, 3)
    scans = b""
    for number, (plane, (h, v)) in enumerate(zip(planes, factors, strict=True), 1):
        part = Image.fromarray(plane.astype(np.uint8)).resize((width * h // across, height * v // down))
        file = encode(part, "JPEG", quality=95)
        segments = read_segments(file)
        header, data = file[segments.scan : segments.scan + 10], file[segments.scan + 10 : -2]
        scans += header[:5] + bytes([number]) + header[6:] + data
        frame += bytes([number, h << 4 | v, 0])
    tables = b"".join(file[start:end] for start, end in segments.needed if file[start + 1] in {0xC4, 0xDB})
    whole = b"\xff\xd8" + tables + b"\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + scans + b"\xff\xd9"
    y, cb, cr = planes[0], planes[1] - 128, planes[2] - 128
    return whole, np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], 2).clip(0, 255)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize(
    "factors", [[(2, 2), (1, 1), (1, 1)], [(2, 2), (2, 1), (1, 1)], [(4, 2), (1, 1), (1, 1)], [(3, 1), (1, 1), (1, 1)]]
)
def test_every_sampling_of_the_chroma_is_decoded(factors: list[tuple[int, int]], scale: int) -> None:
    content, colours = in_separate_scans(factors)
    height, width, _ = colours.shape
    image = decode_image(content, (width // scale * 2 // 5, height // scale * 2 // 5)).image
    assert image.size == (width // scale, height // scale)
    averages = colours.reshape(height // scale, scale, width // scale, scale, 3).mean(axis=(1, 3))
    assert np.abs(np.asarray(image) - averages).mean() < 2.5


def test_a_cut_picture_with_unusual_sampling_is_truncated() -> None:
    content, _ = in_separate_scans([(4, 2), (1, 1), (1, 1)])
    assert refusal(content[:-200]).reason is Reason.TRUNCATED


def test_coarse_quantisation_is_no_damage() -> None:
    """Quality 1 moves the average of a unit by up to 16 levels in each component."""
    colours = np.random.default_rng(1).integers(0, 256, (HEIGHT // 32 + 1, WIDTH // 32, 3), np.uint8)
    colours[:, :, 0] = 0  # on the edge of what exists
    picture = Image.fromarray(colours.repeat(32, axis=0).repeat(32, axis=1)[:HEIGHT])
    picture.paste("white", (0, 256, WIDTH // 2, 320))
    content = encode(picture, "JPEG", quality=1)
    assert len(find_steps(pixels_of(content), 16)) >= 1
    assert decode_image(content, (200, 150)).image


def ends_of_scans(content: bytes) -> list[int]:
    """Where the data of each scan but the last ends."""
    return [match.end() for match in re.finditer(rb"\xff\xda.*?(?=\xff[\xc4\xda])", content, re.DOTALL)]


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_progressive_picture_that_was_cut_between_scans_and_closed_is_truncated(subsampling: int) -> None:
    content = encode(photo(4).resize((240, 180)), "JPEG", progressive=True, subsampling=subsampling)
    ends = ends_of_scans(content)
    assert len(ends) == 9
    for end in ends:
        error = refusal(content[:end] + b"\xff\xd9")
        assert error.reason is Reason.TRUNCATED
        assert "scans" in error.detail
    assert decode_image(content).image


def test_the_sentence_states_how_far_the_picture_is_good() -> None:
    at = len(PLAIN) // 2
    error = refusal(PLAIN[:at] + bytes(4096) + PLAIN[at + 4096 :])
    assert isinstance(error, PartialImageError)
    assert 0.35 < error.part.decoded_fraction < 0.65
    assert f"of {HEIGHT}" in error.detail


@pytest.mark.parametrize("name", PHOTOS)
def test_a_cut_jpeg_is_truncated_with_the_rows_that_are_there(name: str) -> None:
    content = PHOTOS[name]
    error = refusal(content[: len(content) * 2 // 3])
    assert error.reason is Reason.TRUNCATED
    if name != "progressive":
        assert isinstance(error, PartialImageError)
        assert 0.5 < error.part.decoded_fraction < 0.8


def with_short_jfif(content: bytes) -> bytes:
    return content.replace(content[2 : 4 + 16], b"\xff\xe0\x00\x08JFIF\0\x01", 1)


HARMLESS = {
    "bytes behind the picture": PLAIN + b"appended by a camera" * 50,
    "zeros behind the picture": PLAIN + bytes(5000),
    "bytes between segments": PLAIN[:20] + b"left over" + PLAIN[20:],
    "zeros before the end marker": PLAIN[:-2] + bytes(300) + PLAIN[-2:],
    "fill bytes before the end marker": PLAIN[:-2] + b"\xff" * 7 + PLAIN[-2:],
    "no end marker": PLAIN[:-2],
    "zeros instead of an end marker": PLAIN[:-2] + bytes(5000),
    "a film instead of an end marker": PLAIN[:-2] + struct.pack(">I", 24) + b"ftypmp42\0\0\0\0isommp42" + bytes(400),
    "no end marker, progressive": PHOTOS["progressive"][:-2],
    "a short JFIF segment": with_short_jfif(PLAIN),
    "a short Adobe segment": with_segments(PLAIN, (0xEE, b"Ado")),
    "a JFIF segment of another version": PLAIN.replace(b"JFIF\0\x01", b"JFIF\0\x09", 1),
    "an empty application segment": with_segments(PLAIN, (0xE1, b"")),
    "a broken profile segment": with_segments(PLAIN, (0xE2, b"ICC_PROFILE\0\x09\x02junk")),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_remark_costs_no_photo(name: str) -> None:
    whole = PHOTOS["progressive"] if "progressive" in name else PLAIN
    assert same_pixels(HARMLESS[name], whole)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 3}, {"optimize": True}, {"quality": 20}],
)
def test_an_intact_photo_is_never_refused(seed: int, options: dict[str, object]) -> None:
    assert decode_image(encode(photo(seed), "JPEG", **options), (256, 256)).image


def test_an_optimised_flat_picture_of_zeros_is_whole() -> None:
    """Its one symbol is coded as one bit, 0: the picture data is thousands of zeros."""
    assert decode_image(encode(Image.new("RGB", (6000, 4000), (9, 9, 9)), "JPEG", optimize=True), (256, 256)).image


@pytest.mark.parametrize(
    ("frame", "precision", "name"),
    [(0xC1, 12, "12 bits"), (0xC3, 8, "lossless"), (0xC9, 8, "arithmetic"), (0xCA, 8, "arithmetic"), (0xC5, 8, "hier")],
)
def test_an_unsupported_process_is_named(frame: int, precision: int, name: str) -> None:
    at = PLAIN.index(b"\xff\xc0")
    error = refusal(PLAIN[: at + 1] + bytes([frame]) + PLAIN[at + 2 : at + 4] + bytes([precision]) + PLAIN[at + 5 :])
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert name in error.detail


def test_one_scan_for_each_component_reserves_the_coefficients() -> None:
    segments = read_segments(PLAIN)
    reduced = WIDTH // 16, HEIGHT // 16
    plain = memory_bytes(PLAIN, reduced)
    assert memory_bytes(PHOTOS["progressive"], reduced) - plain > 2 * 1.5 * WIDTH * HEIGHT - 500_000
    single = PLAIN[: segments.scan + 4] + b"\x01" + PLAIN[segments.scan + 5 :]  # its header states one component
    assert memory_bytes(single, reduced) - plain == 2 * 1.5 * WIDTH * HEIGHT


def test_remarks_do_not_mix_between_threads() -> None:
    at = len(PLAIN) // 2
    damaged = PLAIN[:at] + bytes(4096) + PLAIN[at + 4096 :]
    with ThreadPoolExecutor(8) as pool:
        details = set(pool.map(lambda _: refusal(damaged).detail, range(16)))
    assert len(details) == 1


def test_a_reduced_picture_has_the_pixels_of_pillow() -> None:
    """The labels of earlier versions stay: both use libjpeg-turbo, and agree to the bit."""
    picture = Image.open(BytesIO(PLAIN))
    picture.draft("RGB", (WIDTH // 4, HEIGHT // 4))
    assert np.array_equal(np.asarray(decode_image(PLAIN, (80, 60)).image), np.asarray(picture.convert("RGB")))
