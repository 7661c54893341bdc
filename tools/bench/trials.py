"""One trial: how many images a piece of work gets done on some threads, and what CPU time each of them took."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Trial:
    """What one trial saw.

    Attributes:
        images: How many were done.
        images_per_s: By the wall clock.
        cpu_ms: CPU time of the whole process for one image, user and system.
        more: What else there is to tell.
    """

    images: int
    images_per_s: float
    cpu_ms: float
    more: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def looped(work: Callable[[], object], threads: int, seconds: float) -> Trial:
    """Do the work again and again on so many threads for about so long.

    Each thread's own rate counts, over its own time: so it costs nothing that one of them ends a little later. Each
    does it once before the clocks start, so that no trial pays for caches.
    """
    ready = threading.Barrier(threads + 1)

    def turn() -> tuple[int, float]:
        try:
            work()
        except BaseException:
            ready.abort()  # whoever fails takes the others along: nobody waits for ever
            raise
        ready.wait()
        started = time.perf_counter()
        count, elapsed = 0, 0.0
        while not count or elapsed < seconds:
            work()
            count += 1
            elapsed = time.perf_counter() - started
        return count, elapsed

    with ThreadPoolExecutor(threads) as pool:
        turns = [pool.submit(turn) for _ in range(threads)]
        with suppress(threading.BrokenBarrierError):  # the turn that broke it tells why
            ready.wait()
        cpu = time.process_time()
        wait(turns)
        cpu = time.process_time() - cpu
    errors = [error for each in turns if (error := each.exception())]
    for error in sorted(errors, key=lambda each: isinstance(each, threading.BrokenBarrierError)):
        raise error
    done = [each.result() for each in turns]
    images = sum(count for count, _ in done)
    return Trial(images, sum(count / elapsed for count, elapsed in done), cpu / images * 1000)


def counted(work: Callable[[], int]) -> Trial:
    """Do the work once; it returns how many images it was."""
    cpu, started = time.process_time(), time.perf_counter()
    images = work()
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Trial(images, images / elapsed, cpu / images * 1000)
