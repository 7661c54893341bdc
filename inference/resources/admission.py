"""Memory admission: how much may be decoded at one moment is bounded by bytes, not by a count of images.

Sixteen 50-megapixel images at once are then slow, never fatal. Two budgets, always taken in this order::

    storage:    with admission.reserve_content(content_length):        # before the body is downloaded
    inference:  with admission.reserve(decode_cost(header, needed)):  # before pixels exist

They are separate shares of one sum: who holds decoding memory never waits for content memory, so the two cannot
deadlock, and sixteen waiting downloads cannot take the memory that the one decode needs to finish.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from inference.errors import PermanentError, Reason
from inference.resources.memory import available_bytes, trim_heaps

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1024 * 1024
_CONTENT_SHARE = 1 / 8  # photographs encode to a tenth of their pixels or less; lossless ones wait for each other
_TRIMMED_FROM_BYTES = 64 * _MIB  # below it the heaps' leftovers are small, and worth keeping warm


class Budget:
    """A number of bytes shared by many threads, handed out strictly in the order of asking.

    First come, first served is what makes it fair in both directions: a large request waits only for what came
    before it, and so does a small one. A request for more than the whole budget runs alone. Safe for any number of
    threads; not reentrant: a thread asks once at a time.
    """

    def __init__(self, total_bytes: int) -> None:
        if total_bytes < 1:
            raise ValueError(f"A budget of {total_bytes} bytes admits nothing.")
        self.total_bytes = total_bytes
        self._free_bytes = total_bytes
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, threading.Event]] = deque()

    @contextmanager
    def reserve(self, cost_bytes: int) -> Iterator[None]:
        """Hold ``cost_bytes`` for the length of a ``with`` block, after waiting for them."""
        cost = max(0, min(cost_bytes, self.total_bytes))
        admitted = threading.Event()
        request = (cost, admitted)
        with self._lock:
            self._waiting.append(request)
            self._admit()
        try:
            admitted.wait()
            yield
        finally:
            with self._lock:
                if admitted.is_set():
                    self._free_bytes += cost
                else:  # interrupted while waiting
                    self._waiting.remove(request)
                self._admit()

    def _admit(self) -> None:
        """Let in as many as fit, from the front of the queue. The caller holds the lock."""
        while self._waiting and self._waiting[0][0] <= self._free_bytes:
            cost, admitted = self._waiting.popleft()
            self._free_bytes -= cost
            admitted.set()


class Admission:
    """The two budgets of one process. One instance, made where the process is wired together.

    Args:
        budget_bytes: Both together.
        ceiling_bytes: What the process could ever give; by default what its container or machine leaves it. An image
            that needs more than the budget runs alone; one that needs more than this would end the process and is
            refused.
    """

    def __init__(self, budget_bytes: int, ceiling_bytes: int | None = None) -> None:
        content_bytes = max(1, int(budget_bytes * _CONTENT_SHARE))
        self._content = Budget(content_bytes)
        self._decoding = Budget(max(1, budget_bytes - content_bytes))
        ceiling_bytes = available_bytes() if ceiling_bytes is None else ceiling_bytes
        self._ceiling_bytes = max(budget_bytes, ceiling_bytes) - content_bytes

    def reserve_content(self, length_bytes: int) -> AbstractContextManager[None]:
        """Hold memory for one downloaded image; ask before the body is read.

        Never inside ``reserve``. An image of more than the whole share is downloaded when no other is held.
        """
        return self._content.reserve(length_bytes)

    def reserve(self, cost_bytes: int) -> AbstractContextManager[None]:
        """Hold memory for one decode: ``decode_cost`` says how much.

        Raises:
            PermanentError: ``too_many_pixels``: no amount of waiting would make room for it here.
        """
        if cost_bytes > self._ceiling_bytes:
            needed, most = cost_bytes // _MIB, self._ceiling_bytes // _MIB
            detail = f"Decoding it takes {needed:,} MiB of memory; at most {most:,} MiB are there for one image."
            raise PermanentError(Reason.TOO_MANY_PIXELS, detail)
        return self._decoded(cost_bytes)

    @contextmanager
    def _decoded(self, cost_bytes: int) -> Iterator[None]:
        with self._decoding.reserve(cost_bytes):
            try:
                yield
            finally:
                if cost_bytes >= _TRIMMED_FROM_BYTES:  # before anybody else is let in
                    trim_heaps()
