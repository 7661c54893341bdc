"""Trials, disturbances, rounds and ratios: which trials count, which are repeated, how ratios are computed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from inference.errors import ConfigurationError
from tools.bench import machine, runner
from tools.bench.benchmarks import FULL, SECTIONS, Benchmark, Effort, plan
from tools.bench.inputs.photos import KINDS
from tools.bench.ratios import Ratio, ratios
from tools.bench.trials import Trial, run_for

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET, LOUD = machine.Disturbance(0.01, 0.0), machine.Disturbance(0.5, 0.2)
PAIR = [Benchmark("a", "app", "a"), Benchmark("b", "app", "b")]


def test_the_first_image_of_every_thread_is_not_counted() -> None:
    runs: list[int] = []
    trial = run_for(0.01, lambda: runs.append(threading.get_ident()), threads=3)
    assert trial.images == len(runs) - 3
    assert trial.images_per_s > 0


def test_an_error_ends_a_trial() -> None:
    calls = iter(range(100))

    def work() -> None:
        if next(calls) == 1:
            raise ConfigurationError("broken")

    with pytest.raises(ConfigurationError, match="broken"):
        run_for(0.01, work, threads=2)


def test_other_cpu_is_the_busy_time_without_the_bench() -> None:
    before = machine.Reading(wall=100.0, cpus=2, busy=50.0, steal=1.0, own=10.0)
    after = machine.Reading(wall=110.0, cpus=2, busy=65.0, steal=2.0, own=23.0)
    found = machine.disturbance(before, after)
    assert found.other_cpu == pytest.approx(2.0 / 20)
    assert found.steal == pytest.approx(1.0 / 20)
    assert not found.is_quiet


def test_without_proc_every_trial_counts() -> None:
    assert machine.disturbance(None, None).is_quiet


@pytest.mark.skipif(machine.read_clocks([]) is None, reason="needs /proc/stat")
def test_clocks_include_this_process() -> None:
    before = machine.read_clocks([os.getpid()])
    sum(number * number for number in range(3_000_000))
    after = machine.read_clocks([os.getpid()])
    assert before is not None
    assert after is not None
    assert after.own > before.own
    assert after.busy > before.busy


def test_disturbed_trials_do_not_count(figure: Callable[..., runner.Figure]) -> None:
    found = figure((100.0, 5.0), (101.0, 5.0), (102.0, 5.0))
    found.measurements.append(runner.Measurement(Trial(10, 1.0, 900.0), LOUD))
    assert (found.images_per_s, found.cpu_ms, found.quiet) == (101.0, 5.0, 3)


def test_if_all_trials_are_disturbed_the_least_disturbed_half_counts() -> None:
    levels = (0.9, 0.1, 0.5, 0.2)
    measurements = [runner.Measurement(Trial(1, each, each), machine.Disturbance(each, 0.0)) for each in levels]
    found = runner.Figure(4, measurements)
    assert found.is_noisy
    assert sorted(trial.cpu_ms for trial in found.counted) == [0.1, 0.2]


class FakeWorker:
    """Answers at once, and records the calls."""

    process_id = 0

    def __init__(self) -> None:
        self.calls: list[str] = []

    def call(self, function: str, **_arguments: Any) -> Trial:
        self.calls.append(function)
        return Trial(1, 1.0, 1.0)


def effort(retry_seconds: float = 60.0) -> Effort:
    return Effort(rounds=3, seconds=0.01, retry_seconds=retry_seconds, events={}, backfilled={}, starts=1)


def test_benchmarks_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "disturbance", lambda _before, _after: QUIET)
    worker = FakeWorker()
    runner.run_rounds(PAIR, {"app": worker}, effort())  # type: ignore[dict-item]  # a fake
    assert worker.calls == ["a", "b"] * 3


def test_only_disturbed_trials_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    disturbances = iter([LOUD, QUIET, QUIET, QUIET, LOUD, QUIET, LOUD, QUIET, QUIET])
    monkeypatch.setattr(runner, "disturbance", lambda _before, _after: next(disturbances))
    worker = FakeWorker()
    figures = runner.run_rounds(PAIR, {"app": worker}, effort())  # type: ignore[dict-item]  # a fake
    assert worker.calls == ["a", "b"] * 3 + ["a", "a", "a"]
    assert {name: each.quiet for name, each in figures.items()} == {"a": 3, "b": 3}


def test_repeating_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "disturbance", lambda _before, _after: LOUD)
    worker = FakeWorker()
    figures = runner.run_rounds(PAIR[:1], {"app": worker}, effort(retry_seconds=0.0))  # type: ignore[dict-item]  # a fake
    assert len(worker.calls) == 3
    assert figures["a"].quiet == 0


def test_ratios_follow_their_definition(figure: Callable[..., runner.Figure]) -> None:
    figures = {
        "classify / 12 MP / 2": figure((50.0, 40.0)),
        "bare loop / 12 MP / 2": figure((51.0, 39.0)),
        "bare tensor / 12 MP / 1": figure((30.0, 34.0)),
        "infer / MobileNetV2 / 1": figure((250.0, 4.0)),
        "sample / 12 MP / 1": figure((10.0, 100.0)),
        "backfill / 12 MP": figure((8.0, 60.0)),
        "backfill / nothing": figure((4.0, 100.0)),
        "app function / 12 MP": figure((1.0, 60.0)),
        "app classify / 12 MP": figure((1.0, 40.0)),
        "calls / 12 MP": figure((1.0, 15.0)),
        "start / classify --json": figure((2.0, 500.0)),
        "start / bare for classify": figure((2.5, 400.0)),
    }
    found = {ratio.name: ratio.value for ratio in ratios(figures, {"fresh": ["table GET x", "blob GET y"]}, 2)}
    assert found == pytest.approx(
        {
            "12 MP: rate / ceiling": 50 / (2 / 0.038),
            "12 MP: rate / bare loop": 50 / 51,
            "12 MP: rate / peer's, serial": 5.0,
            "12 MP: CPU ms beyond classify and bare calls": 5.0,
            # Ten images took 1.25 s; the start and the end of the command took 0.25 s of it.
            "12 MP: backfill rate / in memory": 10 / 50,
            "12 MP: in-memory CPU / backfill CPU": 40 / 50,
            "classify --json to first line (0.3 MP) / bare imports and session": 0.5 / 0.4,
            "storage requests of a fresh upload": 2,
        }
    )


def test_the_band_grows_with_the_spread_of_the_trials(figure: Callable[..., runner.Figure]) -> None:
    steady = {
        "classify / 12 MP / 2": figure(*[(50.0, 1.0)] * 5),
        "bare loop / 12 MP / 2": figure(*[(50.0, 1.0)] * 5),
    }
    spread = {**steady, "bare loop / 12 MP / 2": figure((10.0, 1.0), (50.0, 1.0), (90.0, 1.0))}
    (narrow,), (wide,) = ratios(steady, {}, 2), ratios(spread, {}, 2)
    assert (narrow.low, narrow.high) == (1.0, 1.0)
    assert wide.low < 1.0 < wide.high


@pytest.mark.parametrize(
    ("value", "more_is_better", "reached"), [(2.0, True, True), (0.5, True, False), (0.5, False, True)]
)
def test_a_goal_has_a_direction(value: float, more_is_better: bool, reached: bool) -> None:  # noqa: FBT001 - a case
    assert Ratio("x", value, value, value, 1.0, more_is_better).is_reached is reached


def test_the_plan_measures_every_kind_of_photo_and_repeats_no_key() -> None:
    planned = plan(list(SECTIONS), FULL, 2, with_torch=True)
    assert {benchmark.arguments.get("photo") for benchmark in planned} >= set(KINDS)
    assert len({benchmark.key for benchmark in planned}) == len(planned)
