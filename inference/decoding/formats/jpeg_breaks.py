"""Finds borders between coded units of a JPEG where the picture visibly breaks.

Damaged data decodes to something, often for thousands of bytes, so no decoder knows where the damage is. But the blocks
behind it lie in other places and have other brightness, so they do not continue the rows above. In a whole picture, the
step from one row of pixels to the next is about as large across a border between coded units as inside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOISE_LEVEL = 1.0  # of 255: added to the steps inside, so that rounding in a flat area is no break
_FLAT = 0.5  # below it there is no picture, but one colour behind the end of the data
_MAX_STEP = 180  # a break is many changed pixels, not a few very different ones

_CHUNKS = 8  # parts of the width
_SAMPLES = 128  # columns that are compared, at least 16 in each chunk
_STEP_LEVELS = 10  # of 255: reached in 9 of 10 pictures with an offset, and in 1 of 12 whole photos


def breaks(pixels: NDArray[np.uint8], unit: int) -> NDArray[np.float64]:
    """Compare the step across each border between rows of coded units with the steps beside it, inside the units.

    Args:
        pixels: Rows of pixels.
        unit: The rows of one coded unit.

    Returns:
        One ratio for each border, relative to the picture's usual ratio, which is above 1 where it is coded coarsely.
    """
    inside = (-1, 1) if unit == 2 else (-2, -1, 1, 2)
    borders = range(unit, len(pixels) - 2, unit)
    ratios = np.array(
        [
            _step(pixels, row) / (sum(_step(pixels, row + beside) for beside in inside) / len(inside) + _NOISE_LEVEL)
            for row in borders
        ]
    )
    usual = ratios[ratios > _FLAT]
    return ratios / np.median(usual) if len(usual) else ratios


def _step(pixels: NDArray[np.uint8], row: int) -> float:
    """Return how much a row of pixels differs from the row above it; 0 for the first."""
    if row < 1:
        return 0.0
    steps = np.abs(pixels[row].astype(np.int16) - pixels[row - 1]).sum(axis=1)
    return float(np.minimum(steps, _MAX_STEP).mean())


def find_steps(pixels: NDArray[np.uint8], unit: int) -> NDArray[np.intp]:
    """Return the rows of units above which the brightness changes across half of the width, at every place alike.

    An offset of the brightness from some unit on looks like this, but so does a straight edge of the scene. It takes
    0.1 ms for a picture of 1000 x 750 pixels.

    Args:
        pixels: Rows of pixels.
        unit: The rows of one coded unit, at least 1.
    """
    columns = slice(None, None, max(1, pixels.shape[1] // _SAMPLES))
    channel = min(1, pixels.shape[2] - 1)  # green
    below = pixels[unit::unit, columns, channel].astype(np.int16)
    steps = below - pixels[unit - 1 : -1 : unit, columns, channel]
    width = steps.shape[1] // _CHUNKS
    if not width:
        return np.zeros(0, np.intp)
    chunks = steps[:, : width * _CHUNKS].reshape(-1, 2, _CHUNKS // 2, width).mean(axis=3)
    is_step = (chunks >= _STEP_LEVELS).all(axis=2) | (chunks <= -_STEP_LEVELS).all(axis=2)
    return np.flatnonzero(is_step.any(axis=1)) + 1
