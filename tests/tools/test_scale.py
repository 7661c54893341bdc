"""The simulation against what must hold whatever its inputs: queueing theory, conservation, monotony, determinism."""

from __future__ import annotations

import json
import math
import random
from dataclasses import asdict, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.scale.__main__ import PICTURE
from tools.scale.document import DOCUMENT, RESULTS, written
from tools.scale.journal import Journal, percentile
from tools.scale.limits import Fleet, Image, Layout, Limits, Patience, Setup
from tools.scale.meter import Lane, Meter
from tools.scale.picture import drawn
from tools.scale.scenarios import bursts
from tools.scale.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Generator

    from simpy import Event

NO_LIMITS = Limits(1e9, 1e9, 1e9, 1e9, 1e9, 1e9, burst_s=1.0)
STEADY = Image(cpu_s=0.05, client_cpu_s=0.0, cpu_variation=0.0, request_s=0.0)
WIDE = Fleet(threads=10_000, held=10_000, batch=10_000, refill=10_000)  # nothing waits but for a core


def simulated(arrivals: list[float], *, seed: int = 1, **parts: Any) -> Simulation:
    return Simulation(arrivals, Setup(**parts), seed=seed)


def poisson(rate: float, count: int, seed: int = 1) -> list[float]:
    rng, now, moments = random.Random(seed), 0.0, []
    for _ in range(count):
        now += rng.expovariate(rate)
        moments.append(now)
    return moments


def burst(count: int, per_s: float = 1000) -> list[float]:
    return [number / per_s for number in range(count)]


def erlang_c(servers: int, load: float) -> float:
    """The share of customers that wait, in M/M/c."""
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


class Exponential(random.Random):
    """Service times as in M/M/c: what is log-normal in the simulation becomes exponential with mean 1."""

    def lognormvariate(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return self.expovariate(1.0)


@pytest.mark.parametrize(("cores", "utilisation"), [(1, 0.5), (2, 0.7), (4, 0.8)], ids=str)
def test_waiting_is_what_theory_says(cores: int, utilisation: float) -> None:
    """M/M/c: one instance whose cores are all that is waited for, random arrivals, exponential service."""
    service_s, count = 0.05, 8_000
    rate = utilisation * cores / service_s
    simulation = simulated(
        poisson(rate, count), image=STEADY, fleet=replace(WIDE, cores=float(cores)), limits=NO_LIMITS, seed=3
    )
    simulation.rng = Exponential(5)
    began: list[float] = []
    machine = simulation.instances[0]._machine
    compute = machine.compute

    def timed(seconds: float) -> Generator[Event, Any, Any]:
        started = simulation.env.now
        yield from compute(seconds)
        began.append(simulation.env.now - started - seconds)

    machine.compute = timed  # type: ignore[method-assign]
    simulation.run()
    waited = sum(began) / len(began)
    expected = erlang_c(cores, utilisation * cores) * service_s / (cores * (1 - utilisation))
    assert waited == pytest.approx(expected, rel=0.25)  # 8,000 customers know no better


def test_littles_law_holds() -> None:
    """Images in the system, over time, are their rate times their time in it."""
    journal = simulated(poisson(100, 3000), fleet=Fleet(6, 6), seed=2).run()
    latencies = journal.latencies()
    seconds = journal.seconds()
    changes = sorted([(moment, 1) for moment in journal.uploaded] + [(moment, -1) for moment in journal.settled])
    area = inside = 0.0
    before = changes[0][0]
    for moment, change in changes:
        area += inside * (moment - before)
        inside, before = inside + change, moment
    assert inside == 0
    assert area / seconds == pytest.approx(len(latencies) / seconds * (sum(latencies) / len(latencies)))


tight_limits = st.builds(
    Limits,
    queue_per_s=st.sampled_from([30.0, 200.0, 1e6]),
    partition_per_s=st.sampled_from([20.0, 100.0, 1e6]),
    tables_per_s=st.sampled_from([40.0, 1e6]),
    account_per_s=st.sampled_from([80.0, 1e6]),
    events_per_s=st.sampled_from([50.0, 5000.0]),
)
layouts = st.builds(Layout, queues=st.integers(1, 3), folders=st.integers(1, 3), labels=st.integers(1, 3))
fleets = st.builds(Fleet, instances=st.sampled_from([0, 3, 5]), most=st.sampled_from([5, 8]), step=st.integers(3, 4))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    count=st.integers(1, 300), setup=st.builds(Setup, fleet=fleets, limits=tight_limits, layout=layouts), data=st.data()
)
def test_no_image_is_lost_or_made_up(count: int, setup: Setup, data: st.DataObject) -> None:
    """Uploads = rows + given up + still on their way, however tight the limits; run to the end, none is on its way."""
    until_s = data.draw(st.sampled_from([None, 5.0, 60.0]))
    journal = Simulation(burst(count), setup, seed=data.draw(st.integers(0, 10))).run(until_s)
    settled = sum(not math.isnan(moment) for moment in journal.settled)
    assert journal.rows == settled == len(journal.latencies())
    assert all(late > 0 for late in journal.latencies())
    assert journal.rows + journal.counts["given_up"] <= len(journal.uploaded) <= count
    if until_s is None:
        assert journal.rows + journal.counts["given_up"] == count


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    def run(seed: int) -> list[float]:
        return simulated(burst(400), fleet=Fleet(0, 20, every_s=1), seed=seed).run().latencies()

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_more_instances_are_never_slower_where_nothing_is_limited() -> None:
    rates = [
        simulated(burst(600), fleet=Fleet(count, count), limits=NO_LIMITS).run().images_per_s()
        for count in (1, 2, 4, 8)
    ]
    assert all(more > 1.7 * fewer for fewer, more in pairwise(rates))


