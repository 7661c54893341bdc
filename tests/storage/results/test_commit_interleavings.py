"""The proof of the commit protocol: every interleaving, with a fault at every step, ends with a consistent result.

The search runs the real ``classify_blob``, ``give_up`` and ``commit``; ``schedules`` describes how, and why the search
is complete. The second half breaks the protocol in many ways and expects the search to detect each one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

from storage.etags import same_etag
from storage.pipeline import classify_blob, retries
from storage.results import commit
from storage.results.record import Record
from tests.storage.fakes import MemoryAccount, MemoryResults
from tests.storage.results.mutants import mutant
from tests.storage.results.scenarios import (
    IMAGE,
    NEW_MODEL,
    OLD_MODEL,
    SCENARIOS,
    Scenario,
    check_consistent,
    check_truthful,
    classifying,
    delete,
    superseded_keys,
    upload,
    without_races,
)
from tests.storage.results.schedules import BrokenGuaranteeError, Delivery, Search

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("nothing_but_answers")

# Three at once: the searches are large, so fewer of their steps fail. ADR 3 reports a search by hand with more faults.
THREE = [
    Scenario(
        "two first deliveries, and an overwrite",
        (
            Delivery("A", classifying(), faults=0),
            Delivery("A again", classifying(), minute=1, faults=0),
            upload("0x2"),
            Delivery("B", classifying(), after="overwrite", minute=2, faults=0),
        ),
    ),
    Scenario(
        "two first deliveries, and an overwrite when one of them is done",
        (
            Delivery("A", classifying(), faults=0),
            Delivery("A again", classifying(), minute=1),
            upload("0x2", after="A"),
            Delivery("B", classifying(), after="overwrite", minute=2, faults=0),
        ),
    ),
    Scenario(
        "two overwrites, each during the delivery before",
        (
            Delivery("A", classifying(), faults=0),
            upload("0x2"),
            Delivery("B", classifying(), after="overwrite", minute=1, faults=0),
            upload("0x3", "overwrite again", after="overwrite"),
            Delivery("C", classifying(), after="overwrite again", minute=2, faults=0),
        ),
    ),
    Scenario(
        "two overwrites, classified one after the other while the first delivery is paused",
        (
            Delivery("A", classifying()),
            upload("0x2"),
            Delivery("B", classifying(), after="overwrite", minute=1, faults=0),
            upload("0x3", "overwrite again", after="B"),
            Delivery("C", classifying(), after="overwrite again", minute=2, faults=0),
        ),
    ),
]
ALL = {scenario.name: scenario for scenario in SCENARIOS + THREE}


class Searched(NamedTuple):
    """What a search went through."""

    nodes: int
    schedules: int
    steps: frozenset[str]


@cache
def searched(name: str) -> Searched:
    """Search a scenario with the protocol as it is, once for all tests; raises at a bad end."""
    search = ALL[name].search().run()
    return Searched(search.nodes, search.schedules, frozenset(search.steps))


@pytest.mark.parametrize("scenario", ALL)
def test_every_schedule_ends_consistent(scenario: str, record_property: Callable[[str, object], None]) -> None:
    search = searched(scenario)
    record_property("nodes", search.nodes)
    record_property("schedules", search.schedules)
    assert search.schedules > 100
    assert {"read_row", "read_sidecar", "write_sidecar", "write_index_row", "write_row"} <= search.steps


def test_every_step_of_the_protocol_is_searched() -> None:
    """The steps come from the code; this only checks that every method of results and source is among them."""
    seen: set[str] = set()
    for name in ("two first deliveries of one content", "giving up twice"):
        seen |= searched(name).steps
    ports = {name for port in (commit.ResultStore, commit.Source) for name in vars(port) if not name.startswith("_")}
    assert ports | {"read", "info"} == seen


# --- when the host drops a delivery whose worker died, because its blob has changed since (polling source) ----------

DROPPED = Scenario(
    "an overwrite during a delivery that is not repeated",
    (
        Delivery("A", classifying(), only_for=(IMAGE, "0x1")),
        upload("0x2"),
        Delivery("B", classifying(), after="overwrite", minute=1, only_for=(IMAGE, "0x2")),
    ),
)


def test_a_dropped_delivery_leaves_at_most_index_rows_whose_keys_the_row_has() -> None:
    """Row and sidecar agree. Only index rows of the dead attempt may be left, and the row has their keys: the next

    delivery or ``reconcile`` removes them.
    """
    left: list[int] = []

    def check(account: MemoryAccount) -> None:
        extra = set(account.index)
        row, sidecar = MemoryResults(account).read_row(IMAGE), MemoryResults(account).read_sidecar(IMAGE)
        assert row
        assert row.record
        assert sidecar
        assert sidecar.record
        assert without_races(row.record) == without_races(sidecar.record)
        assert same_etag(row.record.etag, account.blobs[IMAGE].etag)
        check_truthful(row.record)
        extra -= row.record.index_keys()
        assert extra <= superseded_keys(account)
        left.append(len(extra))
        for address in extra:
            MemoryResults(account).delete_index_row(address)  # type: ignore[arg-type]
        check_consistent(account)

    DROPPED.search(check).run()
    assert max(left) == 2, "the search must reach an end with index rows left"


def test_a_dropped_delivery_of_a_deleted_blob_leaves_only_rows_whose_keys_its_sidecar_has() -> None:
    """Only ``reconcile --prune`` repairs this: a sidecar, perhaps its index rows, and no row."""
    orphans: list[bool] = []

    def check(account: MemoryAccount) -> None:
        results = MemoryResults(account)
        row, sidecar = results.read_row(IMAGE), results.read_sidecar(IMAGE)
        if row is not None:
            check_consistent(account)
            return
        known = sidecar.record.index_keys() if sidecar and sidecar.record else set()
        assert set(account.index) <= known
        orphans.append(sidecar is not None)

    actors = (Delivery("A", classifying(), only_for=(IMAGE, "0x1")), delete)
    Scenario("dropped and deleted", actors).search(check).run()
    assert any(orphans)


# --- when a person, or a rule of the account, deletes sidecars -------------------------------------------------------

WITHOUT_SIDECAR = Scenario(
    "a stale worker at an image whose sidecar was deleted",
    (Delivery("stale", classifying(OLD_MODEL), minute=5), Delivery("fresh", classifying(NEW_MODEL))),
    classified=("0x1",),
    by=classifying(NEW_MODEL),
    published=NEW_MODEL,
    damage=lambda account: account.sidecars.clear(),
)


def test_a_stale_worker_keeps_a_result_whose_sidecar_was_deleted() -> None:
    def check(account: MemoryAccount) -> None:
        row = MemoryResults(account).read_row(IMAGE)
        assert row
        assert row.record
        assert row.record.model_version == NEW_MODEL.version
        assert set(account.index) == row.record.index_keys()

    WITHOUT_SIDECAR.search(check).run()


# --- the search detects ----------------------------------------------------------------------------------------------

_INDEX = "    for index_row in index_rows(record):\n        results.write_index_row(index_row)\n"
MUTANTS: dict[str, tuple[str, dict[str, str]]] = {
    "never asks which model is current": (
        "a stale worker after the rollout",
        {"    is_current = is_current_model(record.model_version)\n": "    is_current = None\n"},
    ),
    "asks which model is current once, before it reads the sidecar": (
        "a rollout: a worker that has not noticed it is late, and its clock is fast",
        {
            "    image = record.image\n    sidecar = results.read_sidecar(image) if row else None\n": (
                "    image, current = record.image, is_current_model(record.model_version)\n"
                "    is_current_model = lambda _: current\n"
                "    sidecar = results.read_sidecar(image) if row else None\n"
            )
        },
    ),
    "takes no model for the current one": (
        "a roll-back: the old model is published again",
        {"    is_current = is_current_model(record.model_version)\n": "    is_current = False\n"},
    ),
    "never asks the source which content is current": (
        "an overwrite during the second delivery of a committed image",
        {"source.is_current(record.image, record.etag)": "True"},
    ),
    "takes no content for the current one": (
        "an overwrite during the first delivery",
        {"source.is_current(record.image, record.etag)": "False"},
    ),
    "forgets the attempts it replaced": (
        "an overwrite during the first delivery",
        {
            "return record.superseding(existing, finished=_is_finished(existing, row))": "return record",
        },
    ),
    "takes a shared outcome for a finished one": (
        "two first deliveries, and an overwrite when one of them is done",
        {"    if existing.shared or row is None or": "    if row is None or"},
    ),
    "adopts an outcome without marking it as shared": (
        "two first deliveries, and an overwrite when one of them is done",
        {"            to_write = replace(existing, shared=True)": "            to_write = existing"},
    ),
    "never keeps another attempt's outcome": (
        "giving up while another attempt classifies",
        {
            "_is_final(existing, record, redo_before, is_current_model):": "False:",
        },
    ),
    "leaves the index rows of attempts it replaced": (
        "an overwrite during the first delivery",
        {"    _remove(results, record.superseded)\n    index_keys": "    index_keys"},
    ),
    "leaves the index rows of the row it replaces": (
        "two deliveries of new content over a committed image",
        {"_remove(results, row.record.index_keys() - index_keys)": "pass"},
    ),
    "leaves its own index rows when it loses": (
        "an overwrite during the first delivery",
        {"_remove(results, index_keys - current.index_keys())": "pass"},
    ),
    "leaves what races left when a delivery is repeated": (
        "an overwrite during the first delivery",
        {"    _remove(results, record.superseded)\n\n": "    pass\n\n"},
    ),
    "does not read the sidecar again": (
        "an overwrite during the first delivery",
        {"if not same_attempt(current, record):": "if False:"},
    ),
    "reads the row's ETag after it wrote the sidecar": (
        "an overwrite during the first delivery",
        {
            "return _write_index_and_row(results, to_write, row, notifier)": (
                "return _write_index_and_row(results, to_write, results.read_row(image), notifier)"
            )
        },
    ),
    "overwrites a row that another attempt wrote meanwhile": (
        "an overwrite during the first delivery",
        {"results.write_row(marked, row)": "results.write_row(marked, results.read_row(image))"},
    ),
    "overwrites a sidecar that another attempt wrote meanwhile": (
        "an overwrite during the first delivery",
        {
            "            if to_write != existing:\n                _write_sidecar(results, to_write, sidecar)": (
                "            _write_sidecar(results, to_write, results.read_sidecar(image))"
            )
        },
    ),
    "writes the row before the index rows": (
        "two first deliveries of one content",
        {
            _INDEX: "",
            "            return record\n        sidecar": (
                "            for index_row in index_rows(record):\n"
                "                results.write_index_row(index_row)\n"
                "            return record\n        sidecar"
            ),
        },
    ),
    "writes the index rows before the sidecar": (
        "two first deliveries of one content",
        {
            "            if to_write != existing:": (
                "            for index_row in index_rows(to_write):\n"
                "                results.write_index_row(index_row)\n"
                "            if to_write != existing:"
            )
        },
    ),
    "does not finish an interrupted attempt at a deleted image": (
        "a deletion during the first delivery",
        {"        _write_index_and_row(results, to_write, row)\n        return": "        return"},
    ),
}


@pytest.mark.parametrize(("scenario", "changes"), MUTANTS.values(), ids=MUTANTS.keys())
def test_the_search_detects_a_protocol_that(
    scenario: str, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = mutant(commit, changes)
    for name in ("commit", "finish_interrupted", "remove_superseded"):
        monkeypatch.setattr(classify_blob, name, getattr(broken, name))
    monkeypatch.setattr(retries, "commit", broken.commit)
    with pytest.raises(BrokenGuaranteeError):
        ALL[scenario].search().run()


def test_the_search_detects_a_record_that_forgets_older_races(monkeypatch: pytest.MonkeyPatch) -> None:
    superseding = Record.superseding

    def forgetful(self: Record, other: Record, *, finished: bool = False) -> Record:
        return superseding(self, replace(other, superseded=()), finished=finished)

    monkeypatch.setattr(Record, "superseding", forgetful)
    with pytest.raises(BrokenGuaranteeError):
        ALL["two overwrites, classified one after the other while the first delivery is paused"].search().run()


def test_a_failing_check_is_reported_with_its_schedule() -> None:
    def never(_account: MemoryAccount) -> None:
        raise AssertionError("never good")

    with pytest.raises(
        BrokenGuaranteeError, match=r"never good\nafter this schedule:\n    1 A begins\n    2 A read_row"
    ):
        Search(MemoryAccount(), (Delivery("A", classifying()),), never).run()
