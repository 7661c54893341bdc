"""The runs behind ``docs/scale.md``: bursts by number of instances, a steady stream, scaling out from nothing."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tools.scale.journal import percentile
from tools.scale.limits import Fleet, Layout, Limits, Setup
from tools.scale.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTANCES = (1, 10, 30, 100, 300, 1000)
_UPLOADS_PER_S = 5000  # what Event Grid is taken to push; no uploader will be much faster
_IMAGES_PER_INSTANCE, _LEAST_IMAGES, _MOST_IMAGES = 300, 1000, 12_000
_STEADY_PER_S, _STEADY_S = 200, 60


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to set things up, and one reading of the limits."""

    name: str
    layout: Layout = field(default_factory=Layout)
    limits: Limits = field(default_factory=Limits)


VARIANTS = (
    Variant("as it is"),
    Variant("if a message counts once", limits=Limits(queue_per_s=6000)),
    Variant("the same, in one folder", Layout(folders=1), Limits(queue_per_s=6000)),
    Variant("4 apps", Layout(queues=4)),
    Variant("10 apps", Layout(queues=10)),
    Variant("10 apps, 8 index partitions a day", Layout(queues=10, day_partitions=8)),
    Variant("10 apps, 5 accounts", Layout(queues=10, day_partitions=5, labels=50, folders=500, accounts=5)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to. Seconds, images, images per second."""

    variant: str
    instances: int
    images: int
    images_per_s: float
    p50_s: float
    p99_s: float
    most_waiting: int
    throttled: int
    event_retries: int
    duplicates: int
    poisoned: int
    given_up: int
    tightest: str


def bursts(seed: int = 1, share: float = 1.0) -> Iterator[Outcome]:
    """A burst for every variant and number of instances; all are there from the start. ``share``: of the images."""
    for variant in VARIANTS:
        for instances in (count for count in INSTANCES if count >= variant.layout.queues):
            images = round(share * min(_MOST_IMAGES, max(_LEAST_IMAGES, _IMAGES_PER_INSTANCE * instances)))
            simulation = Simulation(
                (number / _UPLOADS_PER_S for number in range(images)),
                Setup(fleet=Fleet(instances, instances), layout=variant.layout, limits=variant.limits),
                seed=seed,
            )
            yield outcome(variant.name, simulation)


def one_burst(images: int, seed: int = 1) -> Iterator[Outcome]:
    """The same burst, 1,000 uploads a second, for every number of instances: how long images wait, how many do."""
    for instances in INSTANCES:
        arrivals = (number / 1000 for number in range(images))
        yield outcome("as it is", Simulation(arrivals, Setup(fleet=Fleet(instances, instances)), seed=seed))


def steady(seed: int = 1) -> Iterator[Outcome]:
    """200 images a second, at random moments, for a minute."""
    for instances in (6, 7, 8, 10, 30, 100):
        rng = random.Random(seed)
        arrivals, now = [], 0.0
        while now < _STEADY_S:
            now += rng.expovariate(_STEADY_PER_S)
            arrivals.append(now)
        yield outcome("steady", Simulation(arrivals, Setup(fleet=Fleet(instances, instances)), seed=seed))


def scaling_out(images: int, seed: int = 1) -> Iterator[Outcome]:
    """A burst that finds no instance: scaling as the documentation has it, and as fast as HTTP apps were seen to."""
    for name, fleet in (
        ("4 more every 30 s", Fleet(0, 100)),
        ("20 more every second", Fleet(0, 100, step=20, every_s=1.0)),
    ):
        simulation = Simulation((number / 1000 for number in range(images)), Setup(fleet=fleet), seed=seed)
        yield outcome(name, simulation)


def outcome(name: str, simulation: Simulation) -> Outcome:
    """Run a simulation to its end and sum it up."""
    journal = simulation.run()
    latencies = journal.latencies()
    refused = {what: sum(meter.refused for meter in meters) for what, meters in simulation.storage.by_name().items()}
    worst = max(refused, key=lambda what: refused[what])
    return Outcome(
        variant=name,
        instances=len(simulation.instances),
        images=len(journal.uploaded),
        images_per_s=journal.images_per_s(),
        p50_s=percentile(latencies, 0.5),
        p99_s=percentile(latencies, 0.99),
        most_waiting=journal.most_waiting(),
        **{key: journal.counts[key] for key in ("throttled", "event_retries", "duplicates", "poisoned", "given_up")},
        tightest=worst if refused[worst] else "",
    )


def as_json(outcomes: dict[str, list[Outcome]]) -> dict[str, list[dict[str, Any]]]:
    """Outcomes as plain values."""
    return {name: [asdict(one) for one in some] for name, some in outcomes.items()}
