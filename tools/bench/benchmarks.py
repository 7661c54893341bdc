"""Who is measured doing what: the whole programme of a bench, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tools.bench.networks import ARCHITECTURES
from tools.bench.photos import JPEGS, KINDS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SECTIONS = {
    "jpeg": "JPEG of 12, 2 and 0.3 megapixels: the floor, our path, the same steps bare, the peer",
    "formats": "12 megapixels as progressive JPEG, PNG, WebP and HEIC",
    "networks": "MobileNetV2 and ResNet-18 alone; PyTorch eager where there is torch",
    "function": "the whole function path against the emulator, and bare SDK calls",
    "backfill": "the backfill command against the emulator",
    "start": "from the start of a process to its first classified image",
}
SHORT_SECTIONS = ("jpeg", "networks", "function", "start")
PATH_NETWORK = "MobileNetV2"
NO_PHOTO = ""
FIRST_PHOTO = "0.3 MP"
"""What a fresh process classifies first."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes:
        rounds: Trials of each contest that shall count.
        seconds: How long a trial of what loops takes.
        patience_seconds: How long disturbed trials are tried again.
        events: Invocations per trial of the function path, for each kind of photo.
        backfilled: Blobs of each kind of photo that a backfill finds.
        starts: Fresh processes of each kind.
    """

    rounds: int
    seconds: float
    patience_seconds: float
    events: dict[str, int]
    backfilled: dict[str, int]
    starts: int

    @property
    def uploads(self) -> dict[str, int]:
        """Blobs of each kind of photo that are needed."""
        return {photo: max(count, self.backfilled.get(photo, 0)) for photo, count in self.events.items()}


WHOLE = Extent(
    rounds=7,
    seconds=0.8,
    patience_seconds=300,
    events={"12 MP": 24, "2 MP": 60, "0.3 MP": 120},
    backfilled={"12 MP": 96, "2 MP": 240},
    starts=9,
)
SHORT = Extent(
    rounds=2,
    seconds=0.15,
    patience_seconds=5,
    events={"12 MP": 8, "2 MP": 16, "0.3 MP": 24},
    backfilled={"12 MP": 16, "2 MP": 40},
    starts=3,
)


@dataclass(frozen=True, slots=True)
class Contest:
    """One thing to measure.

    Attributes:
        key: Its name among the figures: contestant, object and threads.
        lane: In which process.
        contestant: What of it.
        arguments: How.
    """

    key: str
    lane: str
    contestant: str
    arguments: dict[str, Any] = field(default_factory=dict)


def key(contestant: str, of: str, threads: int | None = None) -> str:
    """Name a figure."""
    return f"{contestant} / {of}" + ("" if threads is None else f" / {threads}")


def using(photo: str) -> set[str]:
    """Name the sections that need one kind of photo."""
    if photo not in JPEGS:
        return {"formats"}
    return {"jpeg", "function", "backfill", *(["start"] if photo == FIRST_PHOTO else [])}


def programme(sections: Collection[str], extent: Extent, cpus: int, *, torch: bool) -> list[Contest]:
    """List the contests of some sections, in the order in which each round runs them."""
    parts = {
        "jpeg": _jpeg(extent, cpus),
        "formats": _formats(extent, cpus),
        "networks": _networks(extent, cpus, torch=torch),
        "function": _function(extent, cpus),
        "backfill": _backfill(extent, cpus),
    }
    wanted = [contest for section, contests in parts.items() if section in sections for contest in contests]
    return list({contest.key: contest for contest in wanted}.values())  # some belong to several sections


def _loop(extent: Extent, lane: str, contestant: str, photo: str, *threads: int) -> Iterator[Contest]:
    for count in sorted(set(threads)):
        arguments = {"photo": photo, "threads": count, "seconds": extent.seconds}
        yield Contest(key(contestant, photo, count), lane, contestant, arguments)


def _infer(extent: Extent, network: str, threads: int) -> Contest:
    arguments = {"network": network, "threads": threads, "seconds": extent.seconds}
    return Contest(key("infer", network, threads), "ours", "infer", arguments)


def _jpeg(extent: Extent, cpus: int) -> Iterator[Contest]:
    for photo in JPEGS:
        for contestant in ("floor", "decode", "bare tensor", "tensor"):
            yield from _loop(extent, "ours", contestant, photo, 1)
        yield from _loop(extent, "ours", "bare loop", photo, cpus)
        yield from _loop(extent, "ours", "classify", photo, 1, cpus)
        yield from _loop(extent, "peer", "sample", photo, 1, cpus)
    yield _infer(extent, PATH_NETWORK, 1)


def _formats(extent: Extent, cpus: int) -> Iterator[Contest]:
    for photo in KINDS:
        if photo not in JPEGS:
            yield from _loop(extent, "ours", "decode", photo, 1)
            yield from _loop(extent, "ours", "classify", photo, cpus)
            yield from _loop(extent, "peer", "sample", photo, cpus)


def _networks(extent: Extent, cpus: int, *, torch: bool) -> Iterator[Contest]:
    for network in ARCHITECTURES:
        for threads in sorted({1, cpus}):
            yield _infer(extent, network, threads)
            if torch:
                eager = {"network_name": network, "torch_threads": threads, "seconds": extent.seconds}
                yield Contest(key("eager", network, threads), "torch", "eager", eager)


def _function(extent: Extent, cpus: int) -> Iterator[Contest]:
    for photo, events in extent.events.items():
        arguments = {"photo": photo, "images": events}
        for contestant in ("function", "duplicate", "classify"):
            yield Contest(key(f"app {contestant}", photo), "app", contestant, arguments)
        yield Contest(key("calls", photo), "sdk", "calls", dict(arguments))
        yield from _loop(extent, "peer", "reload", photo, cpus)


def _backfill(extent: Extent, cpus: int) -> Iterator[Contest]:
    for photo in extent.backfilled:
        yield from _loop(extent, "ours", "classify", photo, cpus)
        yield Contest(key("backfill", photo), "backfill", "backfill", {"photo": photo})
    yield Contest(key("backfill", "nothing"), "backfill", "backfill", {"photo": NO_PHOTO})