def test_one_instance_does_what_its_core_can() -> None:
    image = Image()
    rate = simulated(burst(1000), limits=NO_LIMITS).run().images_per_s()
    assert rate == pytest.approx(1 / (image.cpu_s + image.client_cpu_s), rel=0.05)


@pytest.mark.parametrize(("cores", "times"), [(0.25, 0.25), (0.5, 0.5), (2.0, 2.0)], ids=["quarter", "half", "two"])
def test_cores_may_be_fractions(cores: float, times: float) -> None:
    def rate(cores: float) -> float:
        fleet = replace(WIDE, cores=cores)
        return simulated(burst(400, 1e5), image=STEADY, fleet=fleet, limits=NO_LIMITS).run().images_per_s()

    assert rate(cores) == pytest.approx(times * rate(1.0), rel=0.05)


@pytest.mark.parametrize(
    ("limits", "layout", "most_per_s"),
    [
        (replace(NO_LIMITS, queue_per_s=300), Layout(), 300 / 2),
        (replace(NO_LIMITS, partition_per_s=200), Layout(folders=1), 200 / 2),
        (replace(NO_LIMITS, partition_per_s=100), Layout(folders=100, labels=100), 100),
        (replace(NO_LIMITS, tables_per_s=400), Layout(), 400 / 4),
    ],
    ids=[
        "receive and delete of one queue",
        "two requests to one folder",
        "one index row a day",
        "four of an account's",
    ],
)
def test_the_wall_is_where_the_arithmetic_says(limits: Limits, layout: Layout, most_per_s: float) -> None:
    """With many instances a limit is what counts; who is refused tries again, so a part of it is wasted."""
    burst_free = replace(limits, burst_s=0.1)
    simulation = simulated(burst(1500, 5000), fleet=Fleet(40, 40), limits=burst_free, layout=layout)
    rate = simulation.run(600).images_per_s()
    assert rate <= most_per_s * 1.1
    assert rate >= most_per_s * 0.4


def test_a_second_queue_moves_the_wall() -> None:
    tight = replace(NO_LIMITS, queue_per_s=200, burst_s=0.1)

    def rate(queues: int) -> float:
        layout = Layout(queues=queues)
        return simulated(burst(1500, 200), fleet=Fleet(40, 40), limits=tight, layout=layout).run().images_per_s()

    assert rate(4) > 2 * rate(1)


def test_without_an_instance_events_wait_for_the_first() -> None:
    fleet = Fleet(0, 4, cold_start_s=20, every_s=1)
    journal = simulated(burst(50), fleet=fleet).run()
    assert journal.rows == 50
    assert min(journal.latencies()) > 19
    assert journal.counts["event_retries"] > 0


def test_what_fails_for_long_is_given_up_after_the_apps_own_delays() -> None:
    """No table answers: five deliveries, then the growing delays, each with five more, then the end."""
    dead = replace(NO_LIMITS, partition_per_s=1e-12)
    patience = Patience(sdk_s=(0.1,), delayed_s=(60, 300))
    simulation = simulated([0.0], limits=dead, patience=patience)
    journal = simulation.run()
    assert journal.rows == 0
    assert journal.counts["given_up"] == 1
    assert journal.counts["poisoned"] == 3
    assert journal.counts["delivery_failed"] == 15
    assert simulation.env.now == pytest.approx(360, rel=0.05)


@given(st.floats(1, 1000), st.lists(st.floats(0, 0.05), min_size=1, max_size=300))
def test_a_meter_never_lets_more_through_than_its_rate_and_one_burst(per_s: float, pauses: list[float]) -> None:
    meter, now = Meter(per_s, burst_s=0.5), 0.0
    for pause in pauses:
        now += pause
        meter.take(now)
    assert meter.taken <= per_s * (now + 0.5) + 1e-6
    assert meter.taken + meter.refused == len(pauses)


def test_a_lane_delays_and_refuses_nobody() -> None:
    lane = Lane(10)
    assert [round(lane.wait_s(0.0), 6) for _ in range(4)] == [0.0, 0.1, 0.2, 0.3]
    assert lane.wait_s(100.0) == 0.0


def test_a_journal_counts_an_image_once() -> None:
    journal = Journal()
    for moment in (0.0, 1.0, 2.0):
        journal.upload(moment)
    journal.settle(1, 4.0)
    journal.settle(1, 5.0)
    assert journal.rows == 1
    assert journal.counts["duplicates"] == 1
    assert journal.latencies() == [3.0]
    assert journal.most_waiting() == 3
    assert math.isnan(percentile([], 0.5))
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0


def test_the_document_and_the_picture_show_the_kept_results() -> None:
    text = DOCUMENT.read_text()
    assert written(text) == text, "python -m tools.scale.document"
    assert PICTURE.read_text() == drawn(json.loads(RESULTS.read_text())), "python -m tools.scale picture"


def test_the_kept_results_are_the_simulations_own() -> None:
    """The first burst again, so that results, document and picture cannot outlive a change of the model."""
    kept = json.loads(RESULTS.read_text())["bursts"][0]
    assert asdict(next(bursts())) == pytest.approx(kept)


def test_the_picture_shows_every_run() -> None:
    results = json.loads(RESULTS.read_text())
    assert drawn(results).count("<circle") == len(results["bursts"]) + 2 * len(results["one_burst"])
