"""Every interleaving of deliveries and events, with a crash at any step: a search over the code as it runs.

A delivery is the real ``classify_blob`` or ``give_up`` with storage behind a tape. Run with the answers so far, the
code either ends or arrives at its next I/O call, which is the next step: no list of steps is written by hand. A
schedule is then a path through

    node = content of storage  x  for each actor: attempt, answers so far, faults left

Two paths that meet in one node have the same future, so each node is searched once and its schedules are counted. That
is complete: the code depends on its answers and its clock only, and the clock does not advance within an attempt.

Faults, at any step of a delivery and up to its budget: the worker dies before the step takes effect; it dies after
that; or the response is lost and the SDK sends the request a second time. A delivery whose worker died is delivered
again, at any later time, from the start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from storage.pipeline.stores import Stores
from tests.storage.fakes import MemoryAccount, MemoryResults, MemorySource

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from storage.results.record import Image

EPOCH = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_MAX_STEPS = 60  # of one attempt: more would be a loop


@dataclass(frozen=True, slots=True)
class Event:
    """A change of the account that happens once: an upload, a deletion."""

    name: str
    happen: Callable[[MemoryAccount], object]
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, delivered until its work ends.

    Attributes:
        work: The code it runs, given its stores.
        after: The event it waits for.
        minute: Its machine's clock, in minutes after ``EPOCH``; each further attempt is a second later.
        faults: How many of its steps may fail.
        only_for: A polling host drops the message when the blob no longer has this ETag.
    """

    name: str
    work: Callable[[Stores], object]
    after: str | None = None
    minute: int = 0
    faults: int = 1
    only_for: tuple[Image, str] | None = None


class Suspended(BaseException):
    """The code has arrived at a step that is not on the tape. A ``BaseException``, so that no handler catches it."""

    def __init__(self, step: str, call: Callable[[], Any]) -> None:
        super().__init__(step)
        self.step = step
        self.call = call


class Waiting(NamedTuple):
    """Not started, or to be delivered again after its worker died."""

    attempt: int
    faults: int


class Running(NamedTuple):
    """Running, with the answers so far (by number)."""

    attempt: int
    faults: int
    answers: tuple[int, ...]


DONE = "done"
Actor = Waiting | Running | str
Node = tuple[int, ...]  # number of the account's state, then of each actor's
Move = tuple[str, int, int]  # its label, the actor's state after it, the account's state after it


class BrokenGuaranteeError(AssertionError):
    """An end that breaks the guarantee, with the schedule that led there."""


