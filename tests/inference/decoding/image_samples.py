"""Images encoded in every way that the installed writers support, with their expected pixels.

The expected pixels are computed with numpy from the source arrays, never with the code under test.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageChops

from inference.decoding.decode import DecodedImage, decode
from inference.decoding.header import read_header
from inference.decoding.plan import plan_decode
from inference.limits import Limits

Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 96, 64


def scene(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """A smooth RGB picture (height, width, 3) with no symmetry: each corner has its own colour."""
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    red = 20 + 200 * x * np.ones_like(y)
    green = 230 - 180 * y * np.ones_like(x)
    blue = 40 + 150 * (1 - x) * y
    return np.stack([red, green, blue], axis=-1).round().astype(np.uint8)


def grey_scene() -> Pixels:
    """A smooth grey picture (height, width)."""
    return scene()[..., 0]


def alpha_ramp() -> Pixels:
    """Opacity 0..255 from top to bottom (height, width)."""
    return np.linspace(0, 255, HEIGHT).round().astype(np.uint8)[:, None].repeat(WIDTH, axis=1)


def over(pixels: Pixels, alpha: Pixels, background: tuple[int, int, int] = (255, 255, 255)) -> Pixels:
    """Composite by the definition: a * colour + (1 - a) * background."""
    opacity = alpha[..., None] / 255.0
    return (pixels * opacity + np.array(background) * (1 - opacity)).round().astype(np.uint8)


def as_rgb(grey: Pixels) -> Pixels:
    return grey[..., None].repeat(3, axis=-1)


def decode_image(
    content: bytes, needed: tuple[int, int] | None = None, limits: Limits | None = None, **options: Any
) -> DecodedImage:
    """Read the header, plan and decode, for an image that is needed whole or at this (width, height)."""
    limits = limits or Limits()
    header = read_header(content, limits)
    plan = plan_decode(header, needed or (header.info.width, header.info.height))
    return decode(content, plan._replace(keep_damaged=limits.accept_damaged), **options)


def memory_bytes(content: bytes, needed: tuple[int, int] | None = None) -> int:
    """Return the memory that decoding would reserve."""
    header = read_header(content, Limits())
    return plan_decode(header, needed or (header.info.width, header.info.height)).memory_bytes


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.copy().save(stream, kind, **options)  # a copy: a saved image remembers its last encoder
    return stream.getvalue()


def encode_heif(image: Image.Image, **options: Any) -> bytes:
    stream = BytesIO()
    pillow_heif.from_pillow(image).save(stream, **({"quality": 95} | options))
    return stream.getvalue()


def with_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Put marker segments right behind a JPEG's first two bytes."""
    extra = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return jpeg[:2] + extra + jpeg[2:]


def png(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Write a PNG by hand: ``header`` is the IHDR's body."""
    whole = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        whole += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return whole


def png_rows(rows: list[bytes]) -> tuple[bytes, bytes]:
    """An IDAT chunk of unfiltered rows."""
    return b"IDAT", zlib.compress(b"".join(b"\x00" + row for row in rows))


def cmyk(pixels: Pixels) -> Image.Image:
    """An ink picture whose naive conversion gives ``pixels`` back."""
    inks = [ImageChops.invert(band) for band in Image.fromarray(pixels).split()]
    return Image.merge("CMYK", [*inks, Image.new("L", (WIDTH, HEIGHT))])


def exif_orientation(value: object, byte_order: str = ">") -> bytes:
    """A minimal EXIF block that states only the orientation."""
    kind, packed = (3, struct.pack(byte_order + "HH", value, 0)) if isinstance(value, int) else (2, b"six\0")
    start = b"MM\x00*" if byte_order == ">" else b"II*\x00"
    body = struct.pack(byte_order + "IHHHI", 8, 1, 0x0112, kind, 1 if kind == 3 else 4) + packed + bytes(4)
    return b"Exif\0\0" + start + body


def without_adobe(jpeg: bytes) -> bytes:
    """Remove the Adobe segment, which states how the inks are coded."""
    at = jpeg.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", jpeg, at + 2)
    return jpeg[:at] + jpeg[at + 2 + length :]


def ycck(pixels: Pixels) -> bytes:
    """A JPEG as Photoshop writes inks: all but black as luma and chroma, all inverted (Adobe TN 5116)."""
    inks = 255.0 - pixels
    luma = inks @ np.array([0.299, 0.587, 0.114])
    coded = [luma, 128 + 0.564 * (inks[..., 2] - luma), 128 + 0.713 * (inks[..., 0] - luma), np.full(luma.shape, 255.0)]
    # Pillow inverts four channels as it writes them, and knows no transform: its flag is set afterwards.
    bands = [Image.fromarray((255 - np.clip(np.rint(band), 0, 255)).astype(np.uint8)) for band in coded]
    jpeg = encode(Image.merge("CMYK", bands), "JPEG", quality=95, subsampling=0)
    at = jpeg.index(b"Adobe") + 11
    return jpeg[:at] + b"\2" + jpeg[at + 1 :]
