"""A JPEG to measure with: a rendered scene with a sensor's grain, about 2.5 bits per pixel.

The cost of decoding follows bytes as much as pixels. Seven camera photos of 3 to 16 megapixels had 1.4 to 5.5 bits per
pixel, the median 4.0 (old cameras, high quality); phones write 2 to 3.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from tools.sample_photos.photographs import EVALUATION, camera_jpeg
from tools.sample_photos.render import render

MIN_MEGAPIXELS, MAX_MEGAPIXELS = 0.05, 100.0
_RENDERED_PX = 1600  # long side; rendering 100 megapixels would take minutes, and the grain hides the enlargement
_GRAIN = 9.0  # standard deviation, of 255


def photo(megapixels: float, seed: int = 0) -> bytes:
    """Render one photo of 4:3; the same bytes for the same seed."""
    width = max(64, round(math.sqrt(megapixels * 1e6 * 4 / 3)))
    height = max(48, round(width * 3 / 4))
    drawn = (min(width, _RENDERED_PX), min(height, _RENDERED_PX * 3 // 4))
    scene = render("spring", (EVALUATION, seed), *drawn).resize((width, height), Image.Resampling.BICUBIC)
    rng = np.random.default_rng(seed)
    pixels = np.asarray(scene, dtype=np.int16)
    grain = rng.normal(0, _GRAIN, (height, width, 1)).astype(np.int16)
    return camera_jpeg(Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)))
