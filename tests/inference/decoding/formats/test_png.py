"""PNG: chunks without pixels are never inflated, and a file is whole when its pixels are."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from inference.decoding.header import read_header
from inference.errors import PermanentError, Reason
from inference.limits import Limits
from tests.inference.decoding.image_samples import decode_image, encode, exif_orientation, png, png_rows, scene

FLAT = zlib.compress(bytes(50_000_000), 9)
HEAD = struct.pack(">II", 4, 4) + b"\x08\0\0\0\0"
PIXELS = png_rows([bytes([40, 80, 120, 160])] * 4)
XMP = b"XML:com.adobe.xmp"
METADATA = {
    "profile": (b"iCCP", b"x\0\0" + FLAT),
    "packed text": (b"zTXt", b"x\0\0" + FLAT),
    "packed international text": (b"iTXt", b"x\0\1\0\0\0" + FLAT),
    "packed XMP": (b"iTXt", XMP + b"\0\1\0\0\0" + FLAT),
    "packed EXIF": (b"zTXt", b"Raw profile type exif\0\0" + FLAT),
    "packed text of an unknown method": (b"zTXt", b"x\0\7" + FLAT),
    "profile without a name": (b"iCCP", b""),
    "physical size that is too short": (b"pHYs", b"\1"),
    "gamma that is too short": (b"gAMA", b""),
}


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("times", [1, 63])
@pytest.mark.parametrize("is_behind", [False, True], ids=["before the pixels", "behind the pixels"])
def test_metadata_is_not_inflated_and_never_costs_the_photo(name: str, times: int, is_behind: bool) -> None:  # noqa: FBT001 - a case
    """Pillow kept 64 MiB of texts and refused one of more than 1 MiB, which Photoshop writes."""
    metadata = [METADATA[name]] * times
    content = png(HEAD, *([PIXELS, *metadata] if is_behind else [*metadata, PIXELS]))
    tracemalloc.start()
    decoded = decode_image(content, (4, 4), mode="L")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.asarray(decoded.image).tolist() == [[40, 80, 120, 160]] * 4
    assert peak < 10_000_000


def test_a_wrong_checksum_of_metadata_does_not_cost_the_photo() -> None:
    content = png(HEAD, (b"tEXt", b"a\0what a camera wrote"), PIXELS).replace(b"a\0what", b"a\0that")
    assert decode_image(content, (4, 4)).image


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_the_orientation_is_read_from_a_text_of_every_kind(kind: bytes) -> None:
    """ImageMagick writes EXIF blocks as text, in hexadecimal."""
    text = b"\nexif\n  34\n" + exif_orientation(6).hex().encode() + b"\n"
    between = {b"tEXt": b"", b"zTXt": b"\0", b"iTXt": b"\1\0\0\0"}[kind]
    packed = text if kind == b"tEXt" else zlib.compress(text)
    wide = struct.pack(">II", 4, 2) + b"\x08\0\0\0\0"
    content = png(wide, (kind, b"Raw profile type exif\0" + between + packed), png_rows([bytes(4)] * 2))
    info = read_header(content, Limits()).info
    assert (info.width, info.height) == (2, 4)


KINDS = {
    "colour": encode(Image.fromarray(scene()), "PNG"),
    "palette": encode(Image.fromarray(scene()).quantize(16), "PNG"),
    "animation": encode(
        Image.fromarray(scene()), "PNG", save_all=True, append_images=[Image.fromarray(scene()).rotate(180)]
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_cut_file_with_all_pixels_is_whole(name: str) -> None:
    """The end chunk, checksums and later frames may miss; a pixel of the picture may not."""
    content = KINDS[name]
    whole = np.asarray(decode_image(content, (40, 40)).image)
    at = content.index(b"IDAT")
    (length,) = struct.unpack_from(">I", content, at - 4)
    end = at + 4 + length
    for cut in sorted({*range(end - 4, min(end + 20, len(content))), len(content) - 1, (end + len(content)) // 2}):
        assert np.array_equal(np.asarray(decode_image(content[:cut], (40, 40)).image), whole), cut - end
    for cut in random.Random(1).sample(range(at + 6, end - 40), 10):
        with pytest.raises(PermanentError) as refusal:
            decode_image(content[:cut], (40, 40))
        assert refusal.value.reason is Reason.TRUNCATED


def test_a_file_that_is_cut_before_its_pixels_is_truncated() -> None:
    for content in (png(HEAD), png(HEAD, (b"tEXt", bytes(300)))[:-200]):
        with pytest.raises(PermanentError) as refusal:
            read_header(content, Limits())
        assert refusal.value.reason is Reason.TRUNCATED


def test_a_png_in_the_variant_of_apple_is_named() -> None:
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 4, b"CgBI", 0x50002006, 0) + bytes(30)
    with pytest.raises(PermanentError, match="CgBI") as refusal:
        read_header(content, Limits())
    assert refusal.value.reason is Reason.UNSUPPORTED_FORMAT


def test_a_palette_picture_without_a_palette_is_corrupt() -> None:
    content = png(struct.pack(">II", 4, 4) + b"\x08\3\0\0\0", PIXELS)
    with pytest.raises(PermanentError) as caught:
        decode_image(content, (4, 4))
    assert caught.value.reason is Reason.CORRUPT
