"""Ratios of two figures of the same run, with their goals and confidence bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tools.bench import startup
from tools.bench.benchmarks import AT_ONCE, FACTS, FACTS_PHOTO, FIRST_PHOTO, SOURCES, key
from tools.bench.inputs.networks import DEFAULT_NETWORK, NETWORKS
from tools.bench.inputs.photos import JPEGS, KINDS
from tools.bench.runner import band

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tools.bench.runner import Figure

    Figures = Mapping[str, Figure]

_OF_CEILING = {"12 MP": 0.95, "2 MP": 0.88}
_OF_BARE_LOOP = 0.97
_OF_BASELINE = {"12 MP": 3.0, "2 MP": 2.6, "0.3 MP": 1.5}
_OF_SERIAL_BASELINE = {"12 MP": 4.5, "2 MP": 2.5}
_OF_MEMORY = {"12 MP": 0.85, "2 MP": 0.75}
_OF_FLOOR = {"12 MP": 1.15}
_OF_EAGER = {"MobileNetV2": 3.0}
_OVERHEAD_MS = 3.0
_FACT_MS = 0.3
_APP_START, _CLASSIFY_START = 1.15, 1.35
_OF_WHAT_THE_HOST_LEAVES = 0.9
_REQUESTS = {"fresh": 6, "duplicate": 2}


@dataclass(frozen=True, slots=True)
class Ratio:
    """One ratio of a run.

    Attributes:
        name: Numerator / denominator. Kept runs are compared by it.
        value: The ratio; a difference or a count if the name has a unit.
        low: 5th percentile of its bootstrap.
        high: 95th percentile.
        goal: The value to reach, if there is one.
        more_is_better: Whether the goal is a minimum.
        is_noisy: Whether one of its figures is noisy; its confidence band is too narrow then.
    """

    name: str
    value: float
    low: float
    high: float
    goal: float | None = None
    more_is_better: bool = True
    is_noisy: bool = False

    @property
    def is_reached(self) -> bool | None:
        """Whether the value reaches the goal; ``None`` without a goal."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.more_is_better else self.value <= self.goal


class _Formula(NamedTuple):
    """How a ratio is computed from the figures that it needs."""

    name: str
    value: Callable[[Figures], float]
    needs: tuple[str, ...]
    goal: float | None = None
    more_is_better: bool = True


def ratios(figures: Figures, requests: Mapping[str, list[str]], cpus: int) -> list[Ratio]:
    """Return every ratio whose figures were measured.

    Args:
        figures: By name of the benchmark.
        requests: The storage requests of a ``fresh`` and of a ``duplicate`` upload, if they were recorded.
        cpus: How many CPUs the run could use.
    """
    found = []
    for name, value, needs, goal, more_is_better in _formulas(cpus):
        if figures.keys() >= set(needs):
            needed = {each: figures[each] for each in needs}
            is_noisy = any(figure.is_noisy for figure in needed.values())
            found.append(Ratio(name, value(needed), *band(value, needed), goal, more_is_better, is_noisy))
    for upload, sent in requests.items():
        count = len(sent)
        name = f"storage requests of a {upload} upload"
        found.append(Ratio(name, count, count, count, _REQUESTS[upload], more_is_better=False))
    return found


def _formulas(cpus: int) -> Iterator[_Formula]:
    for photo in JPEGS:
        yield from _in_memory(photo, cpus)
    yield from map(_fact, FACTS)
    for photo in KINDS:
        if photo not in JPEGS:
            names = key("classify", photo, cpus), key("sample", photo, cpus)
            yield _rate(f"{photo}: rate / peer's, {cpus} threads", *names)
    for photo in JPEGS:
        yield _overhead(photo)
        reload = key("reload", photo, cpus)
        yield _rate(f"{photo}: rate / loading the model at every call", key("app function", photo), reload)
    for photo in JPEGS:
        yield from _backfill(photo, cpus)
    for source in SOURCES:
        for photo in JPEGS:
            yield from _under_host(source, photo)
    for network in NETWORKS:
        for threads in sorted({1, cpus}):
            goal = _OF_EAGER.get(network) if threads == cpus else None  # PyTorch's own default is all CPUs
            name = f"{network}: PyTorch CPU, {threads} thread{'s' * (threads > 1)} / ours"
            yield _cpu(name, key("eager", network, threads), key("infer", network, 1), goal, more_is_better=True)
    name = f"start to first image ({FIRST_PHOTO}) / bare imports and session"
    yield _start(name, startup.APP, startup.BARE, _APP_START)
    name = f"classify --json to first line ({FIRST_PHOTO}) / bare imports and session"
    yield _start(name, startup.CLASSIFY, startup.CLASSIFY_BARE, _CLASSIFY_START)


