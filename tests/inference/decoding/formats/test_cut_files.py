"""A cut file is whole where every pixel of its picture is there, and truncated where one is missing.

How long a file must be is computed here, by other code than the product's: from the lengths in the file, or by a
decoder of its own for the compressed data.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from inference.errors import PermanentError, Reason
from tests.inference.decoding.formats.heif_files import KINDS, put_together, taken_apart
from tests.inference.decoding.image_samples import alpha_ramp, decode_image, encode, scene

if TYPE_CHECKING:
    from collections.abc import Callable

HEIGHT, WIDTH = 48, 65
COLOURS = scene(WIDTH, HEIGHT)
SCENE = Image.fromarray(COLOURS)
NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))
PALETTE = SCENE.quantize(64)
ALL_COLOURS = Image.frombytes(
    "P", (WIDTH, HEIGHT), np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8).tobytes()
)
ALL_COLOURS.putpalette(bytes(range(256)) * 3)
LAST_COLOUR = ALL_COLOURS.copy()
LAST_COLOUR.putpixel((WIDTH - 1, HEIGHT - 1), 255)
TRANSPARENT = SCENE.convert("RGBA")
TRANSPARENT.putalpha(Image.fromarray(alpha_ramp()[:HEIGHT, :WIDTH]))


def shortest(content: bytes, is_whole: Callable[[bytes], bool], start: int) -> int:
    """Return the shortest length at which the file is whole, which it stays when it is longer."""
    end = len(content)
    while start < end:
        middle = (start + end) // 2
        if is_whole(content[:middle]):
            end = middle
        else:
            start = middle + 1
    return end


def end_of_gif(content: bytes) -> int:
    start = content.index(b",", 13 + 3 * (2 << (content[10] & 7))) + 10
    return shortest(content, lambda cut: gif_pixels(cut, start) >= WIDTH * HEIGHT, start + 2)


def gif_pixels(content: bytes, at: int) -> int:
    """Count the pixels that LZW codes give (GIF89a, appendix F)."""
    bits, at, data = content[at], at + 1, b""
    while at < len(content) and content[at]:
        data += content[at + 1 : at + 1 + content[at]]
        at += 1 + content[at]
    stream, left = int.from_bytes(data, "little"), 8 * len(data)
    clear, end = 1 << bits, (1 << bits) + 1
    lengths: dict[int, int] = {}
    width, pixels, last = bits + 1, 0, 0
    while left >= width:
        code, stream, left = stream & ((1 << width) - 1), stream >> width, left - width
        if code == clear:
            lengths, width, last = dict.fromkeys(range(clear), 1), bits + 1, 0
            continue
        if code == end:
            break
        if last and len(lengths) + 2 < 4096:
            lengths[len(lengths) + 2] = last + 1
        last = lengths[code]
        pixels += last
        if len(lengths) + 2 + 1 > 1 << width and width < 12:
            width += 1
    return pixels


def end_of_png(content: bytes) -> int:
    header = content.index(b"IHDR") + 4
    width, height, bits, kind = struct.unpack_from(">IIBB", content, header)
    row = 1 + (width * bits * {0: 1, 2: 3, 3: 1, 6: 4}[kind] + 7) // 8
    data = content.index(b"IDAT") + 4
    (length,) = struct.unpack_from(">I", content, data - 8)

    def is_whole(cut: bytes) -> bool:
        return len(zlib.decompressobj().decompress(cut[data : data + length])) >= int(height * row)

    return shortest(content, is_whole, data)


def end_of_webp(content: bytes) -> int:
    found = min(at for kind in (b"VP8 ", b"VP8L") if (at := content.find(kind)) > 0)
    (length,) = struct.unpack_from("<I", content, found + 4)
    return int(found + 8 + length)


def end_of_bmp(content: bytes) -> int:
    (bits,) = struct.unpack_from("<H", content, 28)
    return len(content) - -((WIDTH * int(bits) + 7) // 8) % 4


def end_of_sequence(content: bytes) -> int:
    (size,) = struct.unpack_from(">I", content, content.index(b"stsz") + 16)
    (start,) = struct.unpack_from(">I", content, content.index(b"stco") + 12)
    return int(start + size)


def end_of_first_item(content: bytes) -> int:
    start, size = struct.unpack_from(">II", content, content.index(b"iloc") + 4 + 8 + 8)
    return int(start + size)


def end_of_tiff(decode: Callable[[bytes], bytes | bytearray]) -> Callable[[bytes], int]:
    """Return the function for files whose last strip is their end, and the only one."""

    def end(content: bytes) -> int:
        with tifffile.TiffFile(BytesIO(content)) as file:
            start = file.pages.first.dataoffsets[0]

        def is_whole(cut: bytes) -> bool:
            try:
                return bool(len(decode(cut[start:])) >= WIDTH * HEIGHT * 3)
            except (imagecodecs.LzwError, imagecodecs.PackbitsError, lzma.LZMAError):
                return False

        return shortest(content, is_whole, start + 1)

    return end


def inflate(cut: bytes) -> bytes:
    """Inflate a stream; all but its checksum must be there, because libtiff compares that."""
    stream = zlib.decompressobj(wbits=-15)
    pixels = stream.decompress(cut[2:])
    return pixels if stream.eof else b""


def end_of_first_page(content: bytes) -> int:
    with tifffile.TiffFile(BytesIO(content)) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        return max(
            page.offset + 2 + 12 * len(page.tags), *map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))
        )


def strip(compression: str | None, **options: Any) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(
        stream, COLOURS, photometric="rgb", compression=compression, metadata=None, rowsperstrip=HEIGHT, **options
    )
    return stream.getvalue()


def animated(kind: str, image: Image.Image, **options: Any) -> bytes:
    return encode(image, kind, save_all=True, append_images=[image.rotate(180), image], **options)


def with_another_behind(kind: str) -> bytes:
    pictures = [taken_apart(kind, image.resize((64, 64))) for image in (SCENE, NOISE)]
    return put_together(kind, pictures, (64, 64))


FILES: dict[str, tuple[bytes, Callable[[bytes], int]]] = {
    "GIF": (encode(PALETTE, "GIF", interlace=0), end_of_gif),
    "interlaced GIF": (encode(PALETTE, "GIF", interlace=1), end_of_gif),
    "GIF of 256 colours": (encode(ALL_COLOURS, "GIF"), end_of_gif),
    "GIF that ends in its last colour": (encode(LAST_COLOUR, "GIF", interlace=0), end_of_gif),
    "animated GIF": (animated("GIF", PALETTE), end_of_gif),
    "PNG": (encode(SCENE, "PNG"), end_of_png),
    "PNG of noise": (encode(NOISE, "PNG"), end_of_png),
    "PNG without compression": (encode(NOISE, "PNG", compress_level=0), end_of_png),
    "palette PNG": (encode(PALETTE, "PNG"), end_of_png),
    "animated PNG": (animated("PNG", SCENE), end_of_png),
    "WebP": (encode(NOISE, "WEBP", quality=80), end_of_webp),
    "lossless WebP": (encode(NOISE, "WEBP", lossless=True), end_of_webp),
    "WebP with alpha": (encode(TRANSPARENT, "WEBP"), end_of_webp),
    "WebP with a profile and XMP": (encode(NOISE, "WEBP", icc_profile=b"p" * 99, xmp=b"x" * 99), end_of_webp),
    "animated WebP": (animated("WEBP", NOISE), end_of_webp),
    "animated WebP with alpha": (animated("WEBP", TRANSPARENT), end_of_webp),
    "BMP": (encode(SCENE, "BMP"), end_of_bmp),
    "palette BMP": (encode(PALETTE, "BMP"), end_of_bmp),
    "1-bit BMP": (encode(SCENE.convert("1"), "BMP"), end_of_bmp),
    "ICO of a PNG": (encode(SCENE, "ICO", sizes=[SCENE.size]), end_of_png),
    "ICO of two PNGs": (
        encode(SCENE, "ICO", sizes=[(16, 16), SCENE.size]),
        lambda content: (at := content.rindex(b"\x89PNG")) + end_of_png(content[at:]),
    ),
    "ICO of a bitmap and its mask": (encode(SCENE, "ICO", sizes=[SCENE.size], bitmap_format="bmp"), len),
    "plain TIFF": (strip(None), end_of_tiff(bytes)),
    "LZW TIFF": (strip("lzw"), end_of_tiff(imagecodecs.lzw_decode)),
    "Deflate TIFF": (strip("adobe_deflate"), end_of_tiff(inflate)),
    "PackBits TIFF": (strip("packbits"), end_of_tiff(imagecodecs.packbits_decode)),
    "LZMA TIFF": (strip("lzma"), end_of_tiff(lambda cut: lzma.LZMADecompressor().decompress(cut))),
    "JPEG TIFF": (strip("jpeg"), lambda content: len(content) - 2),
    "TIFF of pages": (animated("TIFF", SCENE), end_of_first_page),
    "JPEG 2000": (encode(SCENE, "JPEG2000"), lambda content: len(content) - 2),
    "tiled JPEG 2000": (encode(SCENE, "JPEG2000", tile_size=(32, 32)), lambda content: len(content) - 2),
    "bare JPEG 2000": (encode(NOISE, "JPEG2000", no_jp2=True), lambda content: len(content) - 2),
    "animated AVIF": (animated("AVIF", SCENE), end_of_sequence),
    **{f"{kind} with another picture": (with_another_behind(kind), end_of_first_item) for kind in KINDS},
}


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_whole_where_all_pixels_are_there(name: str) -> None:
    content, find_end = FILES[name]
    end = find_end(content)
    whole = np.asarray(decode_image(content, (400, 400)).image)
    for cut in sorted({*range(end - 8, min(end + 8, len(content) + 1)), (end + len(content)) // 2, len(content) - 1}):
        if cut >= end:
            assert np.array_equal(np.asarray(decode_image(content[:cut], (400, 400)).image), whole), cut - end
            continue
        with pytest.raises(PermanentError) as refusal:
            decode_image(content[:cut], (400, 400))
        assert refusal.value.reason is Reason.TRUNCATED, cut - end


@pytest.mark.parametrize(("pixels", "is_whole"), [(16, True), (15, False), (3, False)])
@pytest.mark.parametrize("bits", [2, 8])
def test_a_gif_that_ends_its_codes_early_is_truncated(bits: int, pixels: int, *, is_whole: bool) -> None:
    """Its blocks and its trailer are there. Pillow reads on behind them, and leaves the rest of the picture black."""
    clear, width = 1 << bits, bits + 1
    value = 255 if bits == 8 else 0
    codes = [code for _ in range(pixels) for code in (clear, value)] + [clear + 1]
    packed = sum(code << width * n for n, code in enumerate(codes)).to_bytes(-(-width * len(codes) // 8), "little")
    table = bytes(range(clear)) * 3
    screen = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80 | bits - 1, 0, 0) + table
    frame = b"," + struct.pack("<HHHHBB", 0, 0, 4, 4, 0, bits) + bytes([len(packed)]) + packed
    content = screen + frame + b"\0!\xfe\5hello\0;" + b"x" * 70_000
    if is_whole:
        assert decode_image(content, (4, 4)).info.width == 4
        return
    with pytest.raises(PermanentError) as refusal:
        decode_image(content, (4, 4))
    assert refusal.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize(("kinds", "is_whole"), [((0, 0), True), ((1, 0), False), ((1, 0, 0), True)])
def test_a_tiff_whose_only_page_is_a_thumbnail_of_a_page_that_was_cut_off_is_truncated(
    kinds: tuple[int, ...], *, is_whole: bool
) -> None:
    content = bytearray(encode(SCENE, "TIFF", save_all=True, append_images=[SCENE] * len(kinds[1:]), tiffinfo={254: 7}))
    mark = struct.pack("<HHII", 254, 4, 1, 7)
    for kind in kinds:
        at = content.index(mark)
        content[at : at + 12] = struct.pack("<HHII", 254, 4, 1, kind)
    cut = bytes(content[: at - 8])
    if is_whole:
        assert decode_image(cut, (400, 400)).info.width == WIDTH
        return
    with pytest.raises(PermanentError, match="thumbnail") as refusal:
        decode_image(cut, (400, 400))
    assert refusal.value.reason is Reason.TRUNCATED


def test_a_tag_that_is_cut_off_costs_no_tiff() -> None:
    """Pillow drops all tags behind one whose value is not in the file; a description comes before the layout."""
    content = strip(None, description="a description " * 9)
    with tifffile.TiffFile(BytesIO(content)) as file:
        tag = file.pages.first.tags[270]
    at = content.index(struct.pack("<HHI", 270, 2, tag.count)) + 8
    moved = content[:at] + struct.pack("<I", len(content)) + content[at + 4 :]
    assert np.array_equal(np.asarray(decode_image(moved + b"a descr", (400, 400)).image), COLOURS)
