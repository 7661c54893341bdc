"""Damages files as storage media do, reproducibly: clusters zeroed, overwritten or lost, and second halves overwritten.

The offset of the damage is random and lies on a cluster boundary where the file is long enough, behind ``start``: where
the picture data of the file begins.
"""

from __future__ import annotations

import random
from collections.abc import Callable

_KIB = 1024

Damage = Callable[[bytes, int, bytes, random.Random], tuple[int, bytes]]
"""Takes a file, the offset of its picture data and another's data; returns where the damage begins, and the file."""


def _zeros(size: int, other: bytes, rng: random.Random) -> bytes:
    return bytes(size)


def _noise(size: int, other: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(size)


def _other(size: int, other: bytes, rng: random.Random) -> bytes:
    return (other * (size // len(other) + 1))[:size]


def _cluster(size: int, fill: Callable[[int, bytes, random.Random], bytes] | None) -> Damage:
    def damage(content: bytes, start: int, other: bytes, rng: random.Random) -> tuple[int, bytes]:
        length = min(size, (len(content) - start) // 3)
        at = rng.randrange(start, len(content) - length - 2)
        if at // length * length > start:
            at = at // length * length
        filling = fill(length, other, rng) if fill else b""
        return at, content[:at] + filling + content[at + length :]

    return damage


def _second_half(fill: Callable[[int, bytes, random.Random], bytes]) -> Damage:
    def damage(content: bytes, start: int, other: bytes, rng: random.Random) -> tuple[int, bytes]:
        at = (start + len(content)) // 2
        return at, content[:at] + fill(len(content) - at, other, rng)

    return damage


KINDS: dict[str, Damage] = {
    f"{size // _KIB} KiB {name}": _cluster(size, fill)
    for size in (4 * _KIB, 32 * _KIB)
    for name, fill in (("zeroed", _zeros), ("noise", _noise), ("of another file", _other), ("cut out", None))
} | {
    "second half zeroed": _second_half(_zeros),
    "second half noise": _second_half(_noise),
    "second half of another file": _second_half(_other),
}
