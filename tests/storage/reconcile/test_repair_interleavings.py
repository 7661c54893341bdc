"""Every interleaving of a repair with deliveries, uploads and deletions, with a crash at any step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from inference.errors import TransientError
from storage import keys
from storage.pipeline.stores import Stores
from storage.reconcile import repair as module
from storage.reconcile.repair import Repair
from tests.storage.fakes import MemoryResults, MemorySource
from tests.storage.results.mutants import mutant
from tests.storage.results.scenarios import IMAGE, Scenario, check_consistent, classifying, delete, upload
from tests.storage.results.schedules import BrokenGuaranteeError, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.storage.fakes import MemoryAccount

pytestmark = pytest.mark.usefixtures("nothing_but_answers")

_LATER = 5


def pruning(stores: Stores) -> object:
    return module.Repair(stores).prune_deleted(IMAGE)


def repairing(stores: Stores) -> object:
    """All that a reconciliation does about one image with a row."""
    repair = module.Repair(stores)
    return repair.repair_sidecar(IMAGE), repair.repair_index(IMAGE)


def lose_index(account: MemoryAccount) -> None:
    account.index.clear()


def edit_sidecar(account: MemoryAccount) -> None:
    account.put(account.sidecars, keys.sidecar_name(IMAGE.blob_name), b"{}")


def remove_blob(account: MemoryAccount) -> None:
    account.delete(IMAGE)


SCENARIOS = [
    Scenario(
        "an image that is uploaded again while it is pruned",
        (Delivery("P", pruning), upload("0x2"), Delivery("B", classifying(), after="overwrite", minute=_LATER)),
        classified=("0x1",),
        damage=remove_blob,
    ),
    Scenario(
        "an image that is deleted and uploaded again while it is pruned",
        (
            Delivery("P", pruning),
            delete,
            upload("0x2", after="delete"),
            Delivery("B", classifying(), after="overwrite", minute=_LATER),
        ),
        classified=("0x1",),
    ),
    Scenario(
        "two prunes of an image that is uploaded again",
        (
            Delivery("P", pruning),
            Delivery("Q", pruning),
            upload("0x2"),
            Delivery("B", classifying(), after="overwrite", minute=_LATER, faults=0),
        ),
        classified=("0x1",),
        damage=remove_blob,
    ),
    Scenario(
        "a repair of the index while the image is overwritten",
        (
            Delivery("R", repairing, faults=0),
            upload("0x2"),
            Delivery("B", classifying(), after="overwrite", minute=_LATER),
        ),
        classified=("0x1",),
        damage=lose_index,
    ),
    Scenario(
        "a repair of the sidecar while the image is overwritten",
        (
            Delivery("R", repairing, faults=0),
            upload("0x2"),
            Delivery("B", classifying(), after="overwrite", minute=_LATER),
        ),
        classified=("0x1",),
        damage=edit_sidecar,
    ),
    Scenario(
        "a repair beside a second delivery",
        (Delivery("R", repairing, faults=0), Delivery("B", classifying(), minute=_LATER)),
        uploaded=("0x1", "0x2"),
        classified=("0x1",),
    ),
]
ALL = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize("scenario", ALL.values(), ids=ALL.keys())
def test_every_schedule_ends_consistent(scenario: Scenario, record_property: Callable[[str, object], None]) -> None:
    search = scenario.search().run()
    record_property("nodes", search.nodes)
    record_property("schedules", search.schedules)
    assert search.schedules > 100


def test_a_pruned_image_leaves_nothing() -> None:
    """A delivery that was under way when its blob was deleted may write again; the next prune removes that."""

    def check(account: MemoryAccount) -> None:
        results = MemoryResults(account)
        if results.read_row(IMAGE) is None and results.read_sidecar(IMAGE) is None:
            assert not account.index
        # else: what a paused delivery wrote after the prune, which the next one finds by its row or its sidecar

    ends = Scenario("deleted and pruned", (Delivery("P", pruning),), classified=("0x1",), damage=remove_blob)
    search = ends.search(check).run()
    assert search.ends == 1


@pytest.mark.parametrize(
    "scenario", [each for each in SCENARIOS if "repair of" in each.name], ids=lambda each: each.name
)
def test_a_repair_that_dies_leaves_at_most_index_rows_that_the_next_run_removes(scenario: Scenario) -> None:
    left: list[int] = []

    def check(account: MemoryAccount) -> None:
        results, source = MemoryResults(account), MemorySource(account)
        row = results.read_row(IMAGE)
        assert row is not None
        assert row.record is not None
        extra = set(account.index) - row.record.index_keys()
        left.append(len(extra))
        for address in extra:
            index_row = results.read_index_row(address)  # type: ignore[arg-type]
            assert index_row is not None
            assert Repair(Stores(cast("Any", source), cast("Any", results))).remove_false_index_row(index_row)
        check_consistent(account)

    actors = tuple(replace(each, faults=1) if each.name == "R" else each for each in scenario.actors)  # type: ignore[arg-type]
    replace(scenario, actors=actors).search(check).run()
    assert max(left) > 0, "the search must reach an end with an index row left"


_READ = "        sidecar, row = results.read_sidecar(image), results.read_row(image)\n"
_ASK = "        if self.stores.source.info(image) is not None:\n            return False\n"
MUTANTS: dict[str, tuple[str, dict[str, str]]] = {
    "asks the source before it reads": (
        "an image that is deleted and uploaded again while it is pruned",
        {_READ + _ASK: _ASK + _READ},
    ),
    "never asks the source": (
        "an image that is deleted and uploaded again while it is pruned",
        {_ASK: ""},
    ),
    "removes the row that it finds": (
        "an image that is uploaded again while it is pruned",
        {"results.delete_row(image, row.etag)": "results.delete_row(image, results.read_row(image).etag)"},
    ),
    "removes the sidecar that it finds": (
        "an image that is uploaded again while it is pruned",
        {
            "results.delete_sidecar(image, sidecar.etag)": (
                "results.delete_sidecar(image, (results.read_sidecar(image) or sidecar).etag)"
            )
        },
    ),
    "lets index rows of a replaced row come back": (
        "a repair of the index while the image is overwritten",
        {"if latest is None:": "latest = latest or index_row\n            if False:"},
    ),
    "asks only the row whether its index rows stay": (
        "a repair of the index while the image is overwritten",
        {"latest = sidecar.record if sidecar and sidecar.record else row.record": "latest = row.record"},
    ),
    "replaces the sidecar that it finds": (
        "a repair of the sidecar while the image is overwritten",
        {
            "write_sidecar(_with_scores(row.record, written), sidecar)": (
                "write_sidecar(_with_scores(row.record, written), self.stores.results.read_sidecar(image))"
            )
        },
    ),
}


@pytest.mark.parametrize(("scenario", "changes"), MUTANTS.values(), ids=MUTANTS.keys())
def test_the_search_detects_a_repair_that(
    scenario: str, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Repair", mutant(module, changes).Repair)
    with pytest.raises((BrokenGuaranteeError, TransientError)):  # a delivery that fails without a fault is one too
        ALL[scenario].search().run()
