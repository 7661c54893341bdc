"""Measures how many images per second a loaded model classifies, by the number of concurrent callers."""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inference.preprocess import add_batch_axis, normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.model.loaded import LoadedModel

_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Throughput:
    """The throughput of one number of concurrent callers.

    Attributes:
        callers: Number of concurrent callers.
        images_per_s: Images per second of all callers together.
        ms_per_image: Median time of one inference, in milliseconds.
    """

    callers: int
    images_per_s: float
    ms_per_image: float


def caller_counts(cpus: int) -> list[int]:
    """Return 1, 2, 4 ... and the number of CPUs."""
    return sorted({cpus, *(2**power for power in range(cpus.bit_length()) if 2**power <= cpus)})


def measure(models: Sequence[LoadedModel], callers: Sequence[int], seconds: float) -> list[dict[int, Throughput]]:
    """Measure every model with every number of callers, for about that many seconds each.

    The models take turns, so that other processes slow all of them alike; the result is the median of the turns.
    """
    measured: list[dict[int, list[Throughput]]] = [{count: [] for count in callers} for _ in models]
    for _ in range(_ROUNDS):
        for model, by_count in zip(models, measured, strict=True):
            for count in callers:
                by_count[count].append(_measure_once(model, count, seconds / _ROUNDS))
    return [
        {
            count: Throughput(
                count,
                statistics.median(turn.images_per_s for turn in turns),
                statistics.median(turn.ms_per_image for turn in turns),
            )
            for count, turns in by_count.items()
        }
        for by_count in measured
    ]


def _measure_once(model: LoadedModel, callers: int, seconds: float) -> Throughput:
    tensor = _noise(model)
    ready = threading.Barrier(callers)
    durations: list[list[float]] = [[] for _ in range(callers)]

    def call(own: list[float]) -> None:
        ready.wait()
        end = time.perf_counter() + seconds
        while not own or time.perf_counter() < end:
            started = time.perf_counter()
            model.run(tensor)
            own.append(time.perf_counter() - started)

    threads = [threading.Thread(target=call, args=(own,)) for own in durations]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    flat = [duration for own in durations for duration in own]
    return Throughput(callers, len(flat) / elapsed, statistics.median(flat) * 1000)


def _noise(model: LoadedModel) -> NDArray[np.generic]:
    """Return an input of random numbers: a blank one may be faster to calculate."""
    spec = model.spec.input
    shape = (spec.height, spec.width, spec.channels)
    return add_batch_axis(spec, normalize(spec, np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)))
