"""AVIF and HEIC: limits and memory follow the larger of the stated size and the coded size."""

from __future__ import annotations

import struct
import subprocess
import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from inference.decoding.formats.avif import coded_size
from inference.decoding.formats.chunk_limit import ChunkLimit
from inference.decoding.formats.isobmff.av1 import CodedSize, read_coded_size
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.errors import PermanentError, Reason
from inference.limits import Limits
from tests.inference.decoding.formats.heif_files import (
    KINDS,
    box,
    put_together,
    taken_apart,
    with_stated_size,
    written,
)
from tests.inference.decoding.image_samples import decode_image, encode, memory_bytes, scene
from tests.inference.decoding.test_memory_cost import PROBE, ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCENE = Image.fromarray(scene())
SIDE = 64
SMALL = SCENE.resize((SIDE, SIDE))
LARGE = Image.new("RGB", (4000, 3000), (90, 120, 60))
LARGE_PIXELS = 4000 * 3000


@pytest.fixture(scope="module")
def large() -> dict[str, tuple[bytes, bytes]]:
    return {kind: taken_apart(kind, LARGE) for kind in KINDS}


@pytest.mark.parametrize("size", [(96, 64), (97, 61), (1001, 750)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_coded_pixels_of_an_ordinary_file_are_the_stated_ones(kind: str, size: tuple[int, int]) -> None:
    header = read_header(written(kind, SCENE.resize(size)), Limits())
    width, height = (-(-side // 8) * 8 for side in size)  # x265 codes multiples of its smallest block
    assert size[0] * size[1] <= header.coded_pixels <= width * height
    assert (header.info.width, header.info.height) == size


def test_only_the_first_frame_of_an_animation_is_counted() -> None:
    content = encode(SCENE, "AVIF", save_all=True, append_images=[SMALL.resize(SCENE.size)] * 5)
    assert read_header(content, Limits()).coded_pixels == SCENE.width * SCENE.height


@pytest.mark.parametrize("kind", KINDS)
def test_alpha_is_not_added_to_the_colours(kind: str) -> None:
    transparent = SCENE.convert("RGBA")
    transparent.putalpha(SCENE.convert("L"))
    assert read_header(written(kind, transparent), Limits()).coded_pixels == SCENE.width * SCENE.height


LAYOUTS: dict[str, dict[str, Any]] = {
    "in one piece": {},
    "in three pieces": {"extents": 3},
    "inside the meta box": {"in_idat": True},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_stream_is_found_in_every_layout(kind: str, layout: str) -> None:
    content = put_together(kind, [taken_apart(kind, SMALL)], (SIDE, SIDE), **LAYOUTS[layout])
    header = read_header(content, Limits())
    assert header.coded_pixels == SIDE * SIDE
    pixels = np.asarray(decode_image(content).image).astype(int)
    assert np.abs(pixels - np.asarray(SMALL)).mean() < 8


@pytest.mark.parametrize("kind", KINDS)
def test_the_tiles_of_a_grid_are_added_up(kind: str) -> None:
    content = put_together(kind, [taken_apart(kind, SMALL)] * 4, (SIDE, SIDE), grid=(2, 2, 120, 128))
    header = read_header(content, Limits())
    assert (header.info.width, header.info.height) == (120, 128)
    assert header.coded_pixels == 4 * SIDE * SIDE
    assert decode_image(content).image.size == (120, 128)


def test_the_estimate_of_an_avif_uses_the_size_in_its_stream() -> None:
    content = written("AVIF", LARGE)
    header = read_header(content, Limits())
    assert (header.info.width, header.info.height) == (4000, 3000)
    content = with_stated_size(content, SIDE, SIDE)
    header = read_header(content, Limits())
    assert (header.info.width, header.info.height) == (SIDE, SIDE)
    assert header.coded_pixels == LARGE_PIXELS
    assert memory_bytes(content) > 1.5 * LARGE_PIXELS  # the samples of a 4:2:0 picture


@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_picture_asks_for_the_second_byte_of_each_sample(kind: str) -> None:
    """With 10 bits, and without a reduced colour resolution: three samples a pixel."""
    samples = np.tile(np.arange(600, dtype=np.uint16)[:, None, None], (1, 400, 3))

    def encoded(bits: int) -> bytes:
        if kind == "AVIF":
            levels: Any = (samples >> 2).astype(np.uint8) if bits == 8 else samples
            return bytes(imagecodecs.avif_encode(levels, speed=10, bitspersample=bits, pixelformat="yuv444"))
        levels = (samples >> 2).astype(np.uint8) if bits == 8 else samples << 6
        image = pillow_heif.from_bytes("RGB" if bits == 8 else "RGB;16", (400, 600), levels.tobytes())
        image.save(stream := BytesIO(), chroma=444, enc_params={"preset": "ultrafast"})
        return stream.getvalue()

    assert memory_bytes(encoded(10)) - memory_bytes(encoded(8)) >= 3 * 400 * 600


@pytest.mark.parametrize("kind", KINDS)
def test_coded_pixels_are_compared_with_the_limit(kind: str, large: dict[str, tuple[bytes, bytes]]) -> None:
    content = put_together(kind, [large[kind]] * 4, (4000, 3000), grid=(2, 2, SIDE, SIDE))
    with pytest.raises(PermanentError, match="64 x 64 pixels and is coded in 48,000,000") as caught:
        read_header(content, Limits(max_pixels=40_000_000))
    assert caught.value.reason is Reason.TOO_MANY_PIXELS
    assert caught.value.image is not None


def test_a_phone_of_200_megapixels_is_within_the_limit_and_asks_for_its_memory() -> None:
    """Its 768 tiles of 512 x 512 reach past 12,240 x 16,320; a decode of this file took 1,347 MiB."""
    tile = taken_apart("HEIC", Image.fromarray(scene(512, 512)))
    content = put_together("HEIC", [tile] * 768, (512, 512), grid=(24, 32, 12_240, 16_320))
    header = read_header(content, Limits())
    assert header.coded_pixels == 768 * 512 * 512 > Limits().max_pixels
    assert plan_decode(header, (256, 341)).memory_bytes > 1_347 * 2**20
    with pytest.raises(PermanentError) as caught:
        read_header(content, Limits(max_pixels=190_000_000))
    assert caught.value.reason is Reason.TOO_MANY_PIXELS


def test_a_small_file_with_very_many_coded_pixels_is_a_bomb() -> None:
    configuration, _ = taken_apart("AVIF", SMALL)
    stream = unit(1, (0, 3), (3, 2), (9, 5), (15, 4), (15, 4), (9_999, 16), (9_999, 16), (0, 9)) + unit(6, (0, 8))
    with pytest.raises(PermanentError) as caught:
        read_header(put_together("AVIF", [(configuration, stream)], (SIDE, SIDE)), Limits())
    assert caught.value.reason is Reason.DECOMPRESSION_BOMB


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the resident set from /proc")
@pytest.mark.parametrize("name", ["AVIF stream", "AVIF tile", "HEIC tile", "HEIC tiles"])
def test_a_decode_takes_no_more_memory_than_estimated(
    name: str, large: dict[str, tuple[bytes, bytes]], tmp_path: Path
) -> None:
    kind = name.partition(" ")[0]
    if name == "AVIF stream":
        content = put_together(kind, [large[kind]], (SIDE, SIDE))
    else:
        side = 2 if name.endswith("s") else 1
        content = put_together(kind, [large[kind]] * side**2, (4000, 3000), grid=(side, side, SIDE, SIDE))
    (tmp_path / "small").write_bytes(written(kind, SMALL))
    (tmp_path / "large").write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path / "small"), str(tmp_path / "large")],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert 16 * 1024 * 1024 < int(run.stdout) <= memory_bytes(content)


def test_libheif_refuses_a_stream_larger_than_its_box_before_decoding(large: dict[str, tuple[bytes, bytes]]) -> None:
    """Only the boxes of a HEIC are read for that reason; this test fails if libheif changes."""
    content = put_together("HEIC", [large["HEIC"]], (SIDE, SIDE))
    with pytest.raises(PermanentError) as caught:
        decode_image(content)
    assert caught.value.reason is Reason.CORRUPT
    assert "limit exceeded" in str(caught.value.__cause__)


def clean_aperture(*numbers: int | tuple[int, int]) -> bytes:
    """A ``clap`` box: width, height, and the offset of the centre across and down, each a number or a fraction."""
    fractions = [number if isinstance(number, tuple) else (number, 1) for number in numbers]
    return box(b"clap", *(struct.pack(">iI", *fraction) for fraction in fractions))


QUARTER_TURN, MIRROR = box(b"irot", b"\1"), box(b"imir", b"\1")


@pytest.mark.parametrize(
    ("numbers", "part"),
    [
        pytest.param((40, 20, 0, 0), (12, 22, 52, 42), id="the middle"),
        pytest.param((40, 20, 6, -10), (18, 12, 58, 32), id="beside the middle"),
        pytest.param((41, 21, (13, 2), (-21, 2)), (18, 11, 59, 32), id="odd, by half pixels"),
        pytest.param(((81, 2), 20, (1, 3), 0), (12, 22, 53, 42), id="parts of a pixel"),
    ],
)
@pytest.mark.parametrize("turned", [False, True], ids=["upright", "turned and mirrored"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_part_to_show_is_cut_out_before_the_picture_is_turned(
    kind: str, numbers: tuple[Any, ...], part: tuple[int, int, int, int], *, turned: bool
) -> None:
    """libheif cuts it out of a HEIC; libavif leaves it to its caller. The parts are computed by hand."""
    transforms = (clean_aperture(*numbers), *((QUARTER_TURN, MIRROR) if turned else ()))
    content = put_together(kind, [taken_apart(kind, SMALL)], (SIDE, SIDE), transforms=transforms)
    expected = SMALL.crop(part)
    if turned:  # a quarter to the left, then left and right exchanged
        expected = expected.transpose(Image.Transpose.ROTATE_90).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    header = read_header(content, Limits())
    pixels = np.asarray(decode_image(content, (400, 400)).image).astype(int)
    assert (header.info.width, header.info.height) == expected.size
    assert np.abs(pixels - np.asarray(expected)).mean() < 4


@pytest.mark.parametrize(
    ("numbers", "part"), [((40, 20, 30, 0), (42, 22, 64, 42)), ((400, 20, 0, 0), (0, 22, 64, 42))], ids=str
)
def test_a_part_to_show_that_reaches_outside_is_cut_in_an_avif_and_damage_in_a_heic(
    numbers: tuple[int, ...], part: tuple[int, int, int, int]
) -> None:
    """libheif states the size of the whole part and gives fewer pixels."""
    files = [
        put_together(kind, [taken_apart(kind, SMALL)], (SIDE, SIDE), transforms=(clean_aperture(*numbers),))
        for kind in KINDS
    ]
    pixels = np.asarray(decode_image(files[0], (400, 400)).image).astype(int)
    assert np.abs(pixels - np.asarray(SMALL.crop(part))).mean() < 4
    with pytest.raises(PermanentError, match="outside of the picture") as caught:
        read_header(files[1], Limits())
    assert caught.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("numbers", [(0, 10, 0, 0), ((4, 0), 10, 0, 0), (10, 10, 500, 0)], ids=str)
def test_a_part_to_show_that_does_not_exist_is_ignored(numbers: tuple[Any, ...]) -> None:
    content = put_together("AVIF", [taken_apart("AVIF", SMALL)], (SIDE, SIDE), transforms=(clean_aperture(*numbers),))
    assert decode_image(content, (400, 400)).image.size == (SIDE, SIDE)


BRANDS = (b"heic", b"mif1", b"msf1", b"hevc")
CODECS = {
    b"avc1": "AVC",
    b"unci": "uncompressed",
    b"jpeg": "JPEG",
    b"vvc1": "VVC",
    b"j2k1": "JPEG 2000",
    b"av01": "AV1",
}


def tracks(codec: bytes) -> tuple[bytes, bytes]:
    """The boxes of an image sequence, ``moov`` and ``mdat``, that are declared as of this codec."""
    content = encode(SCENE, "AVIF", save_all=True, append_images=[SCENE.rotate(180)])
    at = content.index(b"moov") - 4
    (size,) = struct.unpack_from(">I", content, at)
    return content[at : at + size].replace(b"av01", codec).replace(b"av1C", b"hvcC"), content[at + size :]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("brand", BRANDS)
def test_a_heif_of_another_codec_is_named(brand: bytes, codec: bytes) -> None:
    still = written("HEIC", SCENE)
    still = still[:8] + brand + still[12:].replace(b"hvc1", codec)
    tiles = put_together("HEIC", [taken_apart("HEIC", SMALL)] * 4, (SIDE, SIDE), grid=(2, 2, 120, 128))
    start = box(b"ftyp", brand, bytes(4), brand)
    for content in (still, tiles.replace(b"hvc1", codec), start + b"".join(tracks(codec))):
        with pytest.raises(PermanentError) as caught:
            read_header(content, Limits())
        assert caught.value.reason is Reason.UNSUPPORTED_FORMAT
        assert CODECS[codec] in caught.value.detail


@pytest.mark.parametrize("brand", BRANDS)
def test_a_sequence_is_named_and_costs_no_still_picture_beside_it(brand: bytes) -> None:
    moov, media = tracks(b"hvc1")
    with pytest.raises(PermanentError, match="sequence without a still picture") as caught:
        read_header(box(b"ftyp", brand, bytes(4), brand) + moov + media, Limits())
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT
    still = written("HEIC", SCENE)
    still = still[:8] + brand + still[12:]
    for content in (still + moov, still + moov[:-9], still):
        assert np.abs(np.asarray(decode_image(content, (400, 400)).image).astype(int) - scene()).mean() < 8


def test_items_outside_of_the_file_are_corrupt() -> None:
    content = put_together("AVIF", [taken_apart("AVIF", SMALL)], (SIDE, SIDE))
    at = content.index(b"iloc") + 10
    with pytest.raises(PermanentError) as caught:
        coded_size(content[:at] + b"\xff\xff" + content[at + 2 :], Limits())
    assert caught.value.reason is Reason.CORRUPT


def test_a_million_empty_units_exceed_the_limit() -> None:
    configuration, stream = taken_apart("AVIF", SMALL)
    content = put_together("AVIF", [(configuration, b"\x7a\0" * 1_000_000 + stream)], (SIDE, SIDE))
    with pytest.raises(PermanentError) as caught:
        read_header(content, Limits())
    assert caught.value.reason is Reason.TOO_MANY_FRAMES


def unit(kind: int, *fields: tuple[int, int]) -> bytes:
    """An AV1 unit (OBU) of numbers, each with its count of bits."""
    bits = "".join(f"{value:0{count}b}" for value, count in fields)
    body = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
    return bytes([kind << 3 | 2, len(body)]) + body


# A sequence header with everything that may stand before the size: timing, a decoder model, two operating points,
# frame numbers, order hints; 16 bits for a size of 640 x 480, and 10-bit samples.
FULL = unit(
    1,
    *[(0, 3), (0, 1), (0, 1)],
    *[(1, 1), (1, 32), (25, 32), (0, 1), (1, 1), (9, 5), (1, 32), (9, 5), (7, 5)],
    *[(1, 1), (1, 5)],
    *[(1, 12), (9, 5), (1, 1), (1, 1), (3, 10), (3, 10), (0, 1), (1, 1), (5, 4)],
    *[(2, 12), (3, 5), (0, 1), (0, 1)],
    *[(15, 4), (15, 4), (639, 16), (479, 16)],
    *[(1, 1), (4, 4), (3, 3)],
    *[(7, 3), (15, 4), (1, 1), (3, 2), (1, 1), (1, 1), (6, 3), (7, 3)],
    *[(1, 1), (0, 1), (0, 1), (0, 1), (0, 2), (0, 1), (0, 1)],
)
DEEP_4_2_0 = 2 * 1.5  # bytes of a pixel
KEY_FRAME = [(0, 1), (0, 2), (1, 1), (5, 8), (0, 1), (1, 1), (1, 1), (77, 10)]
HIDDEN_FRAME = [(0, 1), (1, 2), (0, 1), (1, 1), (1, 1), (0, 1), (0, 1), (77, 10)]


@pytest.mark.parametrize(
    ("units", "pixels"),
    [
        pytest.param([unit(6, *KEY_FRAME, (0, 1))], 640 * 480, id="a key frame"),
        pytest.param([unit(6, *KEY_FRAME, (1, 1))], 1 << 32, id="a key frame with a size of its own"),
        pytest.param([unit(3, *HIDDEN_FRAME, (0, 1)), unit(6, *KEY_FRAME, (0, 1))], 2 * 640 * 480, id="a hidden frame"),
        pytest.param([unit(6, *KEY_FRAME, (0, 1)), unit(3, (1, 1), (2, 3))], 640 * 480, id="a frame shown again"),
        pytest.param([unit(2, (0, 8)), unit(6, *KEY_FRAME, (0, 1)), b"\x32\xff"], 640 * 480, id="rubbish behind it"),
        pytest.param([], 0, id="no frame"),
    ],
)
def test_the_frames_of_a_stream_are_added_up(units: list[bytes], pixels: int) -> None:
    assert read_coded_size(FULL + b"".join(units), ChunkLimit(100)) == CodedSize(pixels, DEEP_4_2_0 * pixels)


@pytest.mark.parametrize(
    ("profile", "colors", "bytes_per_pixel"),
    [
        pytest.param(0, [(0, 1), (0, 1), (0, 1), (0, 1), (0, 2), (0, 1), (0, 1)], 1.5, id="4:2:0"),
        pytest.param(0, [(0, 1), (0, 1), (0, 1), (0, 1), (0, 2), (0, 1), (1, 1)], 3.0, id="4:2:0 with film grain"),
        pytest.param(0, [(0, 1), (1, 1), (0, 1), (0, 1), (0, 1)], 1.0, id="grey"),
        pytest.param(0, [(1, 1), (1, 1), (0, 1), (0, 1), (0, 1)], 2.0, id="deep grey"),
        pytest.param(1, [(0, 1), (0, 1), (0, 1), (0, 1), (0, 1)], 3.0, id="4:4:4"),
        pytest.param(1, [(0, 1), (1, 1), (1, 8), (13, 8), (0, 8), (0, 1), (0, 1)], 3.0, id="RGB"),
        pytest.param(2, [(0, 1), (0, 1), (0, 1), (0, 1), (0, 1), (0, 1)], 2.0, id="4:2:2"),
        pytest.param(2, [*[(1, 1)] * 2, *[(0, 1)] * 3, (1, 1), (0, 1), (0, 1), (0, 1)], 4.0, id="12-bit 4:2:2"),
        pytest.param(2, [*[(1, 1)] * 2, *[(0, 1)] * 3, (0, 1), (0, 1), (0, 1)], 6.0, id="12-bit 4:4:4"),
    ],
)
def test_the_samples_of_a_frame_are_counted(
    profile: int, colors: list[tuple[int, int]], bytes_per_pixel: float
) -> None:
    """By the order of the fields in the specification, section 5.5.2, for a reduced header of 64 x 32 pixels."""
    start = [(profile, 3), (1, 1), (1, 1), (0, 5), (5, 4), (4, 4), (63, 6), (31, 5), (0, 3), (0, 3)]
    stream = unit(1, *start, *colors) + unit(6, (0, 8))
    assert read_coded_size(stream, ChunkLimit(9)) == CodedSize(64 * 32, bytes_per_pixel * 64 * 32)


def test_a_cut_stream_is_counted_up_to_its_end() -> None:
    stream = FULL + unit(6, *KEY_FRAME, (0, 1))
    for end in range(len(stream)):
        assert read_coded_size(stream[:end], ChunkLimit(100)).pixels in {0, 640 * 480, 1 << 32}
