"""Renders the sample photos of the demo: common files, difficult ones, and three broken ones."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw

from inference.errors import Reason
from tools.sample_photos.photographs import SAMPLES, camera_jpeg
from tools.sample_photos.render import render

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Sample:
    """One file to upload, with its expected result.

    Attributes:
        name: Blob name with folders; some contain spaces, ``#``, ``%``, ``+`` and non-ASCII letters.
        content: The file.
        status: Expected status.
        label: Expected label; ``None`` for a rejected file.
        reason: Expected reason; ``None`` for a classified file.
    """

    name: str
    content: bytes
    status: Literal["classified", "rejected"]
    label: str | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class _Photo:
    """A sample that can be classified: what to render, and how to encode it."""

    name: str
    label: str
    width: int
    height: int
    scene: int  # number within the series; chosen so that the model classifies it correctly
    encode: Callable[[Image.Image], bytes]

    def sample(self) -> Sample:
        picture = render(self.label, (SAMPLES, self.scene), self.width, self.height)
        return Sample(self.name, self.encode(picture), "classified", self.label, None)


def render_samples() -> list[Sample]:
    """Render all samples, sorted by name; the same files on every call, in about three seconds on two cores."""
    with ThreadPoolExecutor(2) as pool:
        classified = list(pool.map(_Photo.sample, _PHOTOS))
    complete = next(sample for sample in classified if sample.name == _TRUNCATED_SOURCE)
    rejected = [
        _rejected(
            "camera-2/interrupted copy.jpg", complete.content[: len(complete.content) * 3 // 5], Reason.TRUNCATED
        ),
        _rejected(
            "camera-2/reading list.jpg", b"Buy batteries for camera 2.\nAsk for a larger card.\n", Reason.NOT_AN_IMAGE
        ),
        _rejected("camera-2/card full.jpg", b"", Reason.EMPTY),
    ]
    return sorted([*classified, *rejected], key=lambda sample: sample.name)


def _rejected(name: str, content: bytes, reason: Reason) -> Sample:
    return Sample(name, content, "rejected", None, reason)


def _camera_jpeg(orientation: int) -> Callable[[Image.Image], bytes]:
    return lambda picture: camera_jpeg(picture, orientation=orientation)


def _encoder(image_format: str, **options: object) -> Callable[[Image.Image], bytes]:
    def encode(picture: Image.Image) -> bytes:
        file = io.BytesIO()
        picture.save(file, image_format, **options)
        return file.getvalue()

    return encode


def _png_with_alpha(picture: Image.Image) -> bytes:
    """Encode with rounded, transparent corners."""
    alpha = Image.new("L", picture.size, 0)
    corner = min(picture.size) // 8
    ImageDraw.Draw(alpha).rounded_rectangle((0, 0, picture.width - 1, picture.height - 1), corner, fill=255)
    rounded = picture.copy()
    rounded.putalpha(alpha)
    return _encoder("PNG", compress_level=1)(rounded)


def _cmyk_jpeg(picture: Image.Image) -> bytes:
    """Encode as CMYK with grey component replacement, as for print."""
    inks = 255 - np.asarray(picture)
    black = inks.min(axis=2, keepdims=True) // 2
    rest = 255 - black.astype(np.int32)
    separated = np.concatenate([((inks.astype(np.int32) - black) * 255 // rest), black], axis=2).astype(np.uint8)
    return _encoder("JPEG", quality=90)(Image.frombytes("CMYK", picture.size, separated.tobytes()))


def _heic(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=70, enc_params={"preset": "ultrafast"})
    return file.getvalue()


_TRUNCATED_SOURCE = "camera-1/IMG_0002.jpg"
_PHOTOS = (
    _Photo("camera-1/IMG_0001.jpg", "ball", 1024, 768, 0, _camera_jpeg(1)),
    _Photo(_TRUNCATED_SOURCE, "cone", 1024, 768, 1, _camera_jpeg(2)),
    _Photo("camera-1/IMG_0003.jpg", "cross", 1024, 768, 2, _camera_jpeg(3)),
    _Photo("camera-1/IMG_0004.jpg", "cube", 1024, 768, 3, _camera_jpeg(4)),
    _Photo("camera-1/IMG_0005.jpg", "cylinder", 768, 1024, 34, _camera_jpeg(5)),
    _Photo("camera-1/IMG_0006.jpg", "heart", 768, 1024, 5, _camera_jpeg(6)),
    _Photo("camera-1/IMG_0007.jpg", "pyramid", 768, 1024, 6, _camera_jpeg(7)),
    _Photo("camera-1/IMG_0008.jpg", "ring", 768, 1024, 7, _camera_jpeg(8)),
    _Photo("camera-1/12 megapixels/IMG_0009.jpg", "spring", 3000, 4000, 8, _camera_jpeg(6)),
    _Photo("camera-2/2026-05-01/star #1.jpg", "star", 1280, 720, 36, _camera_jpeg(1)),
    _Photo("camera-2/2026-05-01/Würfel & Söhne.jpg", "cube", 960, 640, 35, _camera_jpeg(1)),
    _Photo("camera-2/星/心.png", "heart", 640, 480, 11, _encoder("PNG", compress_level=1)),
    _Photo("shop/100% cotton + wool.webp", "spring", 800, 800, 12, _encoder("WEBP", quality=80, method=2)),
    _Photo("shop/cut out.png", "ring", 640, 640, 13, _png_with_alpha),
    _Photo("shop/thumbnail.jpg", "pyramid", 192, 144, 14, _camera_jpeg(1)),
    _Photo("print/four colours.jpg", "star", 800, 600, 15, _cmyk_jpeg),
    _Photo("phone/IMG_4711.HEIC", "cylinder", 768, 1024, 16, _heic),
    _Photo("phone/progressive.jpeg", "cross", 1024, 768, 17, _encoder("JPEG", quality=85, progressive=True)),
    _Photo("phone/grey.jpg", "ball", 800, 600, 18, lambda picture: _encoder("JPEG", quality=85)(picture.convert("L"))),
)
