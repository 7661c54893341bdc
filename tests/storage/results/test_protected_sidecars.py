"""Sidecars that storage does not let the app read or replace: in the archive tier, or leased."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import StandardBlobTier

from storage.errors import ProtectedSidecarError
from storage.keys import RowKeys
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.retries import give_up
from storage.pipeline.stores import Stores
from storage.reconcile.reconcile import Reconciliation
from storage.results.index_rows import index_rows
from tests.storage.samples import FixedClassifier

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from tests.storage.conftest import Account


@pytest.fixture
def sidecar(account: Account) -> BlobClient:
    """The sidecar of ``cat.jpg``, whose content has changed since."""
    account.upload("cat.jpg", b"one")
    classify_blob(stores_of(account), FixedClassifier("cat"), account.image())
    account.upload("cat.jpg", b"two")
    return account.clients.blobs.get_blob_client(account.container, "cat.jpg.json")


def stores_of(account: Account) -> Stores:
    return Stores(account.source, account.results)


def outcome(account: Account) -> tuple[str, str | None, str | None]:
    """Status, label and detail of the row, whose index rows must be exactly those that are there."""
    row = account.results.read_row(account.image())
    assert row is not None
    assert row.record is not None
    assert account.index_keys() == row.record.index_keys()
    return str(row.record.status), row.record.label, row.record.detail


def test_an_archived_sidecar_is_replaced_with_its_outcome(account: Account, sidecar: BlobClient) -> None:
    sidecar.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    classify_blob(stores_of(account), FixedClassifier("dog"), account.image())
    assert outcome(account) == ("classified", "dog", None)
    written = account.results.read_sidecar(account.image())
    assert written is not None
    assert written.record is not None
    assert written.record.label == "dog"


def test_an_archived_sidecar_without_a_row_is_replaced(account: Account, sidecar: BlobClient) -> None:
    sidecar.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    row = account.results.read_row(account.image())
    assert row is not None
    account.results.delete_row(account.image(), row.etag)
    for keys in account.index_keys():
        account.results.delete_index_row(RowKeys(*keys))
    classify_blob(stores_of(account), FixedClassifier("dog"), account.image())
    assert outcome(account)[1] == "dog"


def test_a_leased_sidecar_ends_in_a_failed_row_that_says_so(account: Account, sidecar: BlobClient) -> None:
    lease = sidecar.acquire_lease()
    with pytest.raises(ProtectedSidecarError, match=r"cat\.jpg\.json be replaced .*LeaseIdMissing") as raised:
        classify_blob(stores_of(account), FixedClassifier("dog"), account.image())
    assert outcome(account)[1] == "cat"
    give_up(stores_of(account), account.image(), str(raised.value))
    assert outcome(account) == ("failed", None, str(raised.value))
    lease.release()
    classify_blob(stores_of(account), FixedClassifier("dog"), account.image())
    assert outcome(account) == ("classified", "dog", None)


@pytest.mark.parametrize("keep", ["lease", "archive"])
def test_reconcile_goes_on_to_the_other_images(account: Account, sidecar: BlobClient, keep: str) -> None:
    """The row of ``cat.jpg`` differs from its sidecar, and ``dog.jpg`` has lost its own."""
    stores = stores_of(account)
    classify_blob(stores, FixedClassifier("cat"), account.image())
    account.upload("dog.jpg", b"dog")
    classify_blob(stores, FixedClassifier("dog"), account.image("dog.jpg"))
    for name in ("cat.jpg", "dog.jpg"):
        row = account.results.read_row(account.image(name))
        assert row is not None
        assert row.record is not None
        for index_row in index_rows(row.record):
            account.results.delete_index_row(index_row.keys)
    account.clients.blobs.get_blob_client(account.container, "dog.jpg.json").delete_blob()
    if keep == "lease":
        sidecar.upload_blob(b"{}", overwrite=True)
        sidecar.acquire_lease()
    else:
        sidecar.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    Reconciliation(stores, None, account.incoming).run()
    dog = account.results.read_sidecar(account.image("dog.jpg"))
    assert dog is not None
    before = sidecar.get_blob_properties().etag
    account.delete("cat.jpg")
    summary = Reconciliation(stores, None, account.incoming, prune=True).run()
    assert summary.pruned == (keep == "archive")
    assert (keep == "lease") == (before == (sidecar.get_blob_properties().etag if sidecar.exists() else None))
