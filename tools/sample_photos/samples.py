"""Sample photos for the demo, rendered when asked for: everyday files, awkward ones, and three that are broken."""

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
    """One file to upload, and what must become of it.

    Attributes:
        name: Blob name with folders; with spaces, ``#``, ``%``, ``+`` and letters beyond ASCII, as people's files have.
        content: The file.
        status: ``classified`` or ``rejected``.
        label: What it shows, where it can be classified.
        reason: Why it cannot be, where it is to be rejected.
    """

    name: str
    content: bytes
    status: Literal["classified", "rejected"]
    label: str | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class _Shot:
    """A sample that can be classified: what to render, and how to write the file."""

    name: str
    label: str
    width: int
    height: int
    scene: int  # number of the scene in its series: some with which the model has no trouble
    encode: Callable[[Image.Image], bytes]

    def taken(self) -> Sample:
        picture = render(self.label, (SAMPLES, self.scene), self.width, self.height)
        return Sample(self.name, self.encode(picture), "classified", self.label, None)


def render_samples() -> list[Sample]:
    """Render all samples, in name order. The same files on every call; about three seconds on two cores."""
    with ThreadPoolExecutor(2) as pool:
        classified = list(pool.map(_Shot.taken, _SHOTS))
    whole = next(sample for sample in classified if sample.name == _INTERRUPTED)
    rejected = [
        _rejected("camera-2/interrupted copy.jpg", whole.content[: len(whole.content) * 3 // 5], Reason.TRUNCATED),
        _rejected(
            "camera-2/reading list.jpg", b"Buy batteries for camera 2.\nAsk for a larger card.\n", Reason.NOT_AN_IMAGE
        ),
        _rejected("camera-2/card full.jpg", b"", Reason.EMPTY),
    ]
    return sorted([*classified, *rejected], key=lambda sample: sample.name)


def _rejected(name: str, content: bytes, reason: Reason) -> Sample:
    return Sample(name, content, "rejected", None, reason)


def _camera(orientation: int) -> Callable[[Image.Image], bytes]:
    return lambda picture: camera_jpeg(picture, orientation=orientation)


def _saved(image_format: str, **options: object) -> Callable[[Image.Image], bytes]:
    def encode(picture: Image.Image) -> bytes:
        file = io.BytesIO()
        picture.save(file, image_format, **options)
        return file.getvalue()

    return encode


def _png_with_alpha(picture: Image.Image) -> bytes:
    """Rounded, transparent corners, as a web shop cuts its pictures."""
    alpha = Image.new("L", picture.size, 0)
    corner = min(picture.size) // 8
    ImageDraw.Draw(alpha).rounded_rectangle((0, 0, picture.width - 1, picture.height - 1), corner, fill=255)
    cut = picture.copy()
    cut.putalpha(alpha)
    return _saved("PNG", compress_level=1)(cut)


def _cmyk_jpeg(picture: Image.Image) -> bytes:
    """Four inks with the grey moved to black, as a print shop separates it."""
    inks = 255 - np.asarray(picture)
    black = inks.min(axis=2, keepdims=True) // 2
    rest = 255 - black.astype(np.int32)
    separated = np.concatenate([((inks.astype(np.int32) - black) * 255 // rest), black], axis=2).astype(np.uint8)
    return _saved("JPEG", quality=90)(Image.frombytes("CMYK", picture.size, separated.tobytes()))


def _heic(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=70, enc_params={"preset": "ultrafast"})
    return file.getvalue()


_INTERRUPTED = "camera-1/IMG_0002.jpg"
_SHOTS = (
    _Shot("camera-1/IMG_0001.jpg", "ball", 1024, 768, 0, _camera(1)),
    _Shot(_INTERRUPTED, "cone", 1024, 768, 1, _camera(2)),
    _Shot("camera-1/IMG_0003.jpg", "cross", 1024, 768, 2, _camera(3)),
    _Shot("camera-1/IMG_0004.jpg", "cube", 1024, 768, 3, _camera(4)),
    _Shot("camera-1/IMG_0005.jpg", "cylinder", 768, 1024, 34, _camera(5)),
    _Shot("camera-1/IMG_0006.jpg", "heart", 768, 1024, 5, _camera(6)),
    _Shot("camera-1/IMG_0007.jpg", "pyramid", 768, 1024, 6, _camera(7)),
    _Shot("camera-1/IMG_0008.jpg", "ring", 768, 1024, 7, _camera(8)),
    _Shot("camera-1/12 megapixels/IMG_0009.jpg", "spring", 3000, 4000, 8, _camera(6)),
    _Shot("camera-2/2026-05-01/star #1.jpg", "star", 1280, 720, 36, _camera(1)),
    _Shot("camera-2/2026-05-01/Würfel & Söhne.jpg", "cube", 960, 640, 35, _camera(1)),
    _Shot("camera-2/星/心.png", "heart", 640, 480, 11, _saved("PNG", compress_level=1)),
    _Shot("shop/100% cotton + wool.webp", "spring", 800, 800, 12, _saved("WEBP", quality=80, method=2)),
    _Shot("shop/cut out.png", "ring", 640, 640, 13, _png_with_alpha),
    _Shot("shop/thumbnail.jpg", "pyramid", 192, 144, 14, _camera(1)),
    _Shot("print/four colours.jpg", "star", 800, 600, 15, _cmyk_jpeg),
    _Shot("phone/IMG_4711.HEIC", "cylinder", 768, 1024, 16, _heic),
    _Shot("phone/progressive.jpeg", "cross", 1024, 768, 17, _saved("JPEG", quality=85, progressive=True)),
    _Shot("phone/grey.jpg", "ball", 800, 600, 18, lambda picture: _saved("JPEG", quality=85)(picture.convert("L"))),
)
