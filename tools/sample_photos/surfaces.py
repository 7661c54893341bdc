"""Procedural textures of tables, floors and walls: colour as a function of a position on the surface.

Positions are arrays of u and v in scene units (the labelled object has a radius of about one unit), so a texture has
the resolution of its arrays.
"""

from __future__ import annotations

import colorsys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_PATTERNS = ("white", "plain", "planks", "tiles", "stripes", "grain", "bricks", "paper")


def colour(rng: np.random.Generator, *, saturation: tuple[float, float], value: tuple[float, float]) -> Floats:
    """Draw a colour: RGB in [0, 1], shape (3,)."""
    return np.array(colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value)))


class Surface:
    """A texture with random pattern and colours. The same positions always have the same colours."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._pattern = str(rng.choice(_PATTERNS))
        # Most real surfaces are brown, green or grey; 30 % have any hue.
        hue = float(rng.choice([rng.uniform(0.04, 0.14), rng.uniform(0.2, 0.4), rng.uniform()], p=[0.5, 0.2, 0.3]))
        self._base = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.0, 0.5), rng.uniform(0.3, 0.95)))
        if self._pattern == "white":
            self._base = rng.uniform(0.85, 1.0) * np.ones(3)
        self._second = np.clip(self._base * rng.uniform(0.45, 1.35) + rng.normal(0, 0.06, 3), 0, 1)
        self._size = float(rng.uniform(0.35, 1.6))
        self._turn = float(rng.uniform(0, np.pi))
        self._mottle = float(rng.uniform(0.03, 0.22))
        self._noise = rng.uniform(-1, 1, (64, 64))

    def colours(self, u: Floats, v: Floats) -> Floats:
        """Return the colour at each position.

        Args:
            u: Positions along the surface, any shape.
            v: Positions across it, the same shape.

        Returns:
            RGB in [0, 1], shape (..., 3).
        """
        along = u * np.cos(self._turn) + v * np.sin(self._turn)
        across = v * np.cos(self._turn) - u * np.sin(self._turn)
        share = np.clip(self._share(along / self._size, across / self._size), 0, 1)[..., None]
        mottle = 0.6 * self._field(along, across) + 0.4 * self._field(along * 4.1, across * 4.1)
        painted = self._base * (1 - share) + self._second * share
        coloured: Floats = np.clip(painted * (1 + self._mottle * mottle[..., None]), 0, 1)
        return coloured

    def _share(self, along: Floats, across: Floats) -> Floats:
        """Return the weight of the second colour at each position; the caller clips it to [0, 1]."""
        share = np.zeros_like(along)
        match self._pattern:
            case "planks":
                row = np.floor(across)
                fibre = self._field(along * 0.4 + row * 7.3, across * 6 + row * 3.1)
                share = np.maximum(_line(across, 0.04), 0.5 + 0.5 * fibre)
            case "bricks":
                row = np.floor(across * 2)
                share = np.maximum(_line(across * 2, 0.12), _line(along + 0.5 * (row % 2), 0.06))
            case "tiles":
                share = (np.floor(along) + np.floor(across)) % 2
            case "stripes":
                share = 0.5 + 0.5 * np.tanh(6 * np.sin(2 * np.pi * across))
            case "grain":
                share = 0.5 + 0.9 * self._field(along * 3, across * 3)
            case "paper":
                share = 0.5 + 0.8 * self._field(along * 0.7, across * 0.7)
        return share

    def _field(self, u: Floats, v: Floats) -> Floats:
        """Return value noise in [-1, 1] with a period of 64 units."""
        left, low = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        right_share, high_share = u - left, v - low
        left, low = left & 63, low & 63
        right, high = (left + 1) & 63, (low + 1) & 63
        bottom = self._noise[low, left] * (1 - right_share) + self._noise[low, right] * right_share
        top = self._noise[high, left] * (1 - right_share) + self._noise[high, right] * right_share
        smooth: Floats = bottom * (1 - high_share) + top * high_share
        return smooth


def _line(position: Floats, width: float) -> Floats:
    """1 in the first ``width`` of each unit, else 0."""
    return (position % 1 < width).astype(np.float64)
