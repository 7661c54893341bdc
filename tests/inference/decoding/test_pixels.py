"""Every format and mode decodes to the pixels that numpy computes from the source."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from inference.decoding.header import read_header
from inference.limits import Limits
from tests.inference.decoding.image_samples import (
    HEIGHT,
    WIDTH,
    Pixels,
    alpha_ramp,
    as_rgb,
    cmyk,
    decode_image,
    encode,
    encode_heif,
    grey_scene,
    over,
    png,
    png_rows,
    scene,
    with_segments,
    without_adobe,
    ycck,
)

LOSSLESS = 0
LOSSY = 8  # of 255, worst pixel of a smooth picture at quality 95

SCENE = Image.fromarray(scene())
GREY = Image.fromarray(grey_scene())
ALPHA = Image.fromarray(alpha_ramp())
RGBA = Image.merge("RGBA", [*SCENE.split(), ALPHA])
GREY_ALPHA = Image.merge("LA", [GREY, ALPHA])
PALETTE = SCENE.quantize(64)
PALETTE_PIXELS: Pixels = np.array(PALETTE.getpalette(), dtype=np.uint8).reshape(-1, 3)[np.asarray(PALETTE)]
BLACK_AND_WHITE: Pixels = np.where(grey_scene() > 128, 255, 0).astype(np.uint8)
BITS = Image.fromarray(BLACK_AND_WHITE).convert("1")
DEEP = np.linspace(0, 65535, WIDTH).round().astype(np.uint16)[None].repeat(HEIGHT, axis=0)
DEEP_PIXELS = as_rgb((DEEP / 257).round().astype(np.uint8))


def worst(content: bytes, expected: Pixels) -> int:
    image = decode_image(content).image
    assert image.mode == "RGB"
    got = np.asarray(image).astype(int)
    assert got.shape == expected.shape
    return int(np.abs(got - expected).max())


@pytest.mark.parametrize(
    ("content", "tolerance"),
    [
        pytest.param(encode(SCENE, "JPEG", quality=95), LOSSY, id="baseline JPEG 4:2:0"),
        pytest.param(encode(SCENE, "JPEG", quality=95, subsampling=0), LOSSY, id="JPEG 4:4:4"),
        pytest.param(encode(SCENE, "JPEG", quality=95, progressive=True), LOSSY, id="progressive JPEG"),
        pytest.param(encode(SCENE, "JPEG", quality=95, restart_marker_blocks=2), LOSSY, id="JPEG with restart markers"),
        pytest.param(encode(SCENE, "JPEG", quality=95, keep_rgb=True), LOSSY, id="Adobe RGB-coded JPEG"),
        pytest.param(
            encode(SCENE, "MPO", quality=95, save_all=True, append_images=[SCENE.rotate(180)]), LOSSY, id="MPO"
        ),
        pytest.param(encode(SCENE, "PNG"), LOSSLESS, id="PNG"),
        pytest.param(
            encode(SCENE, "PNG", save_all=True, append_images=[SCENE.rotate(180)]), LOSSLESS, id="animated PNG"
        ),
        pytest.param(encode(SCENE, "WEBP", quality=95), LOSSY, id="lossy WebP"),
        pytest.param(encode(SCENE, "WEBP", lossless=True), LOSSLESS, id="lossless WebP"),
        pytest.param(
            encode(SCENE, "WEBP", lossless=True, save_all=True, append_images=[SCENE.rotate(180)]),
            LOSSLESS,
            id="animated WebP",
        ),
        pytest.param(encode(SCENE, "BMP"), LOSSLESS, id="BMP"),
        pytest.param(encode(RGBA, "BMP"), LOSSLESS, id="32-bit BMP, whose fourth byte means nothing"),
        pytest.param(encode(SCENE, "TIFF"), LOSSLESS, id="TIFF in strips"),
        pytest.param(
            encode(SCENE, "TIFF", tiffinfo={322: 32, 323: 32}, compression="tiff_lzw"), LOSSLESS, id="tiled TIFF"
        ),
        pytest.param(encode(SCENE, "TIFF", compression="tiff_lzw"), LOSSLESS, id="LZW TIFF"),
        pytest.param(encode(SCENE, "TIFF", compression="packbits"), LOSSLESS, id="PackBits TIFF"),
        pytest.param(encode(SCENE, "TIFF", compression="tiff_adobe_deflate"), LOSSLESS, id="Deflate TIFF"),
        pytest.param(encode(SCENE, "TIFF", compression="jpeg", quality=95), LOSSY, id="JPEG in TIFF"),
        pytest.param(encode(SCENE, "TIFF", big_tiff=True), LOSSLESS, id="BigTIFF"),
        pytest.param(
            encode(SCENE, "TIFF", save_all=True, append_images=[SCENE.rotate(180)]), LOSSLESS, id="multi-page TIFF"
        ),
        pytest.param(encode(SCENE.convert("YCbCr"), "TIFF"), LOSSY, id="YCbCr TIFF"),
        pytest.param(encode(SCENE, "AVIF", quality=95), LOSSY, id="AVIF"),
        pytest.param(
            encode(SCENE, "AVIF", quality=95, save_all=True, append_images=[SCENE.rotate(180)]),
            LOSSY,
            id="AVIF sequence",
        ),
        pytest.param(encode(SCENE, "JPEG2000"), LOSSLESS, id="JPEG 2000"),
        pytest.param(encode(SCENE, "JPEG2000", no_jp2=True), LOSSLESS, id="bare JPEG 2000 codestream"),
        pytest.param(encode(SCENE, "JPEG2000", tile_size=(32, 32)), LOSSLESS, id="tiled JPEG 2000"),
        pytest.param(encode_heif(SCENE), LOSSY, id="HEIC"),
        pytest.param(encode_heif(SCENE, tile_size=64), LOSSY, id="HEIC in a grid, as phones write it"),
        pytest.param(encode(SCENE, "ICO", sizes=[(WIDTH, HEIGHT)]), LOSSLESS, id="ICO holding PNG"),
        pytest.param(
            encode(SCENE, "ICO", sizes=[(32, 32), (WIDTH, HEIGHT)], bitmap_format="bmp"),
            LOSSLESS,
            id="largest of an ICO",
        ),
        pytest.param(encode(cmyk(scene()), "JPEG", quality=95, subsampling=0), LOSSY, id="Adobe inverted CMYK JPEG"),
        pytest.param(
            without_adobe(encode(cmyk(scene()), "JPEG", quality=95, subsampling=0)), LOSSY, id="CMYK JPEG without Adobe"
        ),
        pytest.param(ycck(scene()), LOSSY, id="Adobe YCCK JPEG"),
        pytest.param(encode(cmyk(scene()), "TIFF"), LOSSLESS, id="CMYK TIFF"),
        pytest.param(encode(cmyk(scene()), "JPEG2000"), LOSSLESS, id="CMYK JPEG 2000"),
    ],
)
def test_colours_are_decoded_as_they_were_encoded(content: bytes, tolerance: int) -> None:
    assert worst(content, scene()) <= tolerance


@pytest.mark.parametrize(
    ("content", "tolerance"),
    [
        pytest.param(encode(GREY, "JPEG", quality=95), LOSSY, id="JPEG"),
        pytest.param(encode(GREY, "PNG"), LOSSLESS, id="PNG"),
        pytest.param(encode(GREY, "BMP"), LOSSLESS, id="BMP"),
        pytest.param(encode(GREY, "GIF"), LOSSLESS, id="GIF"),
        pytest.param(encode(GREY, "TIFF"), LOSSLESS, id="TIFF"),
        pytest.param(encode(GREY, "AVIF", quality=95), LOSSY, id="AVIF"),
        pytest.param(encode(GREY, "JPEG2000"), LOSSLESS, id="JPEG 2000"),
        pytest.param(encode_heif(GREY), LOSSY, id="HEIC"),
    ],
)
def test_grey_is_decoded_to_equal_channels(content: bytes, tolerance: int) -> None:
    assert worst(content, as_rgb(grey_scene())) <= tolerance


@pytest.mark.parametrize(
    ("content", "tolerance"),
    [
        pytest.param(encode(RGBA, "PNG"), 1, id="PNG"),
        pytest.param(encode(RGBA, "WEBP", lossless=True, exact=True), 1, id="WebP"),
        pytest.param(encode(RGBA, "TIFF"), 1, id="TIFF"),
        pytest.param(encode(RGBA, "AVIF", quality=95), LOSSY, id="AVIF"),
        pytest.param(encode(RGBA, "JPEG2000"), 1, id="JPEG 2000"),
        pytest.param(encode_heif(RGBA), LOSSY, id="HEIC"),
        pytest.param(encode(RGBA, "ICO", sizes=[(WIDTH, HEIGHT)], bitmap_format="bmp"), 1, id="32-bit ICO"),
    ],
)
def test_transparent_pixels_are_composited_on_white(content: bytes, tolerance: int) -> None:
    assert worst(content, over(scene(), alpha_ramp())) <= tolerance


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
def test_transparent_grey_is_composited_on_white(kind: str) -> None:
    assert worst(encode(GREY_ALPHA, kind), over(as_rgb(grey_scene()), alpha_ramp())) <= 1


def test_the_caller_chooses_the_background() -> None:
    content = encode(RGBA, "PNG")
    image = decode_image(content, background=(10, 200, 30)).image
    expected = over(scene(), alpha_ramp(), (10, 200, 30)).astype(int)
    assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_palettes_are_applied(kind: str) -> None:
    assert worst(encode(PALETTE, kind), PALETTE_PIXELS) == LOSSLESS


@pytest.mark.parametrize("bits", [2, 4])
def test_small_palettes_of_png_are_applied(bits: int) -> None:
    few = SCENE.quantize(2**bits)
    expected = np.array(few.getpalette(), dtype=np.uint8).reshape(-1, 3)[np.asarray(few)]
    assert worst(encode(few, "PNG", bits=bits), expected) == LOSSLESS


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_composited_on_white(kind: str) -> None:
    expected = PALETTE_PIXELS.copy()
    expected[np.asarray(PALETTE) == 5] = 255
    assert worst(encode(PALETTE, kind, transparency=5), expected) == LOSSLESS


def test_every_palette_entry_has_its_own_opacity() -> None:
    opacity = np.linspace(0, 255, 64).round().astype(np.uint8)
    content = encode(PALETTE, "PNG", transparency=opacity.tobytes())
    assert worst(content, over(PALETTE_PIXELS, opacity[np.asarray(PALETTE)])) <= 1


def test_a_transparent_grey_level_is_composited_on_white() -> None:
    expected = as_rgb(np.where(grey_scene() == 100, 255, grey_scene()).astype(np.uint8))
    assert worst(encode(GREY, "PNG", transparency=100), expected) == LOSSLESS


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(encode(BITS, "PNG"), id="PNG"),
        pytest.param(encode(BITS, "BMP"), id="BMP"),
        pytest.param(encode(BITS, "TIFF"), id="TIFF"),
        pytest.param(encode(BITS, "TIFF", compression="group4"), id="fax TIFF"),
        pytest.param(encode(BITS, "GIF"), id="GIF"),
    ],
)
def test_one_bit_is_decoded_to_black_and_white(content: bytes) -> None:
    assert worst(content, as_rgb(BLACK_AND_WHITE)) == LOSSLESS


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(encode(Image.fromarray(DEEP), "PNG"), id="PNG"),
        pytest.param(encode(Image.fromarray(DEEP), "TIFF"), id="little-endian TIFF"),
        pytest.param(
            encode(Image.frombytes("I;16B", (WIDTH, HEIGHT), DEEP.astype(">u2").tobytes()), "TIFF"),
            id="big-endian TIFF",
        ),
        pytest.param(encode(Image.fromarray(DEEP), "JPEG2000"), id="JPEG 2000"),
        pytest.param(encode(Image.fromarray(DEEP.astype(np.int32) << 15), "TIFF"), id="32-bit TIFF"),
    ],
)
def test_deep_grey_is_scaled_not_clipped(content: bytes) -> None:
    expected = DEEP_PIXELS
    if read_header(content, Limits()).mode == "I":  # signed: white is 2**31 - 1
        expected = as_rgb(((DEEP.astype(np.int64) << 15) * 255 / (2**31 - 1)).round().astype(np.uint8))
    assert worst(content, expected) <= 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_transparent_level_of_few_bits_is_composited_on_white(bits: int) -> None:
    """Pillow scales the pixels to 0..255 and not the transparent level."""
    levels = np.arange(8, dtype=np.uint8) % 2**bits
    row = np.packbits(np.unpackbits(levels[:, None], axis=1)[:, -bits:].ravel()).tobytes()
    header = struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0)
    content = png(header, (b"tRNS", struct.pack(">H", 0)), png_rows([row] * 2))
    expected = np.where(levels == 0, 255, levels * (255 // (2**bits - 1))).astype(np.uint8)
    assert worst(content, as_rgb(expected[None].repeat(2, axis=0))) == LOSSLESS


@pytest.mark.parametrize(
    ("grey", "pixels"),
    [
        pytest.param(GREY, as_rgb(grey_scene()), id="8 bits"),
        pytest.param(Image.fromarray(DEEP), DEEP_PIXELS, id="16 bits"),
    ],
)
def test_a_tiff_whose_zero_is_white_is_inverted(grey: Image.Image, pixels: Pixels) -> None:
    """Pillow inverts 8 bits only; ImageMagick and libvips invert 16 bits as well."""
    content = encode(grey, "TIFF")
    at = content.index(struct.pack("<HHI", 262, 3, 1)) + 8
    negative = content[:at] + bytes(2) + content[at + 2 :]
    assert worst(negative, 255 - pixels) <= 1


DISPLAY_P3_LIKE = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()  # as far from sRGB as can be


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"])
def test_an_embedded_profile_changes_no_pixel(kind: str) -> None:
    """torchvision and timm, which train the models, open files with Pillow and convert no colours."""
    write = encode_heif if kind == "HEIC" else lambda image, **options: encode(image, kind, **options)
    plain, tagged = write(SCENE), write(SCENE, icc_profile=DISPLAY_P3_LIKE)
    assert len(tagged) > len(plain)
    assert np.array_equal(np.asarray(decode_image(plain).image), np.asarray(decode_image(tagged).image))


def test_an_embedded_ink_profile_changes_no_pixel() -> None:
    content = encode(cmyk(scene()), "JPEG", quality=95, subsampling=0, icc_profile=DISPLAY_P3_LIKE)
    assert worst(content, scene()) <= LOSSY


def test_an_mpo_is_reported_as_jpeg() -> None:
    """An MPO is a JPEG with more pictures behind it; phones name it .jpg, and people filter on that."""
    content = encode(SCENE, "MPO", save_all=True, append_images=[SCENE.rotate(180)])
    assert read_header(content, Limits()).info.format == "jpeg"


def test_a_transparent_16_bit_level_is_composited_on_white() -> None:
    rows = png_rows([DEEP[0].astype(">u2").tobytes()] * HEIGHT)
    content = png(
        struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 0, 0, 0, 0), (b"tRNS", struct.pack(">H", int(DEEP[0, 10]))), rows
    )
    expected = DEEP_PIXELS.copy()
    expected[:, 10] = 255
    assert worst(content, expected) <= 1


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (6, 4)], ids=["RGB", "RGBA"])
def test_16_bit_colour_keeps_its_range(colour_type: int, channels: int) -> None:
    deep = np.stack([DEEP] * 3 + [np.full_like(DEEP, 65535)], axis=-1)[..., :channels]
    content = png(
        struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0),
        png_rows([row.astype(">u2").tobytes() for row in deep]),
    )
    assert worst(content, DEEP_PIXELS) <= 1


def test_10_bit_heic_keeps_its_range() -> None:
    stream = BytesIO()
    deep = np.stack([DEEP] * 3, axis=-1)
    pillow_heif.from_bytes("RGB;16", (WIDTH, HEIGHT), deep.tobytes()).save(stream, quality=-1, chroma=444)
    assert worst(stream.getvalue(), DEEP_PIXELS) <= 3


def test_an_interlaced_png_is_deinterlaced() -> None:
    # Eight by eight pixels in Adam7's seven passes, written by hand.
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [row.tobytes() for top, left, down, right in passes for row in picture[top::down, left::right]]
    content = png(struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1), png_rows(rows))
    assert worst(content, as_rgb(picture)) == LOSSLESS


def test_a_run_length_coded_bmp_is_decoded() -> None:
    palette = b"".join(bytes([255 - value, value, 7, 0]) for value in range(256))
    runs = b"".join(bytes([4, 10 * row, 4, 200]) + b"\0\0" for row in range(8)) + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, len(runs), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    content = b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + palette + runs
    index = np.array([[10 * row] * 4 + [200] * 4 for row in reversed(range(8))])
    expected = np.stack([np.full_like(index, 7), index, 255 - index], axis=-1).astype(np.uint8)
    assert worst(content, expected) == LOSSLESS


def test_the_first_frame_of_a_gif_is_decoded() -> None:
    content = encode(PALETTE, "GIF", save_all=True, append_images=[PALETTE.rotate(180)])
    assert worst(content, PALETTE_PIXELS) == LOSSLESS
    assert read_header(content, Limits()).frames == 2


def test_lab_tiff_is_converted_by_its_definition() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(SCENE, to_lab)
    assert lab is not None
    assert worst(encode(lab, "TIFF"), scene()) <= 16  # eight bits of L*a*b* are coarse


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns about the EXIF
@pytest.mark.parametrize(
    "segment",
    [
        pytest.param((0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"), id="points nowhere"),
        pytest.param((0xE1, b"Exif\0\0"), id="is empty"),
        pytest.param((0xE1, b"Exif\0\0" + b"\xff" * 65_000), id="is 64 KiB of nonsense"),
        pytest.param(
            (0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\0\0\0\x01\0\x63\0\0" * 5000),
            id="claims orientation 99",
        ),
        pytest.param((0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04six\0\0\0\0\0"), id="is a word"),
    ],
)
def test_broken_exif_does_not_cost_the_photo(segment: tuple[int, bytes]) -> None:
    assert worst(with_segments(encode(SCENE, "JPEG", quality=95), segment), scene()) <= LOSSY


def test_broken_exif_of_an_avif_does_not_cost_the_photo() -> None:
    """libavif refuses a file whose EXIF block begins with no TIFF header."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    content = encode(SCENE, "AVIF", quality=95, exif=exif.tobytes())
    assert content.count(b"MM\0*") == 1
    assert worst(content.replace(b"MM\0*", b"XXXX"), scene()) <= LOSSY


def test_many_exif_segments_do_not_cost_the_photo() -> None:
    segments = [(0xE1, b"Exif\0\0" + b"\0" * 60_000)] * 100
    assert worst(with_segments(encode(SCENE, "JPEG", quality=95), *segments), scene()) <= LOSSY


def test_a_colour_image_is_decoded_to_grey_on_request() -> None:
    content = encode(SCENE, "JPEG", quality=95)
    image = decode_image(content, mode="L").image
    luma = scene() @ np.array([0.299, 0.587, 0.114])
    assert image.mode == "L"
    assert np.abs(np.asarray(image) - luma).max() <= LOSSY
