"""The pictures of the recordings: integer arithmetic, so they are the same to the bit on every machine."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIZES = {"landscape": (301, 200), "portrait": (121, 259), "small": (37, 30)}
"""Width and height in pixels. Odd numbers leave half a pixel over in a centre crop."""


def render(name: str) -> Image.Image:
    """Return a picture of ``SIZES`` in RGB: slopes with edges and fine texture, different in each channel."""
    width, height = SIZES[name]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    planes = [
        255 * x // width // 2 + (x * y) % 61 + (x // 9 + y // 7) % 2 * 60,
        255 * y // height // 2 + (x * x + 3 * y) % 53 + (x // 5) % 2 * 70,
        255 * (x + y) // (width + height) // 2 + (7 * x + y * y) % 47 + (y // 11) % 2 * 75,
    ]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))
