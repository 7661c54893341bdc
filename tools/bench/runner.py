"""Runs the benchmarks in rounds: each has one trial per round, so that slow changes of the machine affect all alike."""

from __future__ import annotations

import os
import random
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tools.bench.machine import Disturbance, disturbance, read_clocks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tools.bench.benchmarks import Benchmark, Effort
    from tools.bench.trials import Trial
    from tools.bench.workers.process import WorkerProcess

_WARM_UP = {"function_path", "bare_sdk", "backfill"}  # the other workers warm up in each trial
_MEDIAN_NEEDS = 3  # quiet trials
_RESAMPLES = 400
_BAND = (0.05, 0.95)


class Measurement(NamedTuple):
    """One trial and how much it was disturbed."""

    trial: Trial
    disturbance: Disturbance


@dataclass
class Figure:
    """All trials of one benchmark, in order, and how many undisturbed ones were requested."""

    rounds: int
    measurements: list[Measurement] = field(default_factory=list)

    @property
    def quiet(self) -> int:
        """How many trials were undisturbed."""
        return sum(each.disturbance.is_quiet for each in self.measurements)

    @property
    def is_noisy(self) -> bool:
        """Whether too few trials were undisturbed for a median."""
        return self.quiet < min(_MEDIAN_NEEDS, self.rounds)

    @property
    def counted(self) -> list[Trial]:
        """The undisturbed trials; of a noisy figure the least disturbed half."""
        if not self.is_noisy:
            return [each.trial for each in self.measurements if each.disturbance.is_quiet]
        by_disturbance = sorted(self.measurements, key=lambda each: each.disturbance.other_cpu or 0.0)
        return [each.trial for each in by_disturbance[: max(self.quiet, (len(by_disturbance) + 1) // 2)]]

    @property
    def images_per_s(self) -> float:
        """The median of the counted trials."""
        return statistics.median(trial.images_per_s for trial in self.counted)

    @property
    def cpu_ms(self) -> float:
        """The median of the counted trials."""
        return statistics.median(trial.cpu_ms for trial in self.counted)

    def resampled(self, rng: random.Random) -> Figure:
        """Return a bootstrap sample: as many trials, drawn from the counted ones with replacement."""
        quiet, counted = Disturbance(None, None), self.counted
        return Figure(self.rounds, [Measurement(rng.choice(counted), quiet) for _ in counted])


def run_rounds(
    benchmarks: Sequence[Benchmark],
    workers: Mapping[str, WorkerProcess],
    effort: Effort,
    *,
    other_process_ids: Collection[int] = (),
    report: Callable[[str], None] = lambda _message: None,
) -> dict[str, Figure]:
    """Run every benchmark in every round, then repeat disturbed trials for a while.

    Args:
        benchmarks: What to measure.
        workers: The worker processes by name.
        effort: Number of rounds, and for how long to repeat.
        other_process_ids: Further processes of the bench: the emulator.
        report: Called with messages about progress.
    """
    figures = {each.key: Figure(effort.rounds) for each in benchmarks}
    own = {os.getpid(), *other_process_ids, *(worker.process_id for worker in workers.values())}

    def measure(benchmark: Benchmark) -> None:
        before = read_clocks(own)
        trial = workers[benchmark.worker].call(benchmark.function, **benchmark.arguments)
        figures[benchmark.key].measurements.append(Measurement(trial, disturbance(before, read_clocks(own))))

    for benchmark in benchmarks:
        if benchmark.worker in _WARM_UP:
            report(f"warming up: {benchmark.key}")
            workers[benchmark.worker].call(benchmark.function, **benchmark.arguments)
    for number in range(effort.rounds):
        for place, benchmark in enumerate(benchmarks):
            report(f"round {number + 1} of {effort.rounds}, {place + 1} of {len(benchmarks)}: {benchmark.key}")
            measure(benchmark)
    deadline = time.monotonic() + effort.retry_seconds
    while disturbed := [each for each in benchmarks if figures[each.key].quiet < effort.rounds]:
        for benchmark in disturbed:
            if time.monotonic() > deadline:
                return figures
            report(f"repeating disturbed trials ({len(disturbed)} to go): {benchmark.key}")
            measure(benchmark)
    return figures


def band(value: Callable[[Mapping[str, Figure]], float], figures: Mapping[str, Figure]) -> tuple[float, float]:
    """Return the 5th and 95th percentile of a value computed from figures, by a bootstrap of their trials."""
    rng = random.Random(1)
    drawn = sorted(value({name: figure.resampled(rng) for name, figure in figures.items()}) for _ in range(_RESAMPLES))
    low, high = (drawn[round(share * (len(drawn) - 1))] for share in _BAND)
    return low, high