def _in_memory(photo: str, cpus: int) -> Iterator[_Formula]:
    classify, infer = key("classify", photo, cpus), key("infer", DEFAULT_NETWORK, 1)
    decode, floor, bare_tensor = (key(name, photo, 1) for name in ("decode", "floor", "bare tensor"))

    def of_ceiling(figures: Figures) -> float:
        cpu_s = (figures[bare_tensor].cpu_ms + figures[infer].cpu_ms) / 1000
        return figures[classify].images_per_s * cpu_s / cpus

    needs = (classify, bare_tensor, infer)
    yield _Formula(f"{photo}: rate / ceiling", of_ceiling, needs, _OF_CEILING.get(photo))
    yield _rate(f"{photo}: rate / bare loop", classify, key("bare loop", photo, cpus), _OF_BARE_LOOP)
    sample, serial = key("sample", photo, cpus), key("sample", photo, 1)
    yield _rate(f"{photo}: rate / peer's, {cpus} threads", classify, sample, _OF_BASELINE.get(photo))
    yield _rate(f"{photo}: rate / peer's, serial", classify, serial, _OF_SERIAL_BASELINE.get(photo))
    yield _cpu(f"{photo}: decode CPU / floor", decode, floor, _OF_FLOOR.get(photo))


def _fact(name: str) -> _Formula:
    """The CPU time of one thing that is read from a photo beside its label."""
    fact = key(name, FACTS_PHOTO, 1)
    title = f"{FACTS_PHOTO}: CPU ms of {name}"
    return _Formula(title, lambda figures: figures[fact].cpu_ms, (fact,), _FACT_MS, more_is_better=False)


def _overhead(photo: str) -> _Formula:
    function, classify, calls = key("app function", photo), key("app classify", photo), key("calls", photo)

    def overhead_ms(figures: Figures) -> float:
        return figures[function].cpu_ms - figures[classify].cpu_ms - figures[calls].cpu_ms

    name = f"{photo}: CPU ms beyond classify and bare calls"
    return _Formula(name, overhead_ms, (function, classify, calls), _OVERHEAD_MS, more_is_better=False)


def _backfill(photo: str, cpus: int) -> Iterator[_Formula]:
    """Ratios of a backfill without its start and end, whose share shrinks with the number of images."""
    backfill, classify, nothing = key("backfill", photo), key("classify", photo, cpus), key("backfill", "nothing")

    def of_rate(figures: Figures) -> float:
        images = figures[backfill].counted[0].images
        seconds = images / figures[backfill].images_per_s - 1 / figures[nothing].images_per_s
        return images / seconds / figures[classify].images_per_s

    def of_cpu(figures: Figures) -> float:
        images = figures[backfill].counted[0].images
        return figures[classify].cpu_ms / (figures[backfill].cpu_ms - figures[nothing].cpu_ms / images)

    needs = (backfill, classify, nothing)
    yield _Formula(f"{photo}: backfill rate / in memory", of_rate, needs, _OF_MEMORY.get(photo))
    yield _Formula(f"{photo}: in-memory CPU / backfill CPU", of_cpu, needs)


def _under_host(source: str, photo: str) -> Iterator[_Formula]:
    """Ratios of CPU times for each image: host and worker, compared with the parts measured alone in turns with them.

    The host leaves what it does not use itself, in the same trial: the worker's CPU. The share that the app makes use
    of is ``function path / worker``. ``(host alone + function path) / (host + worker)`` is low also where the host uses
    more with the app than with an answer at once.
    """
    alone = key("host", f"{source}, {AT_ONCE}")
    host, worker, function, memory = (
        key(name, f"{source}, {photo}") for name in ("host", "worker", "function path", "in memory")
    )

    def of_both(part: str) -> Callable[[Figures], float]:
        return lambda figures: (
            (figures[alone].cpu_ms + figures[part].cpu_ms) / (figures[host].cpu_ms + figures[worker].cpu_ms)
        )

    goal = _OF_WHAT_THE_HOST_LEAVES
    of = f"{photo}, {source}"
    yield _cpu(f"{of}: CPU of function path / worker", function, worker, goal, more_is_better=True)
    needs = (alone, host, worker)
    name = f"{of}: CPU of host alone and function path / under the host"
    yield _Formula(name, of_both(function), (*needs, function), goal)
    name = f"{of}: CPU of host alone and decode and inference / under the host"
    yield _Formula(name, of_both(memory), (*needs, memory))
    name = f"{of}: the host's CPU ms for each image"
    yield _Formula(name, lambda figures: figures[host].cpu_ms, (host,), more_is_better=False)


def _rate(name: str, one: str, other: str, goal: float | None = None) -> _Formula:
    return _Formula(name, lambda figures: figures[one].images_per_s / figures[other].images_per_s, (one, other), goal)


def _cpu(name: str, one: str, other: str, goal: float | None = None, *, more_is_better: bool = False) -> _Formula:
    return _Formula(
        name, lambda figures: figures[one].cpu_ms / figures[other].cpu_ms, (one, other), goal, more_is_better
    )


def _start(name: str, one: str, bare: str, goal: float) -> _Formula:
    """A ratio of durations, which are the inverse of the rates."""
    return _rate(name, bare, one, goal)._replace(more_is_better=False)
