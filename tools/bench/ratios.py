"""What the figures mean: each goal as a ratio of two things that were measured in the same run, with its noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tools.bench.benchmarks import key
from tools.bench.networks import ARCHITECTURES
from tools.bench.photos import JPEGS, KINDS
from tools.bench.runner import band

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tools.bench.runner import Figure

    Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One statement.

    Attributes:
        name: What is compared with what.
        value: The ratio, or a difference where the name says its unit.
        low: Of its band.
        high: Of its band.
        goal: What we mean to reach; ``None`` where we only tell.
        more_is_better: Which way.
    """

    name: str
    value: float
    low: float
    high: float
    goal: float | None = None
    more_is_better: bool = True

    @property
    def is_reached(self) -> bool | None:
        """Whether the value is as good as the goal; ``None`` without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.more_is_better else self.value <= self.goal

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


_OF_CEILING = {"12 MP": 0.95, "2 MP": 0.88}
_OF_PEER = {"12 MP": 3.0, "2 MP": 2.1, "0.3 MP": 1.3}
_OF_SERIAL_PEER = {"12 MP": 4.5, "2 MP": 2.5}
_OF_BACKFILL = {"12 MP": 0.85, "2 MP": 0.75}
_OF_DECODE = {"12 MP": 1.25}
_OF_EAGER = {"MobileNetV2": 3.0}
_OVERHEAD_MS = 3.0
START_GOAL = 1.15
REQUESTS_GOAL, DUPLICATE_GOAL = 6, 2


def ratios(figures: Figures, cpus: int) -> list[Ratio]:
    """Say all that can be said of these figures."""
    found = []
    for name, value, goal, more_is_better, needed in _statements(cpus):
        if all(each in figures for each in needed):
            low, high = band(value, figures)
            found.append(Ratio(name, value(figures), low, high, goal, more_is_better))
    return found


Statement = tuple[str, "Callable[[Figures], float]", float | None, bool, tuple[str, ...]]


def _statements(cpus: int) -> Iterator[Statement]:
    for photo in JPEGS:
        yield from _of_path(photo, cpus)
    for photo in KINDS:
        if photo not in JPEGS:
            ours, peer = key("classify", photo, cpus), key("sample", photo, cpus)
            yield _rates(f"{photo}: rate / peer's, {cpus} threads", ours, peer)
    for photo in JPEGS:
        yield _overhead(photo)
        reload = key("reload", photo, cpus)
        yield _rates(f"{photo}: rate / loading the model at every call", key("app function", photo), reload)
    for photo in JPEGS:
        yield from _of_backfill(photo, cpus)
    for network in ARCHITECTURES:
        for threads in sorted({1, cpus}):
            goal = _OF_EAGER.get(network) if threads == cpus else None  # its default, so what its users get
            name = f"{network}: PyTorch CPU, {threads} thread{'s' * (threads > 1)} / ours"
            yield _costs(name, key("eager", network, threads), key("infer", network, 1), goal)


def _of_path(photo: str, cpus: int) -> Iterator[Statement]:
    ours, bare = key("classify", photo, cpus), key("bare loop", photo, cpus)
    decode, floor, bare_tensor = (key(name, photo, 1) for name in ("decode", "floor", "bare tensor"))
    infer = key("infer", "MobileNetV2", 1)

    def of_ceiling(figures: Figures) -> float:
        cost_s = (figures[bare_tensor].cpu_ms + figures[infer].cpu_ms) / 1000
        return figures[ours].images_per_s * cost_s / cpus

    name = f"{photo}: rate / ceiling"
    yield name, of_ceiling, _OF_CEILING.get(photo), True, (ours, bare_tensor, infer)
    yield _rates(f"{photo}: rate / bare loop", ours, bare, 0.97)
    yield _rates(f"{photo}: rate / peer's, {cpus} threads", ours, key("sample", photo, cpus), _OF_PEER.get(photo))
    yield _rates(f"{photo}: rate / peer's, serial", ours, key("sample", photo, 1), _OF_SERIAL_PEER.get(photo))
    yield _costs(f"{photo}: decode CPU / floor", decode, floor, _OF_DECODE.get(photo), more_is_better=False)


def _overhead(photo: str) -> Statement:
    function, classify, calls = key("app function", photo), key("app classify", photo), key("calls", photo)

    def beyond_ms(figures: Figures) -> float:
        return figures[function].cpu_ms - figures[classify].cpu_ms - figures[calls].cpu_ms

    name = f"{photo}: CPU ms beyond classify and bare calls"
    return name, beyond_ms, _OVERHEAD_MS, False, (function, classify, calls)


def _of_backfill(photo: str, cpus: int) -> Iterator[Statement]:
    """Starting and ending a backfill is left out: its share is the less the more there is to do."""
    backfill, ours, nothing = key("backfill", photo), key("classify", photo, cpus), key("backfill", "nothing")

    def of_rate(figures: Figures) -> float:
        images = figures[backfill].counting[0].images
        seconds = images / figures[backfill].images_per_s - 1 / figures[nothing].images_per_s
        return images / seconds / figures[ours].images_per_s

    def of_cpu(figures: Figures) -> float:
        images = figures[backfill].counting[0].images
        return figures[ours].cpu_ms / (figures[backfill].cpu_ms - figures[nothing].cpu_ms / images)

    needed = (backfill, ours, nothing)
    yield f"{photo}: backfill rate / in memory", of_rate, _OF_BACKFILL.get(photo), True, needed
    yield f"{photo}: in-memory CPU / backfill CPU", of_cpu, None, True, needed


def _rates(name: str, one: str, other: str, goal: float | None = None) -> Statement:
    return name, lambda figures: figures[one].images_per_s / figures[other].images_per_s, goal, True, (one, other)


def _costs(name: str, one: str, other: str, goal: float | None = None, *, more_is_better: bool = True) -> Statement:
    return name, lambda figures: figures[one].cpu_ms / figures[other].cpu_ms, goal, more_is_better, (one, other)
