"""Whether two long lists say the same, and if not, roughly about whom: in constant memory, in one pass over each.

Every statement (who, says what) is hashed into one of 65,536 buckets, where hashes are combined by XOR, so that order
does not matter. Buckets that are equal hold equal statements (but for a chance of 2 to the -64); only those that differ
are worth a closer look. With a million images, one difference puts about fifteen under suspicion.

The hashes are Python's own: keyed anew in each process, so that nobody can prepare names that collide, and of no
meaning outside of it.
"""

from __future__ import annotations

from array import array

_BUCKETS = 65_536


class Fingerprints:
    """One list's fingerprints; 512 KiB, however long the list."""

    def __init__(self) -> None:
        self._buckets = array("q", bytes(8 * _BUCKETS))

    def add(self, who: str, says: str = "") -> None:
        """Take in one statement. Both lists must name who alike."""
        self._buckets[hash(who) % _BUCKETS] ^= hash((who, says))

    def against(self, other: Fingerprints) -> Suspicion:
        """Whom the two lists may disagree about."""
        return Suspicion(bytes(map(int.__ne__, self._buckets, other._buckets)))


class Suspicion:
    """A superset of those whom two lists disagree about: ``who in suspicion``. False when they agree."""

    def __init__(self, differing: bytes) -> None:
        self._differing = differing
        self._any = any(differing)

    def __bool__(self) -> bool:
        return self._any

    def __contains__(self, who: str) -> bool:
        return bool(self._differing[hash(who) % _BUCKETS])
