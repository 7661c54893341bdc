"""Which storage call meets which misfortune: chosen by a seed, so that a run can be repeated.

The choice depends on the seed, the call (service, method, path) and how often it was made, on nothing else: the third
read of a row fails in each run with this seed, whichever thread makes it. When things happen is the machine's to say.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from enum import StrEnum
from typing import NamedTuple


class Call(NamedTuple):
    """One storage request: ``blob``, ``queue`` or ``table``; the path without its query."""

    service: str
    method: str
    path: str


class Fault(StrEnum):
    """What can go wrong with one call; the value is how the report calls it."""

    BUSY = "503, not done"
    BROKEN = "500, not done"
    BROKEN_AFTER = "500, yet done"
    DROPPED = "dropped before"
    DROPPED_AFTER = "dropped after"
    CUT = "answer cut short"
    LATE = "done late"  # the caller may be dead by then: an attempt's write arrives after its end
    SLOW = "answered late"


class Mishap(NamedTuple):
    """A fault, and how late where it is one of delay."""

    fault: Fault
    seconds: float = 0.0


class SeededFaults:
    """Chooses the mishap of each call. Thread-safe.

    Args:
        seed: Another seed, other faults.
        share: Of all calls that meet one, in [0, 1].
        most_seconds: The longest delay.
    """

    def __init__(self, seed: int, share: float, most_seconds: float = 3.0) -> None:
        self._seed = seed
        self._share = share
        self._most_seconds = most_seconds
        self._calls: Counter[Call] = Counter()
        self._lock = threading.Lock()
        self.calls = 0
        self.chosen: Counter[Fault] = Counter()

    def __call__(self, call: Call) -> Mishap | None:
        """Return what happens to this call; ``None`` for nothing."""
        with self._lock:
            self._calls[call] += 1
            self.calls += 1
            text = f"{self._seed}\n{call}\n{self._calls[call]}"
            luck, kind, delay = _fractions(hashlib.sha256(text.encode()).digest())
            if luck >= self._share:
                return None
            faults = list(Fault)
            fault = faults[int(kind * len(faults))]
            self.chosen[fault] += 1
        # Short delays are as frequent as long ones are harmful: squared, half of them are below a quarter of the most.
        return Mishap(fault, self._most_seconds * delay * delay if fault in (Fault.LATE, Fault.SLOW) else 0.0)


def _fractions(digest: bytes) -> tuple[float, float, float]:
    first, second, third = (int.from_bytes(digest[start : start + 6], "big") / 2**48 for start in (0, 6, 12))
    return first, second, third