class _Numbers:
    """Gives equal values one number: comparing and hashing numbers is what makes the search fast."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.values: list[Any] = []

    def of(self, value: Hashable) -> int:
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


@dataclass(slots=True)
class Search:
    """A search over every schedule of some actors.

    Attributes:
        actors: Events and deliveries.
        check: Raises ``AssertionError`` if the account breaks the guarantee when all actors are done.
        nodes: The number of nodes searched.
        schedules: The number of paths through them, from the start to an end.
        ends: The number of different final accounts.
    """

    account: MemoryAccount
    actors: tuple[Event | Delivery, ...]
    check: Callable[[MemoryAccount], None]
    nodes: int = 0
    schedules: int = 0
    ends: int = 0
    steps: set[str] = field(default_factory=set)
    _worlds: _Numbers = field(default_factory=_Numbers)
    _answers: _Numbers = field(default_factory=_Numbers)
    _states: _Numbers = field(default_factory=_Numbers)
    _pending: dict[Hashable, Suspended | None] = field(default_factory=dict)
    _moves: dict[tuple[int, int, int], list[Move]] = field(default_factory=dict)

    def run(self) -> Search:
        """Search everything, depth first; raises ``BrokenGuaranteeError`` at the first bad end."""
        waiting = (Waiting(0, getattr(actor, "faults", 0)) for actor in self.actors)
        start: Node = (self._world(), *(self._states.of(state) for state in waiting))
        done = self._states.of(DONE)
        waits_for = [
            1 + next(place for place, other in enumerate(self.actors) if other.name == actor.after)
            if actor.after
            else 0
            for actor in self.actors
        ]
        counts: dict[Node, int] = {}
        ends: set[int] = set()
        path: list[str] = []

        def following(node: Node) -> Iterator[tuple[str, Node]]:
            world = node[0]
            for place, first in enumerate(waits_for):
                state = node[place + 1]
                if state == done or (first and node[first] != done):
                    continue
                for label, new_state, new_world in self._moves_of(place, state, world):
                    yield label, (new_world, *node[1 : place + 1], new_state, *node[place + 2 :])

        stack = [(start, following(start), [0])]
        while stack:
            node, moves, total = stack[-1]
            for label, target in moves:
                known = counts.get(target)
                if known is not None:
                    total[0] += known
                    continue
                path.append(label)
                stack.append((target, following(target), [0]))
                break
            else:
                if all(state == done for state in node[1:]):
                    self._check_end(node[0], path)
                    ends.add(node[0])
                    total[0] = 1
                counts[node] = total[0]
                stack.pop()
                if stack:
                    path.pop()
                    stack[-1][2][0] += total[0]
        self.nodes, self.schedules, self.ends = len(counts), counts[start], len(ends)
        return self

    def _check_end(self, world: int, path: list[str]) -> None:
        self.account.restore(self._worlds.values[world])
        try:
            self.check(self.account)
        except AssertionError as error:
            schedule = "\n".join(f"  {number:3} {label}" for number, label in enumerate(path, 1))
            raise BrokenGuaranteeError(f"{error}\nafter this schedule:\n{schedule}") from None

    def _moves_of(self, place: int, state: int, world: int) -> list[Move]:
        """The next moves of an actor; they depend only on its own state and the account's."""
        key = (place, state, world)
        if key not in self._moves:
            moves = self._events(place, self._states.values[state], world)
            self._moves[key] = [
                (f"{self.actors[place].name} {label}", self._states.of(new), after) for label, new, after in moves
            ]
        return self._moves[key]

    def _events(self, place: int, state: Actor, world: int) -> Iterator[tuple[str, Actor, int]]:
        actor = self.actors[place]
        if isinstance(actor, Event):
            self.account.restore(self._worlds.values[world])
            actor.happen(self.account)
            yield "happens", DONE, self._world()
        elif isinstance(state, Waiting) and self._dropped(actor, world):
            yield "is dropped by the host", DONE, world
        elif isinstance(state, Waiting):
            yield "begins", self._running(place, Running(*state, ())), world
        elif isinstance(state, Running):
            yield from self._step(place, state, world)

    def _step(self, place: int, state: Running, world: int) -> Iterator[tuple[str, Actor, int]]:
        pending = self._arrive(place, state)
        assert pending is not None
        step = pending.step
        self.steps.add(step)
        after, answer = self._effect(world, pending)
        yield step, self._running(place, state._replace(answers=(*state.answers, answer))), after
        if state.faults:
            left = state.faults - 1
            again = Waiting(state.attempt + 1, left)
            yield f"dies before {step}", again, world
            yield f"dies after {step}", again, after
            twice, second = self._effect(after, pending)
            repeated = Running(state.attempt, left, (*state.answers, second))
            yield f"{step}, sent twice", self._running(place, repeated), twice

    def _running(self, place: int, running: Running) -> Actor:
        return running if self._arrive(place, running) else DONE

    def _arrive(self, place: int, state: Running) -> Suspended | None:
        """The step at which the code arrives with these answers; ``None`` when it ends."""
        key = (place, state.attempt, state.answers)
        if key not in self._pending:
            assert len(state.answers) < _MAX_STEPS, "an attempt that does not end"
            delivery = cast("Delivery", self.actors[place])
            tape = Tape([self._answers.values[number] for number in state.answers])
            now = EPOCH + timedelta(minutes=delivery.minute, seconds=state.attempt)
            results, source = MemoryResults(self.account), MemorySource(self.account)
            stores = Stores(
                source=cast(Any, Taped(source, tape)),
                results=cast(Any, Taped(results, tape)),
                now=lambda: now,
                is_current_model=Taped(self.account, tape).is_current_model,
            )
            try:
                delivery.work(stores)
            except Suspended as suspended:
                self._pending[key] = suspended
            else:
                self._pending[key] = None
        return self._pending[key]

    def _effect(self, world: int, pending: Suspended) -> tuple[int, int]:
        """The account after a step, and the number of its answer."""
        self.account.restore(self._worlds.values[world])
        try:
            answer: tuple[bool, Any] = (True, pending.call())
        except Exception as error:  # noqa: BLE001 - the code sees every error of storage
            answer = (False, (type(error), error.args))
        return self._world(), self._answers.of(answer)

    def _world(self) -> int:
        return self._worlds.of(self.account.snapshot())

    def _dropped(self, delivery: Delivery, world: int) -> bool:
        if delivery.only_for is None:
            return False
        self.account.restore(self._worlds.values[world])
        image, etag = delivery.only_for
        blob = self.account.blobs.get(image)
        return blob is None or blob.etag != etag


class Tape:
    """Returns the answers in their order, then suspends."""

    def __init__(self, answers: list[Any]) -> None:
        self._answers = iter(answers)

    def play(self, step: str, call: Callable[[], Any]) -> Any:
        for fine, value in self._answers:
            if fine:
                return value
            kind, args = value
            raise kind(*args)
        raise Suspended(step, call)


class Taped:
    """Makes every method call a step. ``sidecar_path`` and ``container`` need no I/O and pass through."""

    def __init__(self, target: Any, tape: Tape) -> None:
        self._target = target
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name in {"sidecar_path", "container"}:
            return found
        return lambda *args, **options: self._tape.play(name, partial(found, *args, **options))
