"""A limit on requests per second, as storage applies it: what fits passes, what does not is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """A token bucket without a clock of its own.

    Attributes:
        per_s: How many units a second.
        burst_s: How much of a second may come at once after a pause.
        taken: Units let through.
        refused: Requests turned away.
    """

    per_s: float
    burst_s: float = 0.2
    taken: float = 0.0
    refused: int = 0
    _paid_until: float = 0.0

    def take(self, now: float, units: float = 1.0) -> bool:
        """Let so many units through at ``now``, or refuse them all."""
        starts = max(self._paid_until, now)
        ends = starts + units / self.per_s
        if ends - now > self.burst_s:
            self.refused += 1
            return False
        self._paid_until = ends
        self.taken += units
        return True


@dataclass(slots=True)
class Lane:
    """A limit that delays instead of refusing: who comes too early waits for its turn."""

    per_s: float
    _free_at: float = 0.0

    def wait_s(self, now: float) -> float:
        """How long what comes at ``now`` has to wait."""
        starts = max(self._free_at, now)
        self._free_at = starts + 1 / self.per_s
        return starts - now
