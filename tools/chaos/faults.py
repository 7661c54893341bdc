"""Chooses which storage calls fail, and how, from a seed, so that a run can be repeated.

The choice depends only on the seed, the call (service, method, path) and how often that call was made. In each run
with one seed the same calls fail, for example the third read of a row. The time of each call depends on the machine.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple


class Call(NamedTuple):
    """One storage request.

    Attributes:
        service: ``blob``, ``queue`` or ``table``.
        method: HTTP method.
        path: Of the URL, without its query.
    """

    service: str
    method: str
    path: str


class FaultKind(StrEnum):
    """How a call can fail; the value is its name in the report."""

    BUSY = "503, not executed"
    ERROR = "500, not executed"
    ERROR_AFTER = "500, executed"
    DROPPED = "dropped before"
    DROPPED_AFTER = "dropped after"
    TRUNCATED = "truncated response"
    LATE_REQUEST = "executed late"  # possibly after its caller was killed
    LATE_RESPONSE = "late response"


class Fault(NamedTuple):
    """A fault of one call; ``delay_seconds`` applies to the two late kinds."""

    kind: FaultKind
    delay_seconds: float = 0.0


SelectFault = Callable[[Call], Fault | None]
"""Returns the fault of a call, or ``None`` to let it pass."""


class SeededFaults:
    """Selects the fault of each call. Thread-safe.

    Args:
        seed: A different seed selects different faults.
        share: Share of all calls that get a fault, in [0, 1].
        max_delay_seconds: The longest delay.

    Attributes:
        calls: Calls so far.
        selected: Faults so far, by kind.
    """

    def __init__(self, seed: int, share: float, max_delay_seconds: float = 3.0) -> None:
        self._seed = seed
        self._share = share
        self._max_delay_seconds = max_delay_seconds
        self._repeats: Counter[Call] = Counter()
        self._lock = threading.Lock()
        self.calls = 0
        self.selected: Counter[FaultKind] = Counter()

    def __call__(self, call: Call) -> Fault | None:
        """Return the fault of this call, or ``None``."""
        with self._lock:
            self._repeats[call] += 1
            self.calls += 1
            text = f"{self._seed}\n{call}\n{self._repeats[call]}"
            chance, choice, delay = _fractions(hashlib.sha256(text.encode()).digest())
            if chance >= self._share:
                return None
            kinds = list(FaultKind)
            kind = kinds[int(choice * len(kinds))]
            self.selected[kind] += 1
        is_late = kind in (FaultKind.LATE_REQUEST, FaultKind.LATE_RESPONSE)
        # Squared, so that half of the delays are below a quarter of the longest.
        return Fault(kind, self._max_delay_seconds * delay * delay if is_late else 0.0)


def _fractions(digest: bytes) -> tuple[float, float, float]:
    first, second, third = (int.from_bytes(digest[start : start + 6], "big") / 2**48 for start in (0, 6, 12))
    return first, second, third
