"""Random histories of one image, longer than a search can exhaust, in memory and on Azurite.

Uploads, deletions, duplicates, redos, other models and giving up; deliveries are interleaved step by step, and their
workers die at any step. Whenever all work is done, the result is consistent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from storage.pipeline.stores import Stores
from storage.results.store import Results
from tests.storage.fakes import MemoryAccount, MemoryResults, MemorySource
from tests.storage.results.scenarios import IMAGE, NEW_MODEL, OLD_MODEL, check_results, classifying, giving_up
from tests.storage.results.schedules import EPOCH, Suspended, Tape, Taped

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.clients import Clients
    from tests.conftest import Names

pytestmark = pytest.mark.usefixtures("nothing_but_answers")

WORKS: dict[str, Callable[[Stores], object]] = {
    "the old model": classifying(OLD_MODEL),
    "the new model": classifying(NEW_MODEL),
    "a redo": classifying(OLD_MODEL, EPOCH + timedelta(seconds=20)),
    "giving up": giving_up,
}


@dataclass
class Attempt:
    """A running delivery: its answers so far, and its clock."""

    work: Callable[[Stores], object]
    now: Any
    answers: list[Any] = field(default_factory=list)


class Histories(RuleBasedStateMachine):
    """The history of one image, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[str, bytes] = {}
        self.current: str | None = None
        self.waiting: list[Callable[[Stores], object]] = []
        self.running: list[Attempt] = []
        self.ticks = 0
        self.open()

    def open(self) -> None:
        """Create the account of this history."""
        account = MemoryAccount()
        self.results: Any = MemoryResults(account)
        self.source: Any = MemorySource(account)
        self.put: Callable[[bytes], str] = lambda content: account.upload(IMAGE, content)
        self.remove: Callable[[], object] = lambda: account.delete(IMAGE)
        self.index: Callable[[], set[Any]] = lambda: set(account.index)

    @rule(
        content=st.sampled_from([b"cat", b"dog", b"bad", b""]), work=st.sampled_from(["the old model", "the new model"])
    )
    def upload(self, content: bytes, work: str) -> None:
        self.current = self.put(content)
        self.contents[self.current] = content
        self.waiting.append(WORKS[work])

    @precondition(lambda self: self.current is not None)
    @rule()
    def delete(self) -> None:
        self.remove()
        self.current = None

    @precondition(lambda self: self.contents and len(self.waiting) + len(self.running) < 5)
    @rule(work=st.sampled_from(list(WORKS)))
    def deliver_once_more(self, work: str) -> None:
        self.waiting.append(WORKS[work])

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self._begin(data.draw(st.integers(0, len(self.waiting) - 1)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), steps=st.integers(1, 8))
    def go_on(self, data: st.DataObject, steps: int) -> None:
        attempt = data.draw(st.sampled_from(self.running))
        for _ in range(steps):
            if attempt in self.running:
                self._step(attempt)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), effect=st.booleans())
    def die(self, data: st.DataObject, effect: bool) -> None:  # noqa: FBT001 - drawn
        attempt = data.draw(st.sampled_from(self.running))
        if effect:
            self._step(attempt)
        if attempt in self.running:
            self.running.remove(attempt)
            self.waiting.append(attempt.work)

    @rule()
    def finish_everything(self) -> None:
        """Run every waiting and running delivery to its end, one step at a time in turn, and check the result."""
        while self.waiting or self.running:
            if self.waiting:
                self._begin(0)
            for attempt in list(self.running):
                self._step(attempt)
        check_results(self.results, self.current, self.index(), self.contents)

    def teardown(self) -> None:
        self.finish_everything()

    def _begin(self, number: int) -> None:
        self.ticks += 1
        attempt = Attempt(self.waiting.pop(number), EPOCH + timedelta(seconds=self.ticks))
        self.running.append(attempt)
        self._step(attempt)

    def _step(self, attempt: Attempt) -> None:
        """Replay the attempt's answers, then take one more step; removes the attempt when it ends."""
        tape = Tape(attempt.answers)
        stores = Stores(
            cast(Any, Taped(self.source, tape)), cast(Any, Taped(self.results, tape)), now=lambda: attempt.now
        )
        try:
            attempt.work(stores)
        except Suspended as suspended:
            try:
                attempt.answers.append((True, suspended.call()))
            except Exception as error:  # noqa: BLE001 - the code sees every error of storage
                attempt.answers.append((False, (type(error), error.args)))
        else:
            self.running.remove(attempt)


_ANY_PACE = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def test_long_histories_end_consistent() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=_ANY_PACE),
    )


def test_histories_on_azurite_end_consistent(clients: Clients, names: Names) -> None:
    histories = iter(range(1000))

    class OnAzurite(Histories):
        def open(self) -> None:
            run = next(histories)
            incoming, table = f"{names.container(f'h{run}')}", f"{names.table(f'h{run}')}"
            clients.blobs.create_container(incoming)
            blob = clients.blobs.get_blob_client(incoming, IMAGE.blob_name)
            index = clients.tables.get_table_client(f"{table}index")
            self.results = Results(clients, table=table, container=names.container(f"r{run}"))
            self.source = SourceOfHistory(clients, incoming)
            self.put = lambda content: str(blob.upload_blob(content, overwrite=True)["etag"]).strip('"')
            self.remove = blob.delete_blob
            self.index = lambda: {(entity["PartitionKey"], entity["RowKey"]) for entity in _entities(index)}

    run_state_machine_as_test(
        OnAzurite,
        settings=settings(
            max_examples=6, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=_ANY_PACE
        ),
    )


def _entities(index: Any) -> list[Any]:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return list(index.list_entities())
    except ResourceNotFoundError:
        return []


class SourceOfHistory:
    """The real source, with the history's own container."""

    def __init__(self, clients: Clients, incoming: str) -> None:
        from storage.blobs import SourceBlobs

        self._source = SourceBlobs(clients.blobs, 1000)
        self._image = type(IMAGE)(incoming, IMAGE.blob_name)

    def read(self, _image: object, **options: Any) -> Any:
        return self._source.read(self._image, **options)

    def is_current(self, _image: object, etag: str) -> bool:
        return self._source.is_current(self._image, etag)

    def info(self, _image: object) -> Any:
        return self._source.info(self._image)
