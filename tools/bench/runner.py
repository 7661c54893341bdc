"""Rounds of trials: in every round each contest has its turn, so that whatever changes meanwhile changes for all."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.bench.machine import Disturbance, between, read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tools.bench.benchmarks import Contest, Extent
    from tools.bench.trials import Trial
    from tools.bench.worker_process import Lane

_WARMED = {"app", "sdk", "backfill"}  # the others warm up in each trial
_RESAMPLES = 400
_BAND = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Seen:
    """One trial and how quiet it was."""

    trial: Trial
    disturbance: Disturbance


@dataclass
class Figure:
    """All trials of one contest.

    Attributes:
        trials: In the order in which they were run.
        wanted: How many shall count.
    """

    wanted: int
    trials: list[Seen] = field(default_factory=list)

    @property
    def quiet(self) -> int:
        """How many trials nobody disturbed."""
        return sum(seen.disturbance.is_quiet for seen in self.trials)

    @property
    def counting(self) -> list[Trial]:
        """The undisturbed ones; if they are too few for a median, the least disturbed half of all."""
        quiet = [seen.trial for seen in self.trials if seen.disturbance.is_quiet]
        if len(quiet) >= min(3, self.wanted):
            return quiet
        by_calm = sorted(self.trials, key=lambda seen: seen.disturbance.foreign or 0.0)
        return [seen.trial for seen in by_calm[: max(len(quiet), (len(by_calm) + 1) // 2)]]

    @property
    def images_per_s(self) -> float:
        """The median."""
        return statistics.median(trial.images_per_s for trial in self.counting)

    @property
    def cpu_ms(self) -> float:
        """The median."""
        return statistics.median(trial.cpu_ms for trial in self.counting)

    def resampled(self, rng: random.Random) -> Figure:
        """As it might have come out as well: as many trials, drawn from those that count."""
        calm = Disturbance(None, None)
        counting = self.counting
        return Figure(self.wanted, [Seen(rng.choice(counting), calm) for _ in counting])


def run_rounds(
    contests: Sequence[Contest],
    lanes: Mapping[str, Lane],
    extent: Extent,
    *,
    beside: Collection[int] = (),
    tell: Callable[[str], None] = lambda _said: None,
) -> dict[str, Figure]:
    """Run every contest so often, and those that were disturbed again, as long as the patience lasts.

    Args:
        contests: What to measure.
        lanes: Where, by name.
        extent: How often and how patiently.
        beside: Other processes that work for us: the emulator.
        tell: Is told how far we are.
    """
    figures: dict[str, Figure] = {contest.key: Figure(extent.rounds) for contest in contests}
    ours = {os.getpid(), *beside, *(lane.process_id for lane in lanes.values())}
    for contest in contests:
        if contest.lane in _WARMED:
            tell(f"warming up: {contest.key}")
            lanes[contest.lane].ask(contest.contestant, **contest.arguments)
    for number in range(extent.rounds):
        for place, contest in enumerate(contests):
            tell(f"round {number + 1} of {extent.rounds}, {place + 1} of {len(contests)}: {contest.key}")
            figures[contest.key].trials.append(_seen(contest, lanes, ours))
    patience = time.monotonic() + extent.patience_seconds
    while disturbed := [contest for contest in contests if figures[contest.key].quiet < extent.rounds]:
        for contest in disturbed:
            if time.monotonic() > patience:
                return figures
            tell(f"disturbed, so once more ({len(disturbed)} to go): {contest.key}")
            figures[contest.key].trials.append(_seen(contest, lanes, ours))
    return figures


def _seen(contest: Contest, lanes: Mapping[str, Lane], ours: Collection[int]) -> Seen:
    before = read(ours)
    trial = lanes[contest.lane].ask(contest.contestant, **contest.arguments)
    return Seen(trial, between(before, read(ours)))


def band(value: Callable[[Mapping[str, Figure]], float], figures: Mapping[str, Figure]) -> tuple[float, float]:
    """Within what a value that is made of figures lies nine times of ten, by resampling their trials."""
    rng = random.Random(1)
    drawn = []
    for _ in range(_RESAMPLES):
        again: dict[str, Figure] = _Lazily(figures, rng)
        drawn.append(value(again))
    drawn.sort()
    low, high = (drawn[round(share * (len(drawn) - 1))] for share in _BAND)
    return low, high


class _Lazily(defaultdict[str, Figure]):
    """Resamples only the figures that are asked for."""

    def __init__(self, figures: Mapping[str, Figure], rng: random.Random) -> None:
        super().__init__()
        self._figures = figures
        self._rng = rng

    def __missing__(self, key: str) -> Figure:
        self[key] = self._figures[key].resampled(self._rng)
        return self[key]
