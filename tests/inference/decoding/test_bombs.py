"""Small files that would take much memory or time are refused, from the header where possible, at little cost."""

from __future__ import annotations

import struct
import sys
import zlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from inference.decoding.header import read_header
from inference.errors import PermanentError, Reason
from inference.limits import Limits
from tests.inference.decoding.image_samples import (
    decode_image,
    encode,
    encode_heif,
    png,
    png_rows,
    scene,
    with_segments,
)
from tools.process_stats import resident, restart_peak

if TYPE_CHECKING:
    from collections.abc import Callable

SCENE = Image.fromarray(scene())
MIB = 1024 * 1024
LITTLE_MIB = 16


def tiff(width: int, height: int, *tags: tuple[int, int, int, int], then: bytes = b"") -> bytes:
    """A TIFF of RGB pixels by hand: each tag is number, type, count, value; ``then`` follows the directory."""
    plain = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 2), (277, 3, 1, 3)]
    entries = sorted([*plain, *tags])
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4) + then


def behind(count: int) -> int:
    """The offset of ``then`` in a ``tiff`` with this many tags of its own."""
    return 8 + 2 + 12 * (5 + count) + 4


def tiff_of_many_strips(count: int) -> bytes:
    start = behind(4)
    numbers = struct.pack("<I", 100) * count
    tags = (259, 3, 1, 1), (278, 4, 1, 1), (273, 4, count, start), (279, 4, count, start + len(numbers))
    return tiff(4, 200, *tags, then=numbers * 2)


def tiff_of_one_tile(side: int, compression: int) -> bytes:
    pixels = zlib.compress(bytes(1000))
    tile = (322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, behind(5)), (325, 4, 1, len(pixels))
    return tiff(16, 16, (259, 3, 1, compression), *tile, then=pixels)


def tiff_whose_tags_all_point_at_the_same_bytes() -> bytes:
    tags = [(40_000 + number, 7, 400_000, behind(103)) for number in range(100)]
    layout = (273, 4, 1, behind(103)), (278, 4, 1, 16), (279, 4, 1, 768)
    return tiff(16, 16, *layout, *tags, then=bytes(500_000))


def tiff_of_many_pages(count: int) -> bytes:
    pages = b"".join(struct.pack("<HI", 0, 8 + 6 * (page + 1)) for page in range(count))
    return b"II*\0\x08\0\0\0" + pages[:-4] + bytes(4)


def with_box_number(content: bytes, box: bytes, width: int, height: int) -> bytes:
    at = content.index(box) + 8  # behind its name, version and flags
    return content[:at] + struct.pack(">II", width, height) + content[at + 8 :]


def lossless_webp(width: int, height: int) -> bytes:
    """A flat picture, whose pixels take no bits: any size fits the same few bytes."""
    flat = encode(Image.new("RGB", (8, 8), (1, 2, 3)), "WEBP", lossless=True)
    bits = (width - 1) | (height - 1) << 14
    return flat[:21] + struct.pack("<I", bits) + flat[25:]


def jpeg_of_many_scans(count: int) -> bytes:
    content = encode(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * count + b"\xff\xd9"


def run_length_bmp(width: int, height: int, runs: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(runs), 0, 0, 1078) + header + bytes(1024) + runs


def icon_of_a_bitmap(side: int) -> bytes:
    picture = struct.pack("<IiiHHIIiiII", 40, side, 2 * side, 1, 32, 0, 0, 0, 0, 0, 0) + bytes(100)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22) + picture


# Built where they are used: together they cost four seconds.
REFUSED_FROM_HEADER: dict[str, tuple[Callable[[], bytes], Reason]] = {
    "TIFF of one packed tile of 40,000 x 40,000": (lambda: tiff_of_one_tile(40_000, 8), Reason.TOO_MANY_PIXELS),
    "TIFF of 30,000 x 30,000": (
        lambda: tiff(30_000, 30_000, (259, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 8)),
        Reason.TOO_MANY_PIXELS,
    ),
    "TIFF of tiles, 30,000 x 30,000": (
        lambda: tiff(
            30_000,
            30_000,
            *((322, 4, 1, 1000), (323, 4, 1, 1000), (324, 4, 900, behind(4)), (325, 4, 900, behind(4) + 3600)),
            then=struct.pack("<I", 8) * 1800,
        ),
        Reason.TOO_MANY_PIXELS,
    ),
    "TIFF of a million strips": (lambda: tiff_of_many_strips(1_000_000), Reason.TOO_MANY_FRAMES),
    "TIFF of 20,000 pages": (lambda: tiff_of_many_pages(20_000), Reason.TOO_MANY_FRAMES),
    "TIFF whose tags share their values": (
        tiff_whose_tags_all_point_at_the_same_bytes,
        Reason.DECOMPRESSION_BOMB,
    ),
    "GIF whose frame is larger than its screen": (
        lambda: (
            b"GIF89a\4\0\4\0\x80\0\0"
            + bytes(6)
            + b","
            + struct.pack("<HHHH", 0, 0, 60_000, 60_000)
            + b"\0\2\2\x4c\1\0;"
        ),
        Reason.TOO_MANY_PIXELS,
    ),
    "WebP of 178 megapixels in 38 bytes": (lambda: lossless_webp(13_300, 13_400), Reason.DECOMPRESSION_BOMB),
    "AVIF of 196 megapixels in 500 bytes": (
        lambda: with_box_number(encode(SCENE, "AVIF"), b"ispe", 14_000, 14_000),
        Reason.DECOMPRESSION_BOMB,
    ),
    "HEIC of 30,000 x 30,000": (
        lambda: with_box_number(encode_heif(SCENE), b"ispe", 30_000, 30_000),
        Reason.TOO_MANY_PIXELS,
    ),
    "HEIC of 196 megapixels in 2 KB": (
        lambda: with_box_number(encode_heif(SCENE), b"ispe", 14_000, 14_000),
        Reason.DECOMPRESSION_BOMB,
    ),
    "JPEG of 16 megapixels in 210 scans": (lambda: jpeg_of_many_scans(200), Reason.DECOMPRESSION_BOMB),
    "BMP of run lengths that end at once": (lambda: run_length_bmp(14_000, 14_000, b"\0\1"), Reason.DECOMPRESSION_BOMB),
    "BMP of 17 MB of run lengths": (lambda: run_length_bmp(4000, 4000, b"\1\7" * 8_500_000), Reason.TOO_MANY_BYTES),
    "ICO whose bitmap claims 60,000 x 60,000": (lambda: icon_of_a_bitmap(60_000), Reason.DECOMPRESSION_BOMB),
    "ICO whose bitmap claims 8,000 x 8,000": (lambda: icon_of_a_bitmap(8000), Reason.DECOMPRESSION_BOMB),
}

