"""A label that is decided again, in every interleaving with deliveries and other decisions, with a fault at any step.

The search is that of ``test_commit_interleavings``. The second half breaks the code and expects the search to notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from storage.pipeline import classify_blob
from storage.pipeline.stores import Stores
from storage.reconcile import repair
from storage.results import amend, commit
from tests.storage.fakes import MemoryAccount, MemoryResults, MemorySource
from tests.storage.results import scenarios
from tests.storage.results.mutants import mutant
from tests.storage.results.scenarios import (
    IMAGE,
    NEW_MODEL,
    REDO,
    Scenario,
    classifying,
    deciding,
    superseded_keys,
    upload,
)
from tests.storage.results.schedules import BrokenGuaranteeError, Delivery, Search

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from storage.results.record import Record
    from storage.results.store import Stored

pytestmark = pytest.mark.usefixtures("nothing_but_answers")


def by(*versions: str) -> Callable[[Record], bool]:
    return lambda record: record.decision_version in versions


def repairing(stores: Stores) -> object:
    """The steps of ``reconcile`` for an image whose sidecar or index rows look wrong."""
    made = repair.Repair(stores)
    return made.repair_sidecar(IMAGE), made.repair_index(IMAGE)


class Killed(MemoryResults):
    """Storage at the moment when a process is killed that has written a sidecar and index rows."""

    def write_row(self, record: Record, replaced: Stored | None) -> None:
        raise KeyboardInterrupt


def killed(account: MemoryAccount) -> None:
    stores = Stores(cast(Any, MemorySource(account)), cast(Any, Killed(account)))
    with pytest.raises(KeyboardInterrupt):
        deciding("1")(stores)
    assert len(account.index) == 2, "the process must have been killed between the index rows and the row"


ALL = [
    Scenario(
        "a decision of a committed image",
        (Delivery("decide", deciding("1"), faults=3),),
        classified=("0x1",),
        expected=by("1"),
    ),
    Scenario(
        "the same decision twice at once",
        (Delivery("decide", deciding("1")), Delivery("decide too", deciding("1"), faults=0)),
        classified=("0x1",),
        expected=by("1"),
    ),
    Scenario(
        "two decisions at once",
        (Delivery("decide", deciding("1")), Delivery("decide otherwise", deciding("2"), faults=0)),
        classified=("0x1",),
        expected=by("1", "2"),
    ),
    Scenario(
        "a decision after another one that was killed",
        (Delivery("decide otherwise", deciding("2"), faults=2),),
        classified=("0x1",),
        damage=killed,
        expected=by("2"),
    ),
    Scenario(
        "a decision and a duplicate",
        (Delivery("decide", deciding("1")), Delivery("duplicate", classifying())),
        classified=("0x1",),
        expected=by("1"),
    ),
    Scenario(
        "a decision and the classification of new content",
        (Delivery("decide", deciding("1")), Delivery("B", classifying(), minute=1)),
        uploaded=("0x1", "0x2"),
        classified=("0x1",),
    ),
    Scenario(
        "a decision, an overwrite and its classification",
        (
            Delivery("decide", deciding("1"), faults=0),
            upload("0x2"),
            Delivery("B", classifying(), after="overwrite", minute=1),
        ),
        classified=("0x1",),
    ),
    Scenario(
        "a decision and another model",
        (Delivery("decide", deciding("1")), Delivery("B", classifying(NEW_MODEL), minute=1, faults=0)),
        classified=("0x1",),
    ),
    Scenario(
        "a decision and a redo",
        (Delivery("decide", deciding("1")), Delivery("redo", classifying(redo_before=REDO), minute=1, faults=0)),
        classified=("0x1",),
    ),
    Scenario(
        "a decision and a repair by reconcile",
        (Delivery("decide", deciding("1")), Delivery("repair", repairing, faults=0)),
        classified=("0x1",),
        expected=by("1"),
    ),
    Scenario(
        "a decision between two first deliveries",
        (
            Delivery("A", classifying(), faults=0),
            Delivery("B", classifying(), minute=1, faults=0),
            Delivery("decide", deciding("1"), after="A"),
        ),
        expected=by("1"),
    ),
]
SCENARIOS = {scenario.name: scenario for scenario in ALL}


def search(scenario: Scenario) -> Search:
    """Search a scenario.

    Two things may be left: index rows whose keys the row has, of a decision that died beside a delivery, and columns of
    index rows that a late first delivery wrote again, which ``reconcile`` corrects.
    """

    def check(account: MemoryAccount) -> None:
        results = MemoryResults(account)
        row = results.read_row(IMAGE)
        assert row
        assert row.record
        for address in set(account.index) - row.record.index_keys():
            assert address in superseded_keys(account), "an index row that nothing names"
            results.delete_index_row(cast(Any, address))
        if scenario.name == "a decision between two first deliveries":
            repair.Repair(Stores(cast(Any, MemorySource(account)), cast(Any, results))).repair_index(IMAGE)
        scenario.check(account)

    return scenario.search(check).run()


@pytest.mark.parametrize("scenario", ALL, ids=SCENARIOS)
def test_every_schedule_ends_consistent(scenario: Scenario, record_property: Callable[[str, object], None]) -> None:
    found = search(scenario)
    record_property("schedules", found.schedules)
    assert found.schedules > 100


MUTANTS: dict[str, tuple[str, ModuleType, dict[str, str]]] = {
    "forgets the labels of decisions that died": (
        "a decision after another one that was killed",
        amend,
        {"amended = _naming_leftovers(changed, written, row.record)": "amended = changed"},
    ),
    "leaves the index row of the earlier label": (
        "a decision of a committed image",
        amend,
        {"        results.delete_index_row(address)\n    try:": "        pass\n    try:"},
    ),
    "leaves its own index rows when it loses": (
        "a decision and a redo",
        amend,
        {"            results.delete_index_row(address)\n        raise": "            pass\n        raise"},
    ),
    "changes another attempt's result": (
        "a decision and another model",
        amend,
        {"not same_attempt(written, row.record)": "False"},
    ),
    "reads the row after the sidecar": (
        "a decision and another model",
        amend,
        {"results.write_row(amended, row)": "results.write_row(amended, results.read_row(amended.image))"},
    ),
    "repairs the sidecar of a decision that has not ended": (
        "a decision and a repair by reconcile",
        repair,
        {"        if not same_attempt(written, replaced) or": "        if True or"},
    ),
    "repairs index rows with the columns of the earlier label": (
        "a decision and a repair by reconcile",
        repair,
        {"                self.stores.results.write_index_row(latest)": "                pass"},
    ),
    "takes a decision that has not ended for a finished result": (
        "a decision and the classification of new content",
        commit,
        {"return existing.index_keys() <= row.record.index_keys()": "return True"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "module", "changes"), MUTANTS.values(), ids=MUTANTS)
def test_the_search_detects_a_protocol_that(
    name: str, module: ModuleType, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = mutant(module, changes)
    if module is amend:
        monkeypatch.setattr(scenarios, "amend", broken.amend)
    elif module is repair:
        monkeypatch.setattr(repair, "Repair", broken.Repair)
    else:
        monkeypatch.setattr(classify_blob, "commit", broken.commit)
    with pytest.raises(BrokenGuaranteeError):
        search(SCENARIOS[name])
