"""Plans the changes of a chaos run: uploads, overwrites, deletions, repeated and outdated events.

Beside the images lie blobs of other kinds: refused, archived, directory markers and hostile documents; and people edit
rows so that they cannot be read.

The seed determines all steps in advance. Most steps run at a planned time, in order for each blob. Others wait for a
trigger, the app's read of the blob or write of its sidecar, and change the blob while the app processes it.
"""

from __future__ import annotations

import random
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from tools.chaos.storage_names import ARCHIVED, COPIED, DENIED, INCOMING, LOCKED, RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = (
    *("{0}.jpg", "trap 7/2026-05-01/{0}.JPG", "100%/it's #{0}.png", "what?/a+b&c=d {0}.jpg", "Füchse/星/🦊 {0}.png"),
    *("e\u0301/\u00e9 {0}.jpg", "double//{0}.jpg", '%41/"{0}"', "a|b=c/{0}.jpg"),
)


class Action(StrEnum):
    """What a step does; the value is its name in the report."""

    UPLOAD = "uploads"
    OVERWRITE = "overwrites"
    DELETE = "deletions"
    EVENT = "repeated events"
    OLD_EVENT = "outdated events"
    REQUEST = "requests"
    POISON = "poison messages"
    COPY = "copied sidecars"
    REFUSED = "refused blobs"
    ARCHIVED = "archived blobs"
    DIRECTORY = "directory markers"
    HOSTILE = "hostile documents"
    EDIT = "edited rows"


class Step(NamedTuple):
    """One change.

    Attributes:
        at: Seconds after the start, or after the trigger.
        action: What to do.
        names: One blob; for a request several, for a copy its target as second.
        content_seed: Seed of the uploaded file; for an edit the choice of the column.
        trigger: ``GET container/name`` or ``PUT container/name``; empty for a step with a planned time.
    """

    at: float
    action: Action
    names: tuple[str, ...]
    content_seed: str = ""
    trigger: str = ""


def plan(images: int, seed: int, seconds: float) -> list[Step]:
    """Plan a run of ``images`` blobs, first uploaded within ``seconds``; returns the steps sorted by time."""
    rng = random.Random(seed)
    names = [rng.choice(_NAMES).format(f"{number:05}") for number in range(images)]
    steps: list[Step] = []
    for name in names:
        steps += _blob_steps(name, rng, seconds, seed)
    for number in range(images // 20):
        requested = (*rng.sample(names, min(images, rng.randint(1, 12))), f"never was {number}.jpg")
        steps.append(Step(rng.uniform(0, seconds), Action.REQUEST, requested))
    for number in range(images // 100):
        steps.append(Step(rng.uniform(0, seconds), Action.POISON, (rng.choice(names),)))
        copy = (rng.choice(names), f"{COPIED}{number}.json")
        steps.append(Step(rng.uniform(seconds / 2, seconds), Action.COPY, copy))
    for number in range(images // 25):
        steps += _other_kinds(number, rng, seconds, seed)
        edited = rng.choice(names)  # after its sidecar there is a row, in most cases
        trigger = f"PUT {RESULTS}/{edited}.json"
        steps.append(Step(rng.uniform(0.3, 3), Action.EDIT, (edited,), str(number), trigger))
    return sorted(steps)


def _other_kinds(number: int, rng: random.Random, seconds: float, seed: int) -> Iterator[Step]:
    """Plan one blob of each kind that is no image, or cannot be read."""
    at = (rng.uniform(0, seconds) for _ in range(5))
    for action, name in (
        (Action.REFUSED, f"{LOCKED}{number}.jpg"),
        (Action.REFUSED, f"{DENIED}{number}.jpg"),
        (Action.ARCHIVED, f"{ARCHIVED}{number}.jpg"),
        (Action.HOSTILE, f"hostile/{number}.json"),
    ):
        yield Step(next(at), action, (name,), f"{seed}/{name}")
    yield Step(next(at), Action.DIRECTORY, (f"directories/{number}",))


def _blob_steps(name: str, rng: random.Random, seconds: float, seed: int) -> Iterator[Step]:
    """Plan one blob: about half are never changed, the others before, during or after processing."""
    uploaded = rng.uniform(0, seconds)
    yield Step(uploaded, Action.UPLOAD, (name,), f"{seed}/{name}/0")
    at = uploaded
    if rng.random() < 0.25:
        for version in range(1, rng.randint(2, 4)):
            at += _pause(rng, seconds)
            yield Step(at, Action.OVERWRITE, (name,), f"{seed}/{name}/{version}")
    if rng.random() < 0.1:
        at += _pause(rng, seconds)
        yield Step(at, Action.DELETE, (name,))
        if rng.random() < 0.3:
            at += _pause(rng, seconds)
            yield Step(at, Action.UPLOAD, (name,), f"{seed}/{name}/again")
    if rng.random() < 0.2:
        trigger = rng.choice((f"GET {INCOMING}/{name}", f"PUT {RESULTS}/{name}.json"))
        action = rng.choice((Action.OVERWRITE, Action.OVERWRITE, Action.DELETE))
        content_seed = "" if action is Action.DELETE else f"{seed}/{name}/triggered"
        yield Step(rng.uniform(0, 0.3), action, (name,), content_seed, trigger)
    for action, share in ((Action.EVENT, 0.2), (Action.OLD_EVENT, 0.1)):
        if rng.random() < share:
            yield Step(uploaded + rng.uniform(0, seconds / 3), action, (name,))


def _pause(rng: random.Random, seconds: float) -> float:
    """Draw the time until a blob's next change: before it is found, during processing, or long after."""
    return rng.expovariate(1 / rng.choice((0.5, seconds / 15, seconds / 3)))
