"""The proof of the commit protocol: every interleaving, a fault at every step, and always one truth at the end.

What is searched is the real ``settle``, ``give_up`` and ``commit``; see ``schedules`` for how, and for why nothing is
left out. The second half breaks the protocol in many ways and expects the search to notice each.
"""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.pipeline import classify_blob, retries
from storage.results import commit
from storage.results.record import Record, same_etag
from tests.storage.fakes import MemoryAccount, MemoryResults
from tests.storage.results.scenarios import (
    IMAGE,
    SCENARIOS,
    Scenario,
    delete,
    honest,
    one_truth,
    remembered,
    settling,
    told,
    upload,
)
from tests.storage.results.schedules import BrokenPromiseError, Delivery, Search

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("nothing_but_answers")

# Three at once: the searches are large, so fewer of their steps go wrong. Searched with more faults by hand, see ADR 3.
THREE = [
    Scenario(
        "two first deliveries, and an overwrite",
        (
            Delivery("A", settling(), faults=0),
            Delivery("A again", settling(), minute=1, faults=0),
            upload("0x2"),
            Delivery("B", settling(), after="overwrite", minute=2, faults=0),
        ),
    ),
    Scenario(
        "two first deliveries, and an overwrite when one of them is done",
        (
            Delivery("A", settling(), faults=0),
            Delivery("A again", settling(), minute=1),
            upload("0x2", after="A"),
            Delivery("B", settling(), after="overwrite", minute=2, faults=0),
        ),
    ),
    Scenario(
        "two overwrites, each during the delivery before",
        (
            Delivery("A", settling(), faults=0),
            upload("0x2"),
            Delivery("B", settling(), after="overwrite", minute=1, faults=0),
            upload("0x3", "overwrite again", after="overwrite"),
            Delivery("C", settling(), after="overwrite again", minute=2, faults=0),
        ),
    ),
    Scenario(
        "two overwrites, settled one after the other while the first delivery sleeps",
        (
            Delivery("A", settling()),
            upload("0x2"),
            Delivery("B", settling(), after="overwrite", minute=1, faults=0),
            upload("0x3", "overwrite again", after="B"),
            Delivery("C", settling(), after="overwrite again", minute=2, faults=0),
        ),
    ),
]
ALL = {scenario.name: scenario for scenario in SCENARIOS + THREE}


@pytest.mark.parametrize("scenario", ALL.values(), ids=ALL.keys())
def test_every_schedule_ends_in_one_truth(scenario: Scenario, record_property: Callable[[str, object], None]) -> None:
    search = scenario.search().run()
    record_property("nodes", search.nodes)
    record_property("schedules", search.schedules)
    assert search.schedules > 100
    assert {"read_row", "read_sidecar", "write_sidecar", "write_index_row", "write_row"} <= search.steps


def test_every_step_of_the_protocol_is_searched() -> None:
    """The steps come from the code; this only says that none of the ledger's and the source's methods is missed."""
    seen: set[str] = set()
    for name in ("two first deliveries of one content", "giving up twice"):
        seen |= ALL[name].search().run().steps
    ports = {name for port in (commit.ResultStore, commit.Source) for name in vars(port) if not name.startswith("_")}
    assert ports | {"read", "info"} == seen


# --- what holds when the host drops a dead delivery, because its blob has changed since (polling source) -------------

DROPPED = Scenario(
    "an overwrite during a delivery that is not repeated",
    (
        Delivery("A", settling(), only_for=(IMAGE, "0x1")),
        upload("0x2"),
        Delivery("B", settling(), after="overwrite", minute=1, only_for=(IMAGE, "0x2")),
    ),
)


def test_a_dropped_delivery_leaves_at_most_index_rows_that_the_row_can_name() -> None:
    """Row and sidecar are one truth. Only index rows of the dead may be left: the next delivery or ``reconcile``

    finds their keys in the row.
    """
    left: list[int] = []

    def check(account: MemoryAccount) -> None:
        extra = set(account.index)
        row, sidecar = MemoryResults(account).read_row(IMAGE), MemoryResults(account).read_sidecar(IMAGE)
        assert row
        assert row.record
        assert sidecar
        assert sidecar.record
        assert told(row.record) == told(sidecar.record)
        assert same_etag(row.record.etag, account.blobs[IMAGE].etag)
        honest(row.record)
        extra -= {index_row.keys for index_row in row.record.index_rows()}
        assert extra <= remembered(account)
        left.append(len(extra))
        for address in extra:
            MemoryResults(account).delete_index_row(address)  # type: ignore[arg-type]
        one_truth(account)

    DROPPED.search(check).run()
    assert max(left) == 2, "this scenario is the one where something is left: it must reach that"


def test_a_dropped_delivery_of_a_deleted_blob_leaves_nothing_that_its_sidecar_cannot_name() -> None:
    """Only ``reconcile --prune`` heals this: a sidecar, maybe index rows, and no row. The sidecar names them all."""
    orphans: list[bool] = []

    def check(account: MemoryAccount) -> None:
        results = MemoryResults(account)
        row, sidecar = results.read_row(IMAGE), results.read_sidecar(IMAGE)
        if row is not None:
            one_truth(account)
            return
        known = {index_row.keys for index_row in sidecar.record.index_rows()} if sidecar and sidecar.record else set()
        assert set(account.index) <= known
        orphans.append(sidecar is not None)

    actors = (Delivery("A", settling(), only_for=(IMAGE, "0x1")), delete)
    Scenario("dropped and deleted", actors).search(check).run()
    assert any(orphans)


