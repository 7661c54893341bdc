"""Checks of values of ``model.json``: each returns the typed value, or raises ``ValueError`` with the expected type."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from inference.model_spec import Quantization

if TYPE_CHECKING:
    from collections.abc import Callable

_Choice = TypeVar("_Choice", bound=StrEnum)

_MAX_SIDE_PX = 8192


def one_of(kind: type[_Choice]) -> Callable[[Any], _Choice]:
    """Accept a word of the vocabulary, in any case."""
    words = {member.value.lower(): member for member in kind}

    def check(value: Any) -> _Choice:
        found = words.get(value.lower()) if isinstance(value, str) else None
        if found is None:
            raise ValueError("one of " + ", ".join(member.value for member in kind))
        return found

    return check


def pixels(value: Any) -> int:
    """Accept a whole number of pixels from 1 to 8192."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_SIDE_PX:
        raise ValueError(f"a whole number of pixels from 1 to {_MAX_SIDE_PX}")
    return value


def height_width(value: Any) -> tuple[int, int]:
    """Accept ``[height, width]`` or one number for a square."""
    if isinstance(value, int):
        value = [value, value]
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("[height, width] in pixels")
    return pixels(value[0]), pixels(value[1])


def fraction(value: Any) -> float:
    """Accept a number above 0 and at most 1."""
    if not _is_number(value) or not 0 < value <= 1:
        raise ValueError("a number above 0 and at most 1")
    return float(value)


def positive(value: Any) -> float:
    """Accept a finite number above 0."""
    if not _is_number(value) or value <= 0:
        raise ValueError("a number above 0")
    return float(value)


def per_channel(channels: int, *, nonzero: bool = False) -> Callable[[Any], tuple[float, ...]]:
    """Accept a number, or a list of one for each channel. A grey model also takes a list of equal numbers."""
    expected = f"a number or a list of {channels}" + (", none of them 0" if nonzero else "")

    def check(value: Any) -> tuple[float, ...]:
        values = value if isinstance(value, list | tuple) else [value]
        if not values or not all(_is_number(entry) and not (nonzero and entry == 0) for entry in values):
            raise ValueError(expected)
        if len(set(values)) == 1:
            values = [values[0]] * channels
        if len(values) != channels:
            raise ValueError(expected)
        return tuple(float(entry) for entry in values)

    return check


def rgb(value: Any) -> tuple[int, int, int]:
    """Accept ``[red, green, blue]``, each 0 to 255."""
    if (
        not isinstance(value, list | tuple)
        or len(value) != 3
        or not all(isinstance(entry, int) and not isinstance(entry, bool) and 0 <= entry <= 255 for entry in value)
    ):
        raise ValueError("[red, green, blue], each from 0 to 255")
    return value[0], value[1], value[2]


def boolean(value: Any) -> bool:
    """Accept ``true`` or ``false``."""
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - a ValueError, as in every check
    return value


def quantization(value: Any) -> Quantization:
    """Accept ``[scale, zero_point]``, as TFLite lists them."""
    expected = "[scale, zero point]: a number above 0, and a whole number from -128 to 255"
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_number, value)):
        raise ValueError(expected)
    if value[0] <= 0 or value[1] != int(value[1]) or not -128 <= value[1] <= 255:
        raise ValueError(expected)
    return Quantization(float(value[0]), int(value[1]))


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False
