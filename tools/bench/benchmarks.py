"""The plan of a bench: which functions run in which worker process, with which arguments and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.bench.inputs.networks import DEFAULT_NETWORK, NETWORKS
from tools.bench.inputs.photos import JPEGS, KINDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SECTIONS = {
    "jpeg": "JPEG of 12, 2 and 0.3 megapixels: the app in memory, its lower bounds and a baseline",
    "formats": "12 megapixels as progressive JPEG, PNG, WebP and HEIC",
    "networks": "MobileNetV2 and ResNet-18 alone, and by PyTorch eager if torch is installed",
    "function": "the whole function path against the emulator, and bare SDK calls",
    "backfill": "the backfill command against the emulator",
    "host": "uploads to rows under Microsoft's trigger extensions (webjobs-host), by CPU, and their own share",
    "start": "the start of a fresh process up to its first classified image",
}
SHORT_SECTIONS = ("jpeg", "networks", "function", "start")
NO_PHOTO = ""
AT_ONCE = "an answer at once"
FIRST_IMAGES = "its first images"
SOURCES = {"polling": "LogsAndContainerScan", "Event Grid": "EventGrid"}
"""Values of ``BLOB_TRIGGER_SOURCE``, by their names in results."""
FACTS, FACTS_PHOTO = ("capture facts", "phash"), "2 MP"
"""Facts of a photo beside its label, and the photo that their cost is measured with."""
FIRST_PHOTO = "0.3 MP"
"""The photo that a fresh process classifies first."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: Undisturbed trials of each benchmark.
        seconds: Duration of a trial that repeats a function.
        retry_seconds: For how long disturbed trials are repeated.
        events: Invocations in a trial of the function path, by kind of photo.
        backfilled: Blobs that a backfill finds, by kind of photo.
        starts: Fresh processes of each kind.
        hosted: Uploads in a trial under ``webjobs-host``, by kind of photo; without one, every function succeeds at
            once. As many images in a trial of the same without a host.
        host_rounds: Undisturbed trials of each of them.
    """

    rounds: int
    seconds: float
    retry_seconds: float
    events: dict[str, int]
    backfilled: dict[str, int]
    starts: int
    hosted: dict[str, int] = field(default_factory=dict)
    host_rounds: int = 1

    @property
    def uploads(self) -> dict[str, int]:
        """Blobs that the emulator must hold, by kind of photo."""
        return {photo: max(count, self.backfilled.get(photo, 0)) for photo, count in self.events.items()}


FULL = Effort(
    rounds=7,
    seconds=0.8,
    retry_seconds=300,
    events={"12 MP": 24, "2 MP": 60, "0.3 MP": 120},
    backfilled={"12 MP": 96, "2 MP": 240},
    starts=9,
    hosted={NO_PHOTO: 60, "12 MP": 16, "2 MP": 24, "0.3 MP": 40},
    host_rounds=3,
)
SHORT = Effort(
    rounds=2,
    seconds=0.15,
    retry_seconds=5,
    events={"12 MP": 8, "2 MP": 16, "0.3 MP": 24},
    backfilled={"12 MP": 16, "2 MP": 40},
    starts=3,
    hosted={NO_PHOTO: 40, "12 MP": 8, "2 MP": 16, "0.3 MP": 24},
)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One function with its arguments.

    Attributes:
        key: Its name in results: function, input and threads.
        worker: A module of ``tools.bench.workers``.
        function: One of the functions that the module offers.
        arguments: Its arguments, in types that JSON has.
    """

    key: str
    worker: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)


def key(function: str, of: str, threads: int | None = None) -> str:
    """Return the name of a benchmark in results."""
    return f"{function} / {of}" + ("" if threads is None else f" / {threads}")


def sections_using(photo: str) -> set[str]:
    """Return the sections that need one kind of photo."""
    if photo not in JPEGS:
        return {"formats"}
    return {"jpeg", "function", "backfill", "host", *(["start"] if photo == FIRST_PHOTO else [])}


def plan(sections: Collection[str], effort: Effort, cpus: int, *, with_torch: bool) -> list[Benchmark]:
    """Return the benchmarks of some sections, in the order in which each round runs them."""
    by_section = {
        "jpeg": _jpeg(effort, cpus),
        "formats": _formats(effort, cpus),
        "networks": _networks(effort, cpus, with_torch=with_torch),
        "function": _function(effort, cpus),
        "backfill": _backfill(effort, cpus),
    }
    found = [each for section, benchmarks in by_section.items() if section in sections for each in benchmarks]
    return list({each.key: each for each in found}.values())  # some belong to several sections


def _repeated(effort: Effort, worker: str, function: str, photo: str, *threads: int) -> Iterator[Benchmark]:
    for count in sorted(set(threads)):
        arguments = {"photo": photo, "threads": count, "seconds": effort.seconds}
        yield Benchmark(key(function, photo, count), worker, function, arguments)


def _infer(effort: Effort, network: str, threads: int) -> Benchmark:
    arguments = {"network": network, "threads": threads, "seconds": effort.seconds}
    return Benchmark(key("infer", network, threads), "app", "infer", arguments)


def _jpeg(effort: Effort, cpus: int) -> Iterator[Benchmark]:
    for photo in JPEGS:
        for function in ("floor", "decode", "bare tensor"):
            yield from _repeated(effort, "app", function, photo, 1)
        yield from _repeated(effort, "app", "bare loop", photo, cpus)
        yield from _repeated(effort, "app", "classify", photo, 1, cpus)
        yield from _repeated(effort, "baselines", "sample", photo, 1, cpus)
    for function in FACTS:
        yield from _repeated(effort, "app", function, FACTS_PHOTO, 1)
    yield _infer(effort, DEFAULT_NETWORK, 1)


def _formats(effort: Effort, cpus: int) -> Iterator[Benchmark]:
    for photo in KINDS:
        if photo not in JPEGS:
            yield from _repeated(effort, "app", "decode", photo, 1)
            yield from _repeated(effort, "app", "classify", photo, cpus)
            yield from _repeated(effort, "baselines", "sample", photo, cpus)


def _networks(effort: Effort, cpus: int, *, with_torch: bool) -> Iterator[Benchmark]:
    for network in NETWORKS:
        for threads in sorted({1, cpus}):
            yield _infer(effort, network, threads)
            if with_torch:
                arguments = {"network_name": network, "torch_threads": threads, "seconds": effort.seconds}
                yield Benchmark(key("eager", network, threads), "pytorch", "eager", arguments)


def _function(effort: Effort, cpus: int) -> Iterator[Benchmark]:
    for photo, images in effort.events.items():
        arguments = {"photo": photo, "images": images}
        for function in ("function", "duplicate", "classify"):
            yield Benchmark(key(f"app {function}", photo), "function_path", function, arguments)
        yield Benchmark(key("calls", photo), "bare_sdk", "calls", dict(arguments))
        reload = {**arguments, "threads": cpus, "seconds": effort.seconds}
        yield Benchmark(key("reload", photo, cpus), "baselines", "reload", reload)


def _backfill(effort: Effort, cpus: int) -> Iterator[Benchmark]:
    for photo in effort.backfilled:
        yield from _repeated(effort, "app", "classify", photo, cpus)
        yield Benchmark(key("backfill", photo), "backfill", "backfill", {"photo": photo})
    yield Benchmark(key("backfill", "nothing"), "backfill", "backfill", {"photo": NO_PHOTO})
