"""Waiting for what another thread or process does: for the thing itself, with a deadline, never for a guess of time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def until(true: Callable[[], object], seconds: float = 30) -> None:
    """Wait for a condition; fail when the time is up."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.002)  # between two looks, so that who is waited for gets the CPU
