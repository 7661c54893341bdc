"""How many images a second a loaded model answers, by the number of callers that ask at once."""

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
class Callers:
    """What that many callers at once get done: images per second, and how long one waits for one image."""

    callers: int
    images_per_s: float
    ms_per_image: float


def caller_counts(cpus: int) -> list[int]:
    """Return 1, 2, 4 ... and the number of CPUs itself."""
    return sorted({cpus, *(2**power for power in range(cpus.bit_length()) if 2**power <= cpus)})


def rates(models: Sequence[LoadedModel], callers: Sequence[int], seconds: float) -> list[dict[int, Callers]]:
    """Measure every model with every number of callers for about that many seconds each.

    In turns, so that a noisy neighbour hits all alike; the median of the turns counts.
    """
    seen: list[dict[int, list[Callers]]] = [{count: [] for count in callers} for _ in models]
    for _ in range(_ROUNDS):
        for model, by_count in zip(models, seen, strict=True):
            for count in callers:
                by_count[count].append(_rate(model, count, seconds / _ROUNDS))
    return [
        {
            count: Callers(
                count,
                statistics.median(turn.images_per_s for turn in turns),
                statistics.median(turn.ms_per_image for turn in turns),
            )
            for count, turns in by_count.items()
        }
        for by_count in seen
    ]


def _rate(model: LoadedModel, callers: int, seconds: float) -> Callers:
    tensor = _noise(model)
    ready = threading.Barrier(callers)
    spans: list[list[float]] = [[] for _ in range(callers)]

    def call(mine: list[float]) -> None:
        ready.wait()
        end = time.perf_counter() + seconds
        while not mine or time.perf_counter() < end:
            started = time.perf_counter()
            model.run(tensor)
            mine.append(time.perf_counter() - started)

    threads = [threading.Thread(target=call, args=(mine,)) for mine in spans]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - started
    flat = [span for mine in spans for span in mine]
    return Callers(callers, len(flat) / elapsed, statistics.median(flat) * 1000)


def _noise(model: LoadedModel) -> NDArray[np.generic]:
    """An input no two numbers of which are alike; a blank one may take a faster way through the arithmetic."""
    spec = model.spec.input
    shape = (spec.height, spec.width, spec.channels)
    return add_batch_axis(spec, normalize(spec, np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)))
