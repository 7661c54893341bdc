"""Finds the differences between two long lists in constant memory, with one pass over each.

Every entry (a key and its value) is hashed into one of 65,536 buckets, where hashes are combined by XOR, so that order
does not matter. Equal buckets hold equal entries (but for a chance of 2 to the -64); only entries of differing buckets
need a closer look. With a million images, one difference selects about fifteen of them.

The hashes are Python's own: each process has its own seed, so that names cannot be chosen to collide. They mean nothing
outside of the process.
"""

from __future__ import annotations

from array import array

_BUCKETS = 65_536


class BucketHashes:
    """The hashes of one list: 512 KiB for a list of any length. Not thread-safe."""

    def __init__(self) -> None:
        self._buckets = array("q", bytes(8 * _BUCKETS))

    def add(self, key: str, value: str = "") -> None:
        """Add one entry. Both lists must use the same keys."""
        self._buckets[hash(key) % _BUCKETS] ^= hash((key, value))

    def diff(self, other: BucketHashes) -> DifferingKeys:
        """The keys whose values may differ between the two lists."""
        return DifferingKeys(bytes(map(int.__ne__, self._buckets, other._buckets)))


class DifferingKeys:
    """A superset of the keys whose values differ: ``key in differing``. False when the lists are equal."""

    def __init__(self, differing_buckets: bytes) -> None:
        self._differing_buckets = differing_buckets
        self._any = any(differing_buckets)

    def __bool__(self) -> bool:
        return self._any

    def __contains__(self, key: str) -> bool:
        return bool(self._differing_buckets[hash(key) % _BUCKETS])
