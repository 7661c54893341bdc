"""Chooses which storage calls fail, and how, from a seed, so that a run can be repeated.

The choice depends only on the seed, the call (service, method, path) and how often that call was made. In each run
with one seed the same calls fail, for example the third read of a row. The time of each call depends on the machine.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
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
    HANG = "no answer"  # neither executed nor answered; the connection is dropped after the delay
    LOCKED = "409, this blob"
    DENIED = "403, this blob"


class Fault(NamedTuple):
    """A fault of one call; ``delay_seconds`` applies to the two late kinds and to a hang."""

    kind: FaultKind
    delay_seconds: float = 0.0


SelectFault = Callable[[Call], Fault | None]
"""Returns the fault of a call, or ``None`` to let it pass."""

_SHORT_KINDS = tuple(FaultKind)[: list(FaultKind).index(FaultKind.HANG)]
_HANG_SECONDS = (5.0, 25.0)
_PERIOD_SECONDS = 45.0
_THROTTLED_SECONDS = (3.0, 12.0)
_SERVICES = ("blob", "queue", "table")


class SeededFaults:
    """Selects the fault of each call. Thread-safe.

    Args:
        seed: A different seed selects different faults.
        share: Share of all calls that get a fault, in [0, 1].
        max_delay_seconds: The longest delay of a late request or response.
        hang_share: Share of all calls that get no answer for 5 to 25 s, until ``let_work_end``; in [0, 1 - share].

    Attributes:
        calls: Calls so far.
        selected: Faults so far, by kind.
    """

    def __init__(self, seed: int, share: float, max_delay_seconds: float = 3.0, *, hang_share: float = 0.0) -> None:
        self._seed = seed
        self._share = share
        self._hang_share = hang_share
        self._receives_pass = False
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
            if chance >= self._share + self._hang_share or (self._receives_pass and _is_receive(call)):
                return None
            kind = FaultKind.HANG if chance >= self._share else _SHORT_KINDS[int(choice * len(_SHORT_KINDS))]
            self.selected[kind] += 1
        if kind is FaultKind.HANG:
            low, high = _HANG_SECONDS
            return Fault(kind, low + (high - low) * delay)
        is_late = kind in (FaultKind.LATE_REQUEST, FaultKind.LATE_RESPONSE)
        # Squared, so that half of the delays are below a quarter of the longest.
        return Fault(kind, self._max_delay_seconds * delay * delay if is_late else 0.0)

    def let_work_end(self) -> None:
        """Answer every call from now on, and let every receive from a queue pass; the other faults continue.

        A message whose receive was disturbed is hidden for ten minutes by the real host.
        """
        with self._lock:
            self._hang_share = 0.0
            self._receives_pass = True


def refusing(prefixes: Mapping[str, FaultKind], select_fault: SelectFault) -> SelectFault:
    """Refuse every read of blobs whose path begins with a prefix; other calls pass to ``select_fault``."""

    def select(call: Call) -> Fault | None:
        if call.service == "blob" and call.method in ("GET", "HEAD"):
            for prefix, kind in prefixes.items():
                if call.path.startswith(prefix):
                    return Fault(kind)
        return select_fault(call)

    return select


class ThrottledPeriods:
    """Lets one service refuse every call with 503 for 3 to 12 of every 45 seconds, until ``stop``. Thread-safe.

    Args:
        seed: It determines the services and the times, counted from the first call.
        select_fault: Selects the faults of the other calls.

    Attributes:
        calls: Refused calls so far.
    """

    def __init__(self, seed: int, select_fault: SelectFault) -> None:
        self._seed, self._select_fault = seed, select_fault
        self._lock = threading.Lock()
        self._start: float | None = None
        self._stopped = False
        self.calls = 0

    def __call__(self, call: Call) -> Fault | None:
        """Return the fault of this call, or ``None``."""
        with self._lock:
            now = time.monotonic()
            self._start = now if self._start is None else self._start
            is_throttled = not self._stopped and is_throttled_at(self._seed, now - self._start, call.service)
            self.calls += is_throttled
        return Fault(FaultKind.BUSY) if is_throttled else self._select_fault(call)

    def stop(self) -> None:
        """Refuse no further calls."""
        with self._lock:
            self._stopped = True


def is_throttled_at(seed: int, seconds: float, service: str) -> bool:
    """Return whether a service refuses calls at a time, in seconds after the first call."""
    period, at = divmod(seconds, _PERIOD_SECONDS)
    rng = random.Random(f"throttled/{seed}/{int(period)}")
    chosen, length = rng.choice(_SERVICES), rng.uniform(*_THROTTLED_SECONDS)
    begin = rng.uniform(0, _PERIOD_SECONDS - length)
    return service == chosen and begin <= at < begin + length


def _is_receive(call: Call) -> bool:
    return call.service == "queue" and call.method == "GET" and call.path.endswith("/messages")


def _fractions(digest: bytes) -> tuple[float, float, float]:
    first, second, third = (int.from_bytes(digest[start : start + 6], "big") / 2**48 for start in (0, 6, 12))
    return first, second, third
