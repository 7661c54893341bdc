"""Times one trial: the images per second of a function on some threads, and its CPU time for each image."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of one trial.

    Attributes:
        images: How many images were completed; at least 1.
        images_per_s: By the wall clock.
        cpu_ms: CPU time of the whole process for one image, user and system.
        extra: Other results, in types that JSON has.
    """

    images: int
    images_per_s: float
    cpu_ms: float
    extra: dict[str, Any] = field(default_factory=dict)


def run_for(seconds: float, work: Callable[[], object], threads: int = 1) -> Trial:
    """Repeat ``work``, which completes one image, for about that many seconds on each thread.

    As many runs as threads come before the clocks start, so that no trial includes the filling of caches. The rate is
    the sum of the threads' own rates, each over its own time: a thread that ends later adds no idle time.
    """

    def repeat(_thread: int) -> tuple[int, float]:
        started = time.perf_counter()
        count, elapsed = 0, 0.0
        while not count or elapsed < seconds:
            work()
            count += 1
            elapsed = time.perf_counter() - started
        return count, elapsed

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _thread: work(), range(threads)))
        cpu_s = time.process_time()
        results = list(pool.map(repeat, range(threads)))
        cpu_s = time.process_time() - cpu_s
    images = sum(count for count, _ in results)
    return Trial(images, sum(count / elapsed for count, elapsed in results), cpu_s / images * 1000)


def run_once(work: Callable[[], int]) -> Trial:
    """Run ``work`` once; it returns how many images it completed."""
    cpu_s, started = time.process_time(), time.perf_counter()
    images = work()
    elapsed, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
    return Trial(images, images / elapsed, cpu_s / images * 1000)
