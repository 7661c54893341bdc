"""Generates photographs for training and evaluation: rendered scenes as JPEG files of a camera.

A photograph is identified by its series and number. The series is part of the seed, so two series share no scene, and
the evaluation contains no photograph of the training.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tools.sample_photos.render import render
from tools.sample_photos.shapes import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

# Series: the first number of every seed.
TRAINING, VALIDATION, EVALUATION, SAMPLES = 1, 2, 3, 4

# Long sides in pixels, from thumbnails to 12 megapixels (4000 x 3000), and the aspects that cameras use.
SMALL_PX = (128, 160, 192, 224, 256, 320)
MIXED_PX = (*SMALL_PX * 3, 480, 640, 800, 1024, 1280, 1600, 2048, 2592, 4000)
_ASPECTS = (4 / 3, 4 / 3, 3 / 2, 16 / 9, 1.0)

# By EXIF orientation: the operation on an upright picture that applying the orientation reverses.
_TO_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Photograph:
    """One JPEG file with its true label.

    Attributes:
        content: JPEG.
        label_index: Position of the true label in ``LABELS``.
        width: Pixels, after EXIF orientation is applied.
        height: Pixels, after EXIF orientation is applied.
    """

    content: bytes
    label_index: int
    width: int
    height: int


def photograph(series: int, number: int, long_sides_px: Sequence[int] = MIXED_PX) -> Photograph:
    """Render one photograph; its label is the number modulo ten.

    Args:
        series: ``TRAINING``, ``VALIDATION`` or ``EVALUATION``.
        number: From 0.
        long_sides_px: Long sides in pixels to choose from.
    """
    rng = np.random.default_rng((series, number, 1))
    long_side = int(rng.choice(long_sides_px))
    sides = (long_side, max(1, round(long_side / float(rng.choice(_ASPECTS)))))
    width, height = sides if rng.uniform() < 0.6 else sides[::-1]
    label_index = number % len(LABELS)
    picture = render(LABELS[label_index], (series, number), width, height)
    orientation = int(rng.choice([1, 3, 6, 8], p=[0.7, 0.1, 0.1, 0.1]))
    content = camera_jpeg(picture, orientation=orientation, quality=int(rng.integers(55, 96)))
    return Photograph(content, label_index, width, height)


def camera_jpeg(picture: Image.Image, *, orientation: int = 1, quality: int = 88) -> bytes:
    """Encode a JPEG as a camera does: 4:2:0 chroma, pixels in sensor order, orientation in EXIF.

    Args:
        picture: Upright, RGB or CMYK.
        orientation: EXIF orientation, 1 to 8.
        quality: JPEG quality, 1 to 95.
    """
    stored = picture.transpose(_TO_STORED[orientation]) if orientation in _TO_STORED else picture
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = orientation
    file = io.BytesIO()
    stored.save(file, "JPEG", quality=quality, subsampling="4:2:0", exif=exif)
    return file.getvalue()