REFUSED_BY_DECODER: dict[str, tuple[Callable[[], bytes], Reason]] = {
    "TIFF of one plain tile of 40,000 x 40,000": (lambda: tiff_of_one_tile(40_000, 1), Reason.TRUNCATED),
    "AVIF whose size no decoder takes": (
        lambda: with_box_number(encode(SCENE, "AVIF"), b"ispe", 40_000, 40_000),
        Reason.CORRUPT,
    ),
    "HEIC whose picture is smaller than it says": (
        lambda: with_box_number(encode_heif(SCENE), b"ispe", 3000, 3000),
        Reason.CORRUPT,
    ),
    "HEIC whose picture is larger than it says": (
        lambda: with_box_number(encode_heif(Image.new("RGB", (3000, 3000))), b"ispe", 64, 64),
        Reason.CORRUPT,
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
@pytest.mark.parametrize("name", REFUSED_FROM_HEADER)
def test_a_bomb_is_refused_from_its_header(name: str) -> None:
    build, reason = REFUSED_FROM_HEADER[name]
    content = build()
    before = restart_peak().now
    with pytest.raises(PermanentError) as caught:
        read_header(content, Limits())
    assert caught.value.reason is reason
    assert caught.value.detail.endswith(".")
    assert resident().peak - before <= LITTLE_MIB * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
@pytest.mark.parametrize("name", REFUSED_BY_DECODER)
def test_a_bomb_that_passes_the_header_takes_no_memory(name: str) -> None:
    build, reason = REFUSED_BY_DECODER[name]
    content = build()
    taken = []
    for _ in range(2):  # the first run restores the heap that an earlier test trimmed
        before = restart_peak().now
        with pytest.raises(PermanentError) as caught:
            decode_image(content, (8, 8))
        taken.append(resident().peak - before)
    assert caught.value.reason is reason
    assert taken[1] <= LITTLE_MIB * MIB


def overlapping_exif(segment_bytes: int) -> bytes:
    """Five thousand tags that each point at the whole block."""
    entries = b"".join(struct.pack("<HHII", 0x9000 + number, 7, segment_bytes, 8) for number in range(5000))
    return (b"Exif\0\0II*\0" + struct.pack("<IH", 8, 5001) + entries).ljust(65_000, b"\0")


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_whose_tags_share_their_bytes_is_harmless(kind: str) -> None:
    block = overlapping_exif(60_000)
    content = with_segments(encode(SCENE, "JPEG"), (0xE1, block)) if kind == "JPEG" else encode(SCENE, kind, exif=block)
    before = restart_peak().now
    assert decode_image(content, (8, 8)).image
    assert resident().peak - before <= LITTLE_MIB * MIB


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: encode(Image.new("RGB", (2000, 2000)), "WEBP", lossless=True), id="blank WebP"),
        pytest.param(lambda: encode(Image.new("1", (7000, 9900)), "TIFF", compression="group4"), id="blank fax page"),
        pytest.param(lambda: encode(Image.new("L", (7000, 9900)), "PNG"), id="blank PNG page"),
        pytest.param(
            lambda: encode(Image.new("CMYK", (2000, 2000)), "JPEG", progressive=True), id="18 scans of four inks"
        ),
        pytest.param(
            lambda: png(struct.pack(">II", 4, 4) + b"\x08\0\0\0\0", *[png_rows([bytes(4)] * 4)]), id="tiny PNG"
        ),
    ],
)
def test_blank_pages_are_not_refused(build: Callable[[], bytes]) -> None:
    assert decode_image(build(), (64, 64)).image


@pytest.mark.parametrize("tag", [322, 323])
def test_a_tile_size_that_is_text_is_a_refusal(tag: int) -> None:
    content = tiff_of_one_tile(16, 8)
    with pytest.raises(PermanentError):
        decode_image(content.replace(struct.pack("<HH", tag, 4), struct.pack("<HH", tag, 2)))
