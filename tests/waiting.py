"""Waiting for what another thread or process does: for a condition, with a deadline, never for a guessed time.

No test measures how fast this machine is. A deadline ends a run that hangs: it is far beyond what the slowest machine
under the heaviest load needs, and only a failure ever reaches it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Found = TypeVar("Found")

DEADLINE_SECONDS = 120.0


def until(condition: Callable[[], Found], what: str = "it", *, evidence: Callable[[], str] = str) -> Found:
    """Wait until a condition is true and return what it gave.

    Args:
        condition: Polled until it gives something true.
        what: Names the condition in the message of a failure.
        evidence: Gives more text for that message: a log, say.

    Raises:
        AssertionError: The condition was still false at the deadline.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {DEADLINE_SECONDS:.0f} s for {what} in vain\n{evidence()}"
        time.sleep(0.005)  # leaves the CPU to the thread or process that is waited for
    return found
