"""Eight orientations, one upright picture: the label must not depend on how the phone was held."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from inference.decode import decode, read_header
from inference.limits import Limits
from tests.inference.image_samples import encode, encode_heif, exif_orientation, scene, with_segments

SCENE = Image.fromarray(scene())
TOLERANCE = 8

# How a camera held in orientation N stores the upright scene: by numpy, from the EXIF specification's own words
# ("the 0th row is the visual <...> of the image, the 0th column the visual <...>").
STORED = {
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


def written(kind: str, orientation: int) -> bytes:
    exif = exif_orientation(orientation)
    if kind == "HEIC":  # the writer turns the tag into HEIF's own rotation and mirror boxes, and keeps the tag
        return encode_heif(stored(orientation), exif=exif)
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    if kind in {"JPEG", "AVIF"}:
        options["quality"] = 95
    return encode(stored(orientation), kind, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"])
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    content = written(kind, orientation)
    header = read_header(content, Limits())
    decoded = decode(content, header, needed=lambda width, height: (width, height))
    assert (header.info.width, header.info.height) == SCENE.size
    assert decoded.image.size == SCENE.size
    assert np.abs(np.asarray(decoded.image).astype(int) - scene()).max() <= TOLERANCE


def test_png_exif_may_stand_behind_the_pixels() -> None:
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


def test_a_little_endian_exif_counts_too() -> None:
    content = with_segments(encode(stored(8), "JPEG"), (0xE1, exif_orientation(8, "<")))
    assert read_header(content, Limits()).orientation == 8


def test_reading_the_header_decodes_no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise AssertionError("a header decodes nothing")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "JPEG2000"):
        assert read_header(encode(SCENE, kind), Limits()).info.format
