"""One picture in every format and layout whose decoder takes memory of its own.

Pillow, pillow-heif, tifffile and imagecodecs write most of them; the others are put together by hand.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache, partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from tests.inference.decoding.formats.heif_files import put_together, taken_apart
from tests.inference.decoding.image_samples import encode, encode_heif, exif_orientation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.inference.decoding.image_samples import Pixels

_TURNED = exif_orientation(6)
_FAST_HEIC = {"quality": 40, "enc_params": {"preset": "ultrafast"}}


class Layout(NamedTuple):
    """A format's name in results, and the function that writes a picture in this layout."""

    format: str
    write: Callable[[Image.Image], bytes]


@cache
def photo(width: int, height: int, grain: float = 4) -> Image.Image:
    """Return an RGB picture of soft colours; ``grain`` is the spread of the noise on it, in levels of 0..255."""
    random = np.random.default_rng(3)
    coarse = random.integers(40, 215, (-(-height // 80) + 1, -(-width // 80) + 1, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
    noise = np.tile(random.normal(0, grain, (512, 512)).astype(np.int16), (-(-height // 512), -(-width // 512)))
    pixels = np.asarray(picture)
    return Image.fromarray(np.clip(pixels + noise[:height, :width, None], 0, 255).astype(np.uint8))


def _transparent(picture: Image.Image) -> Image.Image:
    clear = picture.convert("RGBA")
    clear.putalpha(picture.getchannel("G"))
    return clear


def _deep(picture: Image.Image) -> NDArray[np.uint16]:
    """Return 16-bit samples (height, width, 3)."""
    return np.asarray(picture).astype(np.uint16) * 257


def _deep_grey(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(_deep(picture)[..., 1]))


def _palette(picture: Image.Image) -> Image.Image:
    return picture.convert("P")


def one_scan_per_component(picture: Image.Image) -> bytes:
    """Write a baseline 4:2:0 JPEG with a scan for each component, as some cameras do; no installed writer can.

    A scan of one component has the same data as a grey JPEG of its size.
    """
    luma, *chroma = picture.convert("YCbCr").split()
    planes = [luma, *(plane.resize((-(-plane.width // 2), -(-plane.height // 2))) for plane in chroma)]
    files = [encode(plane, "JPEG", quality=85) for plane in planes]
    tables, frame = _segments(files[0], {0xDB, 0xC4}), b""
    for number, factors in enumerate((0x22, 0x11, 0x11), start=1):
        frame += bytes([number, factors, 0])
    header = b"\xff\xc0" + struct.pack(">HBHHB", 8 + len(frame), 8, picture.height, picture.width, 3) + frame
    scans = b""
    for number, file in enumerate(files, start=1):
        (length,) = struct.unpack_from(">H", file, file.index(b"\xff\xda") + 2)
        data = file[file.index(b"\xff\xda") + 2 + length : -2]
        scans += b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, number, 0, 0, 63, 0) + data
    return b"\xff\xd8" + tables + header + scans + b"\xff\xd9"


def _segments(jpeg: bytes, codes: set[int]) -> bytes:
    """Return the segments with these codes before the first scan."""
    found, at = b"", 2
    while jpeg[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", jpeg, at + 2)
        if jpeg[at + 1] in codes:
            found += jpeg[at : at + 2 + length]
        at += 2 + length
    return found


def with_lost_sectors(content: bytes) -> bytes:
    """Overwrite 4 KiB in the middle with noise."""
    noise = np.random.default_rng(7).bytes(4096)
    at = len(content) // 2
    return content[:at] + noise + content[at + len(noise) :]


# Start and step of each Adam7 pass, down and across: PNG Specification, section 8.2.
_ADAM7 = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))


def interlaced_png(picture: Image.Image) -> bytes:
    """Write an interlaced PNG of RGB or RGBA; Pillow only reads them."""
    pixels, rows = np.asarray(picture), b""
    for top, down, left, across in _ADAM7:
        part = pixels[top::down, left::across]
        flat = part.reshape(part.shape[0], -1)
        rows += np.pad(flat, ((0, 0), (1, 0))).tobytes()
    colours = 6 if picture.mode == "RGBA" else 2
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", *picture.size, 8, colours, 0, 0, 1)),
        (b"IDAT", zlib.compress(rows, 1)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def run_length_bmp(picture: Image.Image) -> bytes:
    """Write a grey BMP of long runs; Pillow only reads them."""
    width, height = picture.size
    row = b"".join(bytes([min(255, width - at), at % 251]) for at in range(0, width, 255)) + b"\0\0"
    runs = row * height + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    colours = b"".join(bytes([level, level, level, 0]) for level in range(256))
    return b"BM" + struct.pack("<IHHI", 1078 + len(runs), 0, 0, 1078) + header + colours + runs


def tiff(samples: Pixels | NDArray[np.uint16], **options: Any) -> bytes:
    """Write a TIFF with tifffile."""
    stream = BytesIO()
    tifffile.imwrite(stream, samples, metadata=None, **({"photometric": "rgb"} | options))
    return stream.getvalue()


def _tiff(picture: Image.Image, **options: Any) -> bytes:
    return tiff(np.asarray(picture), **options)


def _planes(picture: Image.Image) -> Pixels:
    return np.ascontiguousarray(np.moveaxis(np.asarray(picture), -1, 0))


def _in_tiles(kind: str, picture: Image.Image) -> bytes:
    """Write a grid of equal tiles of 512 x 512, as phones do."""
    side = 512
    columns, rows = -(-picture.width // side), -(-picture.height // side)
    tile = taken_apart(kind, picture.crop((0, 0, side, side)))
    return put_together(kind, [tile] * (columns * rows), (side, side), grid=(columns, rows, *picture.size))


def _deep_heic(bits: int, picture: Image.Image) -> bytes:
    import pillow_heif

    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    heic = pillow_heif.from_bytes("RGB;16", picture.size, _deep(picture).tobytes())
    stream = BytesIO()
    heic.save(stream, **_FAST_HEIC)
    return stream.getvalue()


def _avif(picture: Image.Image, **options: Any) -> bytes:
    return encode(picture, "AVIF", **({"speed": 10, "quality": 50} | options))


def _deep_avif(bits: int, pixel_format: str, picture: Image.Image) -> bytes:
    samples = np.asarray(picture).astype(np.uint16) << (bits - 8)
    return bytes(imagecodecs.avif_encode(samples, level=50, speed=10, bitspersample=bits, pixelformat=pixel_format))


def _two_frames(kind: str, picture: Image.Image, **options: Any) -> bytes:
    return encode(
        picture, kind, save_all=True, append_images=[picture.transpose(Image.Transpose.ROTATE_180)], **options
    )


def _jpeg2000(picture: Image.Image, **options: Any) -> bytes:
    return encode(
        picture, "JPEG2000", **({"irreversible": True, "quality_mode": "rates", "quality_layers": [40]} | options)
    )


def _icon(picture: Image.Image) -> bytes:
    """Write the largest icon that is accepted, of the picture's middle."""
    return encode(picture.resize((1024, 1024)).convert("RGBA"), "ICO", sizes=[(256, 256)])


def _pillow(kind: str, **options: Any) -> Callable[[Image.Image], bytes]:
    return lambda picture: encode(picture, kind, **options)


def _of(convert: Callable[[Image.Image], Image.Image], kind: str, **options: Any) -> Callable[[Image.Image], bytes]:
    return lambda picture: encode(convert(picture), kind, **options)


def _grey(picture: Image.Image) -> Image.Image:
    return picture.convert("L")


def _ink(picture: Image.Image) -> Image.Image:
    return picture.convert("CMYK")


def _strip(codec: str) -> Callable[[Image.Image], bytes]:
    return lambda picture: _tiff(picture, compression=codec, rowsperstrip=picture.height)


LAYOUTS: dict[str, Layout] = {
    "JPEG baseline 4:2:0": Layout("jpeg", _pillow("JPEG")),
    "JPEG baseline 4:4:4": Layout("jpeg", _pillow("JPEG", subsampling=0)),
    "JPEG baseline, turned": Layout("jpeg", _pillow("JPEG", exif=_TURNED)),
    "JPEG baseline, grey": Layout("jpeg", _of(_grey, "JPEG")),
    "JPEG baseline, CMYK": Layout("jpeg", _of(_ink, "JPEG")),
    "JPEG baseline, one scan per component": Layout("jpeg", one_scan_per_component),
    "JPEG progressive 4:2:0": Layout("jpeg", _pillow("JPEG", progressive=True)),
    "JPEG progressive 4:4:4": Layout("jpeg", _pillow("JPEG", progressive=True, subsampling=0)),
    "JPEG progressive, grey": Layout("jpeg", _of(_grey, "JPEG", progressive=True)),
    "JPEG progressive, CMYK": Layout("jpeg", _of(_ink, "JPEG", progressive=True)),
    "JPEG, MPO of two pictures": Layout("jpeg", partial(_two_frames, "MPO")),
    "JPEG baseline, damaged": Layout("jpeg", lambda p: with_lost_sectors(encode(p, "JPEG"))),
    "JPEG progressive, damaged": Layout("jpeg", lambda p: with_lost_sectors(encode(p, "JPEG", progressive=True))),
    "PNG RGB": Layout("png", _pillow("PNG", compress_level=1)),
    "PNG RGBA": Layout("png", _of(_transparent, "PNG", compress_level=1)),
    "PNG grey": Layout("png", _of(_grey, "PNG", compress_level=1)),
    "PNG grey with alpha": Layout("png", lambda p: encode(_transparent(p).convert("LA"), "PNG", compress_level=1)),
    "PNG 1 bit": Layout("png", lambda p: encode(p.convert("1"), "PNG", compress_level=1)),
    "PNG palette": Layout("png", _of(_palette, "PNG", compress_level=1)),
    "PNG palette with transparency": Layout("png", _of(_palette, "PNG", compress_level=1, transparency=3)),
    "PNG 16-bit grey": Layout("png", _of(_deep_grey, "PNG", compress_level=1)),
    "PNG 16-bit RGB": Layout("png", lambda p: bytes(imagecodecs.png_encode(_deep(p), level=1))),
    "PNG interlaced RGB": Layout("png", interlaced_png),
    "PNG interlaced RGBA": Layout("png", lambda p: interlaced_png(_transparent(p))),
    "PNG animated": Layout("png", partial(_two_frames, "PNG", compress_level=1)),
    "WebP lossy": Layout("webp", _pillow("WEBP", method=0)),
    "WebP lossy with alpha": Layout("webp", _of(_transparent, "WEBP", method=0)),
    "WebP lossless": Layout("webp", _pillow("WEBP", method=0, lossless=True, quality=0)),
    "WebP lossless with alpha": Layout("webp", _of(_transparent, "WEBP", method=0, lossless=True, quality=0)),
    "WebP animated": Layout("webp", partial(_two_frames, "WEBP", method=0)),
    "GIF": Layout("gif", _of(_palette, "GIF")),
    "GIF with transparency": Layout("gif", _of(_palette, "GIF", transparency=3)),
    "GIF animated": Layout("gif", lambda p: _two_frames("GIF", _palette(p))),
    "BMP 24 bits": Layout("bmp", _pillow("BMP")),
    "BMP 32 bits": Layout("bmp", _of(_transparent, "BMP")),
    "BMP 8 bits": Layout("bmp", _of(_palette, "BMP")),
    "BMP 1 bit": Layout("bmp", lambda p: encode(p.convert("1"), "BMP")),
    "BMP run lengths": Layout("bmp", run_length_bmp),
    "TIFF strips, plain": Layout("tiff", _pillow("TIFF")),
    "TIFF strips, plain, turned": Layout("tiff", _pillow("TIFF", exif=_TURNED)),
    "TIFF strips, LZW": Layout("tiff", lambda p: _tiff(p, compression="lzw", rowsperstrip=64)),
    "TIFF strips, LZW, turned": Layout("tiff", _pillow("TIFF", compression="tiff_lzw", exif=_TURNED)),
    "TIFF strips, 16-bit RGB, Deflate": Layout(
        "tiff", lambda p: tiff(_deep(p), compression="adobe_deflate", rowsperstrip=64)
    ),
    "TIFF strips, 16-bit grey, plain": Layout("tiff", _of(_deep_grey, "TIFF")),
    "TIFF strips, palette, PackBits": Layout("tiff", _of(_palette, "TIFF", compression="packbits")),
    "TIFF strips, CMYK, plain": Layout("tiff", _of(_ink, "TIFF")),
    "TIFF strips, RGBA, Deflate": Layout("tiff", _of(_transparent, "TIFF", compression="tiff_adobe_deflate")),
    "TIFF strips, JPEG": Layout("tiff", _pillow("TIFF", compression="jpeg")),
    "TIFF strips, fax": Layout("tiff", lambda p: encode(p.convert("1"), "TIFF", compression="group4")),
    "TIFF one strip, LZW": Layout("tiff", _strip("lzw")),
    "TIFF one strip, Deflate": Layout("tiff", _strip("adobe_deflate")),
    "TIFF one strip, PackBits": Layout("tiff", _strip("packbits")),
    "TIFF one strip, LZMA": Layout(
        "tiff", lambda p: _tiff(p, compression="lzma", compressionargs={"level": 3}, rowsperstrip=p.height)
    ),
    "TIFF one strip, Zstandard": Layout("tiff", _strip("zstd")),
    "TIFF one strip, JPEG": Layout("tiff", _strip("jpeg")),
    "TIFF one strip, 16-bit RGB, Deflate": Layout(
        "tiff", lambda p: tiff(_deep(p), compression="adobe_deflate", rowsperstrip=p.height)
    ),
    "TIFF tiles, plain": Layout("tiff", lambda p: _tiff(p, tile=(256, 256))),
    "TIFF tiles, Deflate": Layout("tiff", lambda p: _tiff(p, tile=(256, 256), compression="adobe_deflate")),
    "TIFF one tile, Deflate": Layout("tiff", lambda p: _tiff(p, tile=_around(p), compression="adobe_deflate")),
    "TIFF one tile, JPEG": Layout("tiff", lambda p: _tiff(p, tile=_around(p), compression="jpeg")),
    "TIFF one tile, plain": Layout("tiff", lambda p: _tiff(p, tile=_around(p))),
    "TIFF planes, plain": Layout("tiff", lambda p: tiff(_planes(p), planarconfig="separate", rowsperstrip=64)),
    "TIFF planes, one strip each, plain": Layout("tiff", lambda p: tiff(_planes(p), planarconfig="separate")),
    "TIFF planes, one strip each, Deflate": Layout(
        "tiff",
        lambda p: tiff(_planes(p), planarconfig="separate", compression="adobe_deflate", rowsperstrip=p.height),
    ),
    "JPEG 2000 RGB": Layout("jpeg2000", _jpeg2000),
    "JPEG 2000 RGB, reversible": Layout("jpeg2000", _pillow("JPEG2000")),
    "JPEG 2000 RGBA": Layout("jpeg2000", lambda p: _jpeg2000(_transparent(p))),
    "JPEG 2000 grey": Layout("jpeg2000", lambda p: _jpeg2000(_grey(p))),
    "JPEG 2000 16-bit grey": Layout("jpeg2000", lambda p: _jpeg2000(_deep_grey(p))),
    "JPEG 2000 RGB, tiles": Layout("jpeg2000", partial(_jpeg2000, tile_size=(512, 512))),
    "HEIC 8 bits": Layout("heif", lambda p: encode_heif(p, **_FAST_HEIC)),
    "HEIC 8 bits with alpha": Layout("heif", lambda p: encode_heif(_transparent(p), **_FAST_HEIC)),
    "HEIC 8 bits, grey": Layout("heif", lambda p: encode_heif(_grey(p), **_FAST_HEIC)),
    "HEIC 8 bits 4:4:4": Layout("heif", lambda p: encode_heif(p, chroma=444, **_FAST_HEIC)),
    "HEIC 8 bits, tiles": Layout("heif", partial(_in_tiles, "HEIC")),
    "HEIC 10 bits": Layout("heif", partial(_deep_heic, 10)),
    "HEIC 12 bits": Layout("heif", partial(_deep_heic, 12)),
    "AVIF 8 bits 4:2:0": Layout("avif", _avif),
    "AVIF 8 bits 4:4:4": Layout("avif", partial(_avif, subsampling="4:4:4")),
    "AVIF 8 bits with alpha": Layout("avif", lambda p: _avif(_transparent(p))),
    "AVIF 8 bits, grey": Layout("avif", lambda p: _avif(_grey(p))),
    "AVIF 8 bits, tiles": Layout("avif", partial(_in_tiles, "AVIF")),
    "AVIF 10 bits 4:2:0": Layout("avif", partial(_deep_avif, 10, "yuv420")),
    "AVIF 12 bits 4:4:4": Layout("avif", partial(_deep_avif, 12, "yuv444")),
    "AVIF sequence": Layout("avif", partial(_two_frames, "AVIF", speed=10)),
    "ICO": Layout("ico", _icon),
}


def _around(picture: Image.Image) -> tuple[int, int]:
    """Return the height and width of one tile that is a little larger than the picture; both are multiples of 16."""
    return picture.height // 16 * 16 + 64, picture.width // 16 * 16 + 64
