"""Admits decodes by memory: the bytes of all concurrent decodes are bounded, not the number of images.

Sixteen concurrent 50-megapixel images are then slow and never exhaust the memory. There are two budgets, always
reserved in this order::

    storage:    with admission.reserve_content(content_length):        # before the body is downloaded
    inference:  with admission.reserve(plan.memory_bytes):  # before pixels exist

They are separate shares of one sum. A thread that holds decoding memory never waits for content memory, so the two
cannot deadlock, and sixteen waiting downloads cannot take the memory that one decode needs to finish.
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
_CONTENT_SHARE = 1 / 8  # photos encode to a tenth of their pixels or less; lossless images wait for each other
_TRIMMED_FROM_BYTES = 64 * _MIB  # a smaller decode leaves little in the heaps, which the next one reuses


class Budget:
    """A number of bytes shared by many threads, granted first come, first served.

    That order is fair to large and small requests alike: each waits only for the requests before it. A request for more
    than the whole budget runs alone. Safe for any number of threads; not reentrant.
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
        """Wait for ``cost_bytes`` and hold them for the length of the ``with`` block."""
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
        """Grant requests from the front of the queue while they fit. The caller holds the lock."""
        while self._waiting and self._waiting[0][0] <= self._free_bytes:
            cost, admitted = self._waiting.popleft()
            self._free_bytes -= cost
            admitted.set()


class Admission:
    """The two budgets of one process. A process makes one instance.

    Args:
        budget_bytes: The sum of both budgets.
        ceiling_bytes: The memory that the process can use at most; by default ``available_bytes``. An image that needs
            more than the budget is decoded alone; an image that needs more than the ceiling is refused, because the
            system would kill the process.
    """

    def __init__(self, budget_bytes: int, ceiling_bytes: int | None = None) -> None:
        content_bytes = max(1, int(budget_bytes * _CONTENT_SHARE))
        self._content = Budget(content_bytes)
        self._decoding = Budget(max(1, budget_bytes - content_bytes))
        ceiling_bytes = available_bytes() if ceiling_bytes is None else ceiling_bytes
        self._ceiling_bytes = max(budget_bytes, ceiling_bytes) - content_bytes

    def reserve_content(self, length_bytes: int) -> AbstractContextManager[None]:
        """Hold memory for one downloaded image. Reserve before the body is read, and never inside ``reserve``.

        An image of more than the whole share is downloaded when no other image is held.
        """
        return self._content.reserve(length_bytes)

    def reserve(self, cost_bytes: int) -> AbstractContextManager[None]:
        """Hold memory for one decode.

        Args:
            cost_bytes: The decode's peak memory, ``DecodePlan.memory_bytes``.

        Raises:
            PermanentError: ``too_many_pixels``: the decode needs more memory than the process can use.
        """
        if cost_bytes > self._ceiling_bytes:
            needed, most = cost_bytes // _MIB, self._ceiling_bytes // _MIB
            detail = f"Decoding it takes {needed:,} MiB of memory; at most {most:,} MiB are available for one image."
            raise PermanentError(Reason.TOO_MANY_PIXELS, detail)
        return self._reserve_and_trim(cost_bytes)

    @contextmanager
    def _reserve_and_trim(self, cost_bytes: int) -> Iterator[None]:
        with self._decoding.reserve(cost_bytes):
            try:
                yield
            finally:
                if cost_bytes >= _TRIMMED_FROM_BYTES:  # before the next request is granted
                    trim_heaps()