# --- the search notices ----------------------------------------------------------------------------------------------

_SOURCE = Path(commit.__file__).read_text()
_INDEX = "    for index_row in record.index_rows():\n        ledger.write_index_row(index_row)\n"
MUTANTS: dict[str, tuple[str, dict[str, str]]] = {
    "never asks the source who is current": (
        "an overwrite during the second delivery of a settled image",
        {"source.is_current(record.image, record.etag)": "True"},
    ),
    "says that nothing is ever current": (
        "an overwrite during the first delivery",
        {"source.is_current(record.image, record.etag)": "False"},
    ),
    "forgets whom it beat": (
        "an overwrite during the first delivery",
        {"return record.superseding(other, settled=_is_committed(other, row) and not other.shared)": "return record"},
    ),
    "takes a shared outcome for a finished one": (
        "two first deliveries, and an overwrite when one of them is done",
        {"_is_committed(other, row) and not other.shared": "_is_committed(other, row)"},
    ),
    "adopts without saying so": (
        "two first deliveries, and an overwrite when one of them is done",
        {"            held = replace(other, shared=True)": "            held = other"},
    ),
    "yields to nobody": (
        "giving up while a verdict comes",
        {"elif other is not None and _stands(other, record, redo_before)": "elif other is not None and False"},
    ),
    "leaves the index rows of those it beat": (
        "an overwrite during the first delivery",
        {"    _remove(ledger, record.superseded)\n    mine": "    mine"},
    ),
    "leaves the index rows of the row it replaces": (
        "two deliveries of new content over a settled image",
        {"_remove(ledger, _index_keys(row.record) - mine)": "pass"},
    ),
    "leaves its own index rows when it loses": (
        "an overwrite during the first delivery",
        {"_remove(ledger, mine - _index_keys(holder))": "pass"},
    ),
    "lets a repeated delivery leave what races left": (
        "an overwrite during the first delivery",
        {"    _remove(ledger, record.superseded)\n\n": "    pass\n\n"},
    ),
    "does not look at the sidecar again": (
        "an overwrite during the first delivery",
        {"if not _same_attempt(holder, record):": "if False:"},
    ),
    "reads the row's guard after it took the sidecar": (
        "an overwrite during the first delivery",
        {"return _carry_out(ledger, held, row)": "return _carry_out(ledger, held, ledger.read_row(image))"},
    ),
    "writes the row whoever wrote it meanwhile": (
        "an overwrite during the first delivery",
        {"ledger.write_row(record, row)": "ledger.write_row(record, ledger.read_row(image))"},
    ),
    "writes the sidecar whoever wrote it meanwhile": (
        "an overwrite during the first delivery",
        {
            "            if held != other:\n                ledger.write_sidecar(held, beside)": (
                "            ledger.write_sidecar(held, ledger.read_sidecar(image))"
            )
        },
    ),
    "writes the row before the index rows": (
        "two first deliveries of one content",
        {
            _INDEX: "",
            "            return record\n        beside": (
                "            for index_row in record.index_rows():\n"
                "                ledger.write_index_row(index_row)\n"
                "            return record\n        beside"
            ),
        },
    ),
    "writes the index rows before the sidecar": (
        "two first deliveries of one content",
        {
            "            if held != other:": (
                "            for index_row in held.index_rows():\n"
                "                ledger.write_index_row(index_row)\n"
                "            if held != other:"
            )
        },
    ),
    "does not finish what was begun at a blob that is gone": (
        "a deletion during the first delivery",
        {"        _carry_out(ledger, held, row)\n        return": "        return"},
    ),
}


@pytest.mark.parametrize(("scenario", "changes"), MUTANTS.values(), ids=MUTANTS.keys())
def test_the_search_notices_a_protocol_that(
    scenario: str, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _SOURCE
    for old, new in changes.items():
        assert source.count(old) == 1, f"this mutation no longer fits the code: {old}"
        source = source.replace(old, new)
    broken = types.ModuleType("broken")
    exec(compile(source, "broken", "exec"), vars(broken))
    for name in ("commit", "finish", "clean_up_after_races"):
        monkeypatch.setattr(classify_blob, name, getattr(broken, name))
    monkeypatch.setattr(retries, "commit", broken.commit)
    with pytest.raises(BrokenPromiseError):
        ALL[scenario].search().run()


def test_the_search_notices_a_record_that_forgets_older_races(monkeypatch: pytest.MonkeyPatch) -> None:
    superseding = Record.superseding

    def forgetful(self: Record, other: Record, *, settled: bool = False) -> Record:
        return superseding(self, replace(other, superseded=()), settled=settled)

    monkeypatch.setattr(Record, "superseding", forgetful)
    with pytest.raises(BrokenPromiseError):
        ALL["two overwrites, settled one after the other while the first delivery sleeps"].search().run()


def test_a_search_that_finds_nothing_wrong_has_looked() -> None:
    """A check that always fails is reached, and told with its schedule."""

    def never(_account: MemoryAccount) -> None:
        raise AssertionError("never good")

    with pytest.raises(BrokenPromiseError, match=r"never good\nafter this schedule:\n    1 A begins\n    2 A read_row"):
        Search(MemoryAccount(), (Delivery("A", settling()),), never).run()
