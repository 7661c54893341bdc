"""Repairs while the app is working: a change between the check and the write is never undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.stores import Stores
from storage.reconcile.findings import Summary
from storage.reconcile.reconcile import Reconciliation
from storage.reconcile.repair import Repair
from storage.results.index_rows import index_rows
from tests.storage.samples import FixedClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.results.store import Results
    from tests.storage.conftest import Account


class Interrupted:
    """Results that call ``meanwhile`` once, just before a step."""

    def __init__(self, results: Results, step: str, meanwhile: Callable[[], object]) -> None:
        self._results, self._step = results, step
        self._meanwhile: Callable[[], object] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        if name == self._step and self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return getattr(self._results, name)


@pytest.fixture
def stores(account: Account) -> Stores:
    """One image, ``cat.jpg``, is classified."""
    made = Stores(account.source, account.results)
    account.upload("cat.jpg", b"first")
    classify_blob(made, FixedClassifier("cat"), account.image())
    return made


def overwrite(account: Account, stores: Stores) -> None:
    account.upload("cat.jpg", b"second")
    classify_blob(stores, FixedClassifier("dog"), account.image())


def assert_consistent(account: Account, stores: Stores, label: str) -> None:
    row = account.results.read_row(account.image())
    sidecar = account.results.read_sidecar(account.image())
    assert row is not None
    assert row.record is not None
    assert sidecar is not None
    assert row.record.label == label
    assert sidecar.record == row.record
    assert account.index_keys() == row.record.index_keys()
    assert Reconciliation(stores, None, account.incoming, prune=True).run() == Summary(images=1, rows=1)


def repair_interrupted_before(step: str, account: Account, stores: Stores) -> Repair:
    interrupted = Interrupted(account.results, step, lambda: overwrite(account, stores))
    return Repair(Stores(account.source, interrupted))  # type: ignore[arg-type]


def test_an_image_that_exists_is_not_pruned(account: Account, stores: Stores) -> None:
    assert not Repair(stores).prune_deleted(account.image())
    assert_consistent(account, stores, "cat")


@pytest.mark.parametrize("step", ["delete_sidecar", "delete_index_row", "delete_row"])
def test_an_image_uploaded_again_while_it_is_pruned_keeps_its_result(
    account: Account, stores: Stores, step: str
) -> None:
    account.delete("cat.jpg")
    pruned = repair_interrupted_before(step, account, stores).prune_deleted(account.image())
    assert not pruned
    assert_consistent(account, stores, "dog")


def test_a_sidecar_written_meanwhile_is_not_replaced(account: Account, stores: Stores) -> None:
    name = f"{account.image().blob_name}.json"
    account.clients.blobs.get_blob_client(account.container, name).upload_blob(b"{}", overwrite=True)
    assert not repair_interrupted_before("write_sidecar", account, stores).repair_sidecar(account.image())
    assert_consistent(account, stores, "dog")


def test_index_rows_of_a_row_replaced_meanwhile_do_not_come_back(account: Account, stores: Stores) -> None:
    for address in account.index_keys():
        account.clients.tables.get_table_client(f"{account.table}index").delete_entity(*address)
    repair_interrupted_before("write_index_row", account, stores).repair_index(account.image())
    assert_consistent(account, stores, "dog")


def test_the_index_rows_of_a_row_are_not_removed(account: Account, stores: Stores) -> None:
    row = account.results.read_row(account.image())
    assert row is not None
    assert row.record is not None
    assert not any(Repair(stores).remove_false_index_row(index_row) for index_row in index_rows(row.record))
    assert_consistent(account, stores, "cat")
