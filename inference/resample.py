"""Bilinear resampling without antialiasing, as ``cv2.resize`` (``INTER_LINEAR``) and ``tf.image.resize`` do it.

Each pixel of the result is a mean of the two by two pixels around its place in the image, however much the image
shrinks. Places are those of pixel centres: the centre of pixel ``i`` is ``i + 0.5``. Beyond an edge the edge repeats.
Pillow has no such filter: its resize is antialiased, and its affine transform rounds down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BAND_PIXELS = 1 << 20  # of the image that are copied at a time, so that a large image is never copied as a whole


def resize_bilinear(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """Resize a part of an image.

    Args:
        image: ``RGB`` or ``L``.
        size: The result's (width, height) in pixels, each at least 1.
        box: The part, as (left, top, right, bottom) in pixels; by default the whole image.

    Returns:
        An image of the same mode. Each value is rounded to the nearest whole number.
    """
    left, top, right, bottom = box or (0.0, 0.0, float(image.width), float(image.height))
    x_low, x_high, across = _neighbours(left, right, size[0], image.width)
    y_low, y_high, down = _neighbours(top, bottom, size[1], image.height)
    result = np.empty((size[1], size[0], len(image.getbands())), np.uint8)
    step = max(1.0, (bottom - top) / size[1])
    rows = max(1, int(_BAND_PIXELS / (image.width * step)))
    for first in range(0, size[1], rows):
        part = slice(first, min(first + rows, size[1]))
        start, end = int(y_low[part][0]), int(y_high[part][-1]) + 1
        band = np.asarray(image.crop((0, start, image.width, end)))
        if band.ndim == 2:
            band = band[:, :, None]
        above, below = y_low[part] - start, y_high[part] - start
        upper = _mix(band[np.ix_(above, x_low)], band[np.ix_(above, x_high)], across[None, :, None])
        lower = _mix(band[np.ix_(below, x_low)], band[np.ix_(below, x_high)], across[None, :, None])
        result[part] = np.rint(_mix(upper, lower, down[part][:, None, None]))
    return Image.fromarray(result if result.shape[2] > 1 else result[:, :, 0])


def _neighbours(
    start: float, end: float, count: int, length: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return for each of ``count`` pixels the two source pixels around it, and the share of the second, 0 to 1."""
    places = np.clip(start + (np.arange(count) + 0.5) * ((end - start) / count) - 0.5, 0, length - 1)
    low = np.floor(places).astype(np.intp)
    return low, np.minimum(low + 1, length - 1), (places - low).astype(np.float32)


def _mix(first: NDArray[np.generic], second: NDArray[np.generic], share: NDArray[np.float32]) -> NDArray[np.float32]:
    mixed: NDArray[np.float32] = first.astype(np.float32)
    mixed += share * (second.astype(np.float32) - mixed)
    return mixed
