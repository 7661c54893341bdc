"""Damages files as storage media do, reproducibly: clusters overwritten or lost, and second halves overwritten.

The offset of the damage is random and lies on a cluster boundary where the file is long enough, behind ``start``: where
the picture data of the file begins.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

_KIB = 1024
_SIZES_KIB = (4, 16, 32)
_TEXT = b"2026-01-31T12:00:00Z INFO camera: battery 3.71 V, 1,204 pictures left, card 87 % full.\r\n"


class Sources(NamedTuple):
    """What overwrites a file.

    Attributes:
        other: Picture data of another JPEG.
        alike: Picture data of another JPEG with the same Huffman tables, as one camera writes; may be ``other``.
    """

    other: bytes
    alike: bytes


Damage = Callable[[bytes, int, Sources, random.Random], bytes]
"""Takes a file, the offset of its picture data, and what overwrites it; returns the damaged file."""
_Fill = Callable[[int, bytes, Sources, random.Random], bytes]


def _part(data: bytes, size: int, rng: random.Random) -> bytes:
    data *= size // len(data) + 1
    at = rng.randrange(len(data) - size + 1)
    return data[at : at + size]


_FILLS: dict[str, _Fill] = {
    "zeros": lambda size, _own, _sources, _rng: bytes(size),
    "0xFF": lambda size, _own, _sources, _rng: b"\xff" * size,
    "noise": lambda size, _own, _sources, rng: rng.randbytes(size),
    "text": lambda size, _own, _sources, rng: _part(_TEXT, size, rng),
    "another photo": lambda size, _own, sources, rng: _part(sources.other, size, rng),
    "a photo of the same camera": lambda size, _own, sources, rng: _part(sources.alike, size, rng),
    "the photo itself": lambda size, own, _sources, rng: _part(own, size, rng),
}


def _cluster(kib: int, fill: _Fill | None) -> Damage:
    def damage(content: bytes, start: int, sources: Sources, rng: random.Random) -> bytes:
        size = min(kib * _KIB, (len(content) - start) // 3)
        at = rng.randrange(start, len(content) - size - 2)
        if at // size * size > start:
            at = at // size * size
        filling = fill(size, content[start:], sources, rng) if fill else b""
        return content[:at] + filling + content[at + size :]

    return damage


def _second_half(fill: _Fill) -> Damage:
    def damage(content: bytes, start: int, sources: Sources, rng: random.Random) -> bytes:
        at = (start + len(content)) // 2
        return content[:at] + fill(len(content) - at, content[start:], sources, rng)

    return damage


CLUSTERS: dict[str, Damage] = {
    f"{kib} KiB {name}": _cluster(kib, fill) for name, fill in {**_FILLS, "cut out": None}.items() for kib in _SIZES_KIB
}
SECOND_HALVES: dict[str, Damage] = {
    f"second half {name}": _second_half(fill) for name, fill in _FILLS.items() if name != "the photo itself"
}
KINDS = CLUSTERS | SECOND_HALVES
