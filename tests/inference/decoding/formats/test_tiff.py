"""TIFF: the file must list every strip or tile of its picture."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from inference.decoding.header import read_header
from inference.errors import PermanentError, Reason
from inference.limits import Limits
from tests.inference.decoding.image_samples import decode_image, encode, scene


def tiff(height: int, tags: dict[int, tuple[int, ...]]) -> bytes:
    """A grey TIFF, 16 pixels wide; all listed parts point at the same bytes of the file."""
    layout = {256: (16,), 257: (height,), 258: (8,), 259: (1,), 262: (1,), **tags}
    behind = 8 + 2 + 12 * len(layout) + 4
    entries, values = b"", b""
    for tag, numbers in sorted(layout.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        where = struct.pack("<I", behind + len(values)) if len(numbers) > 1 else packed
        values += packed if len(numbers) > 1 else b""
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + where
    content = b"II*\0" + struct.pack("<IH", 8, len(layout)) + entries + bytes(4) + values
    return content + bytes(range(256)) * 8


@pytest.mark.parametrize(
    ("parts", "listed"),
    [
        ({278: (8,), 273: (500,) * 4, 279: (128,) * 4}, 4),
        ({278: (8,), 273: (500,) * 12, 279: (128,) * 12, 277: (3,), 284: (2,), 262: (2,), 258: (8, 8, 8)}, 12),
        ({322: (16,), 323: (16,), 324: (500,) * 2, 325: (256,) * 2}, 2),
    ],
    ids=["strips", "strips in planes", "tiles"],
)
def test_a_tiff_must_list_all_parts_of_its_picture(parts: dict[int, tuple[int, ...]], listed: int) -> None:
    """Pillow leaves rows without a strip black: a file of 3 KB with 24 rows stated 16,711,704 rows."""
    whole = read_header(tiff(32, parts), Limits())
    assert whole.stored_size == (16, 32)
    fewer = {tag: numbers[:-1] if len(numbers) == listed else numbers for tag, numbers in parts.items()}
    with pytest.raises(PermanentError, match=f"lists {listed - 1} of the {listed} parts") as refusal:
        read_header(tiff(32, fewer), Limits())
    assert refusal.value.reason is Reason.TRUNCATED


PICTURE = Image.fromarray(scene())


def refusal(content: bytes) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        decode_image(content, (400, 400))
    return caught.value


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({259: (65535,)}, "camera raw"),
        ({259: (34713,)}, "camera raw"),
        ({262: (32803,)}, "camera raw"),
        ({259: (6,)}, "old-style JPEG"),
        ({259: (50013,)}, "compression 50013"),
        ({262: (9,)}, "1 x 8-bit unsigned samples, ICC L"),
        ({262: (1,), 258: (24,)}, "1 x 24-bit unsigned samples, grey"),
        ({277: (2,), 258: (8, 8), 284: (2,), 338: (2,), 273: (500, 500), 279: (500, 500)}, "a plane of its own"),
    ],
)
def test_what_cannot_be_decoded_right_is_named(tags: dict[int, tuple[int, ...]], name: str) -> None:
    error = refusal(tiff(8, {273: (500,), 279: (500,), **tags}))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert name in error.detail


def test_a_bigtiff_in_big_endian_order_is_named() -> None:
    error = refusal(b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 0) + bytes(8))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert "BigTIFF in big-endian" in error.detail


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.filterwarnings("error")
def test_a_file_that_ends_before_the_offset_of_a_next_page_is_whole(compression: str | None) -> None:
    content = encode(PICTURE, "TIFF", compression=compression)
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    directory = content[at : at + 2 + 12 * count]
    moved = content[:4] + struct.pack("<I", len(content)) + content[8:] + directory
    whole = np.asarray(decode_image(content, (400, 400)).image)
    for kept in range(4):
        assert np.array_equal(np.asarray(decode_image(moved + bytes(kept), (400, 400)).image), whole)
    assert refusal(moved[:-1]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("kinds", [(1, 0), (1, 1, 2), (1, 4, 0), (5, 0)])
def test_the_full_picture_is_decoded_where_the_first_page_is_a_thumbnail(kinds: tuple[int, ...]) -> None:
    """NewSubfileType, TIFF 6.0 section 8: bit 0 marks a reduced picture, bit 2 a mask."""
    first, *others = [Image.new("RGB", (16, 12), (9, 9, 9)) for _ in kinds[1:]]
    content = bytearray(encode(first, "TIFF", save_all=True, append_images=[*others, PICTURE], tiffinfo={254: 7}))
    marks = [at for at in range(len(content)) if content[at : at + 12] == struct.pack("<HHII", 254, 4, 1, 7)]
    assert len(marks) == len(kinds)
    for at, kind in zip(marks, kinds, strict=True):
        content[at + 8 : at + 12] = struct.pack("<I", kind)
    decoded = decode_image(bytes(content), (400, 400))
    assert np.array_equal(np.asarray(decoded.image), scene())


def test_a_thumbnail_without_a_picture_is_decoded() -> None:
    assert decode_image(encode(PICTURE, "TIFF", tiffinfo={254: 1}), (8, 8)).info.width == PICTURE.width


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("scale", [1, 257], ids=["0 to 255", "0 to 65535"])
def test_a_palette_of_either_range_is_decoded(depth: int, scale: int) -> None:
    """Some writers fill the colour map with 8 bits; Pillow shows a black page then."""
    colors = np.random.default_rng(2).integers(0, 256, (3, 2**depth))
    entries = 256, 257, 258, 259, 262, 273, 278, 279, 320
    map_at = 10 + 12 * len(entries) + 4
    values = 16, 4, depth, 1, 3, map_at + 6 * 2**depth, 4, 8 * depth, map_at
    packed = b"".join(
        struct.pack("<HHII", tag, 3, 3 * 2**depth if tag == 320 else 1, value)
        for tag, value in zip(entries, values, strict=True)
    )
    pixels = np.random.default_rng(3).integers(0, 256, 8 * depth, dtype=np.uint8)
    content = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)
    content += (colors * scale).astype("<u2").tobytes() + pixels.tobytes()
    bits = np.unpackbits(pixels).reshape(4, 16, depth)
    indices = (bits * (1 << np.arange(depth)[::-1])).sum(axis=-1)
    assert np.array_equal(np.asarray(decode_image(content, (400, 400)).image), colors.T[indices])
