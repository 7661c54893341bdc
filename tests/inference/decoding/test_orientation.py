"""All eight orientations decode to the same upright picture."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, PngImagePlugin, TiffImagePlugin

from inference.decoding.header import read_header
from inference.decoding.orientation import Orientation
from inference.limits import Limits
from tests.inference.decoding.image_samples import (
    decode_image,
    encode,
    encode_heif,
    exif_orientation,
    scene,
    with_segments,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SCENE = Image.fromarray(scene())
TOLERANCE = 8

# The stored pixels of the upright scene for each orientation, with numpy, as the EXIF specification defines them
# ("the 0th row is the visual <...> of the image, the 0th column the visual <...>").
STORED: dict[int, Callable[[Any], Any]] = {
    1: lambda upright: upright,  # top, left
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: upright[::-1, ::-1],  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.swapaxes(0, 1),  # left, top
    6: lambda upright: upright[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda upright: upright[::-1].swapaxes(0, 1),  # left, bottom
}


def stored(orientation: int) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(STORED[orientation](scene())))


def encoded(kind: str, orientation: int) -> bytes:
    exif = exif_orientation(orientation)
    if kind == "HEIC":  # the writer turns the tag into HEIF's own rotation and mirror boxes, and keeps the tag
        return encode_heif(stored(orientation), exif=exif)
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    if kind in {"JPEG", "AVIF"}:
        options["quality"] = 95
    return encode(stored(orientation), kind, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"])
def test_every_orientation_is_decoded_upright(kind: str, orientation: int) -> None:
    content = encoded(kind, orientation)
    header = read_header(content, Limits())
    decoded = decode_image(content)
    assert (header.info.width, header.info.height) == SCENE.size
    assert decoded.image.size == SCENE.size
    assert np.abs(np.asarray(decoded.image).astype(int) - scene()).max() <= TOLERANCE


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "I;16", "L"])
@pytest.mark.parametrize("size", [(101, 67), (100, 64), (99, 203)], ids=str)
def test_all_orientations_are_reduced_to_the_same_pixels(mode: str, size: tuple[int, int]) -> None:
    """Blocks that began at the stored corner would average other pixels, and scores would depend on the orientation."""
    dice = np.random.default_rng(7)
    upright = dice.integers(0, 65536 if mode == "I;16" else 256, (size[1], size[0], 4), np.uint16)
    picture = upright[..., 0] if mode in {"I;16", "L", "P"} else upright[..., : len(mode)]
    palette = dice.integers(0, 256, 768, np.uint8).tobytes()
    pictures = []
    for orientation, turn in STORED.items():
        pixels = np.ascontiguousarray(turn(picture if mode == "I;16" else picture.astype(np.uint8)))
        image = Image.fromarray(pixels)
        if mode == "P":
            image.putpalette(palette)
        content = encode(image, "PNG", exif=exif_orientation(orientation))
        decoded = decode_image(content, (size[0] // 12, size[1] // 12), upright=False)
        assert (decoded.orientation, decoded.box) == (1, (0.0, 0.0, size[0] / 4, size[1] / 4))
        pictures.append(np.asarray(decoded.image))
    assert all(np.array_equal(pictures[0], each) for each in pictures)


@pytest.mark.parametrize("orientation", Orientation)
def test_a_box_converted_to_stored_and_back_is_the_same(orientation: Orientation) -> None:
    box, upright_size = (3.0, 5.0, 40.0, 17.0), (96, 64)
    stored_box = orientation.to_stored(box, upright_size)
    assert orientation.to_upright(stored_box, upright_size) == box
    left, top, right, bottom = map(int, stored_box)
    cut = orientation.apply(stored(orientation).crop((left, top, right, bottom)))
    assert np.array_equal(np.asarray(cut), scene()[5:17, 3:40])


def test_png_exif_behind_the_pixels_is_read() -> None:
    content = encode(stored(6), "PNG")
    end = content.rindex(b"IEND") - 4
    block = exif_orientation(6)[6:]
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    header = read_header(content[:end] + chunk + content[end:], Limits())
    assert header.orientation == 6
    assert (header.info.width, header.info.height) == SCENE.size


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(value: int) -> None:
    assert read_header(encode(SCENE, "JPEG", exif=exif_orientation(value)), Limits()).orientation == 1


def test_little_endian_exif_is_read() -> None:
    content = with_segments(encode(stored(8), "JPEG"), (0xE1, exif_orientation(8, "<")))
    assert read_header(content, Limits()).orientation == 8


ATTRIBUTE = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
ELEMENT = b"<x:xmpmeta><rdf:Description><tiff:Orientation>%d</tiff:Orientation></rdf:Description></x:xmpmeta>"


def with_xmp(kind: str, packet: bytes, picture: Image.Image = SCENE, exif_value: int | None = None) -> bytes:
    exif = None if exif_value is None else exif_orientation(exif_value)
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        return encode(picture, kind, pnginfo=text, exif=exif)
    options: dict[str, Any] = {"exif": exif} if exif else {}
    if kind == "TIFF":
        options["tiffinfo"] = {700: packet} | ({} if exif_value is None else {274: exif_value})
    else:
        options["xmp"] = packet
    return encode(picture, kind, **options)


def transposed_by_pillow(content: bytes) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(BytesIO(content))).convert("RGB")


@pytest.mark.parametrize("packet", [ATTRIBUTE, ELEMENT], ids=["attribute", "element"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_orientation_without_exif_is_applied_as_in_pillow(kind: str, orientation: int, packet: bytes) -> None:
    content = with_xmp(kind, packet % orientation, stored(orientation))
    header = read_header(content, Limits())
    decoded = decode_image(content)
    assert (header.info.width, header.info.height) == decoded.image.size == SCENE.size
    assert np.array_equal(np.asarray(decoded.image), np.asarray(transposed_by_pillow(content)))
    assert np.abs(np.asarray(decoded.image).astype(int) - scene()).mean() <= TOLERANCE


@pytest.mark.parametrize("exif_value", [1, 3, 99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_takes_precedence_over_xmp(kind: str, exif_value: int) -> None:
    content = with_xmp(kind, ATTRIBUTE % 6, exif_value=exif_value)
    header = read_header(content, Limits())
    assert (header.info.width, header.info.height) == SCENE.size
    assert decode_image(content).image.size == SCENE.size


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b'tiff:Orientation="0"', id="none that exists"),
        pytest.param(b'tiff:Orientation="9"', id="nine"),
        pytest.param(b'tiff:Orientation="', id="cut"),
        pytest.param(b'tiff:Orientation="six"', id="in words"),
        pytest.param(b"\xff\x00<x:xmp" * 3000, id="rubbish"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_broken_xmp_is_upright(kind: str, packet: bytes) -> None:
    content = with_xmp(kind, packet)
    header = read_header(content, Limits())
    assert (header.info.width, header.info.height) == SCENE.size
    assert decode_image(content).image.size == SCENE.size


@pytest.mark.filterwarnings("ignore:Metadata Warning")
def test_a_tiff_whose_xmp_has_the_wrong_type_is_upright() -> None:
    packet = TiffImagePlugin.ImageFileDirectory_v2()
    packet.tagtype[700] = 4
    packet[700] = (6, 6)
    content = encode(SCENE, "TIFF", tiffinfo=packet)
    assert decode_image(content).image.size == SCENE.size


def test_megabytes_of_xmp_are_searched_in_one_pass() -> None:
    content = with_xmp("WEBP", b"tiff:Orientation" * 1_000_000 + ATTRIBUTE % 6)
    assert read_header(content, Limits()).orientation == 6


@pytest.mark.parametrize("written", ["plain", "packed"])
@pytest.mark.parametrize("place", ["before the pixels", "behind the pixels"])
def test_the_xmp_of_a_png_is_found(place: str, written: str) -> None:
    text = b"\0\0\0\0" + ELEMENT % 8 if written == "plain" else b"\1\0\0\0" + zlib.compress(ELEMENT % 8)
    body = b"XML:com.adobe.xmp\0" + text
    assert read_header(with_chunk(b"iTXt", body, place), Limits()).orientation == 8


@pytest.mark.parametrize(
    "body",
    [b"", b"\1\0", b"\1\0\0\0rubbish", b"\1\7\0\0", b"\0\0no end"],
    ids=["empty", "cut", "rubbish", "method", "end"],
)
def test_broken_international_text_is_upright(body: bytes) -> None:
    content = with_chunk(b"iTXt", b"XML:com.adobe.xmp\0" + body, "behind the pixels")
    assert read_header(content, Limits()).orientation == 1


@pytest.mark.parametrize(("body", "orientation"), [(exif_orientation(6)[6:].hex(), 6), ("zz", 1)])
def test_exif_in_the_old_png_text_of_imagemagick_is_read(body: str, orientation: int) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(body) // 2:8}\n{body}\n", zip=True)
    assert read_header(encode(SCENE, "PNG", pnginfo=text), Limits()).orientation == orientation


def with_chunk(kind: bytes, body: bytes, place: str) -> bytes:
    content = encode(stored(8), "PNG")
    at = content.index(b"IDAT") - 4 if place == "before the pixels" else content.rindex(b"IEND") - 4
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return content[:at] + chunk + content[at:]


def test_reading_the_header_decodes_no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("a header decodes nothing")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "JPEG2000"):
        assert read_header(encode(SCENE, kind), Limits()).info.format
