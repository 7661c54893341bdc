"""A refused read concerns one blob or the account; a refusal of the account is never the result of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inference.errors import ConfigurationError, TransientError
from storage.clients import connect
from storage.connection import Connection
from storage.listing import list_pages
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.outcome import Outcome
from storage.pipeline.stores import Stores
from storage.reconcile.reconcile import Reconciliation
from storage.refusals import ACCOUNT_CODES, PASSING_CODES
from storage.results.record import Status
from tests.storage.samples import FixedClassifier

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.storage.conftest import Account
    from tests.storage.pipeline.refusing import Refusals
    from tools.azurite.azurite import Azurite

pytest_plugins = ("tests.storage.pipeline.refusing",)


@pytest.fixture
def refusing(account: Account, azurite: Azurite, refusals: Refusals) -> Account:
    """An account with three images, whose clients meet ``refusals``."""
    for name in ("lab/refused.jpg", "lab/other.jpg", "yard/other.jpg"):
        account.upload(name, name.encode())
    return account.over(connect(Connection("ImageStorage", azurite.connection_string)))


def refuse(refusals: Refusals, status: int, code: str, container: str = "") -> None:
    """Refuse the image ``refused.jpg``, or every blob of a container."""
    refusals.status, refusals.code = status, code
    refusals.concerns = lambda path: path.startswith(container) if container else path.endswith("/refused.jpg")


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (409, "BlobUsesCustomerSpecifiedEncryption", "unreadable"),
        (409, "SomethingNew", "unreadable"),
        (403, "AuthorizationPermissionMismatch", "unreadable"),
        (400, "InvalidInput", "unreadable"),
        (409, "BlobArchived", "archived"),
        (409, "BlobBeingRehydrated", "archived"),
    ],
)
def test_a_blob_that_is_refused_alone_ends_in_a_failed_row(
    refusing: Account, refusals: Refusals, status: int, code: str, reason: str
) -> None:
    refuse(refusals, status, code)
    image, stores = refusing.image("lab/refused.jpg"), Stores(refusing.source, refusing.results)
    finished = classify_blob(stores, FixedClassifier(), image)
    assert finished.outcome is Outcome.COMMITTED
    row = refusing.results.read_row(image)
    assert row is not None
    assert row.record is not None
    assert (row.record.status, row.record.reason, row.record.model) == (Status.FAILED, reason, "")
    assert row.record.content_length == len(b"lab/refused.jpg")
    summary = Reconciliation(stores, None, refusing.incoming).run()
    assert (summary.missing, summary.stale) == (2, 0), "it does not wait for another attempt"
    refusals.concerns = lambda _path: False
    classify_blob(stores, FixedClassifier(), image)
    row = refusing.results.read_row(image)
    assert row is not None
    assert row.record is not None
    assert row.record.status is Status.CLASSIFIED


@pytest.mark.parametrize("status", [409, 403])
def test_a_new_content_that_is_refused_replaces_the_old_result(
    refusing: Account, refusals: Refusals, status: int
) -> None:
    image, stores = refusing.image("lab/refused.jpg"), Stores(refusing.source, refusing.results)
    classify_blob(stores, FixedClassifier(), image)
    etag = refusing.upload("lab/refused.jpg", b"encrypted")
    refuse(refusals, status, "AuthorizationPermissionMismatch")
    classify_blob(stores, FixedClassifier(), image)
    row = refusing.results.read_row(image)
    assert row is not None
    assert row.record is not None
    assert (row.record.status, row.record.etag) == (Status.FAILED, etag)


@pytest.mark.parametrize(
    "status_code", [(403, code) for code in sorted(ACCOUNT_CODES)] + [(401, "NoAuthenticationInformation")]
)
def test_a_refusal_of_the_account_is_not_the_result_of_an_image(
    refusing: Account, refusals: Refusals, status_code: tuple[int, str]
) -> None:
    refuse(refusals, *status_code)
    with pytest.raises(ConfigurationError):
        classify_blob(Stores(refusing.source, refusing.results), FixedClassifier(), refusing.image("lab/refused.jpg"))
    assert refusals.count == 1
    assert refusing.results.read_row(refusing.image("lab/refused.jpg")) is None


def test_a_role_that_reads_nothing_is_a_refusal_of_the_account(refusing: Account, refusals: Refusals) -> None:
    """Also after it read blobs before: a role may be taken away."""
    stores = Stores(refusing.source, refusing.results)
    classify_blob(stores, FixedClassifier(), refusing.image("yard/other.jpg"))
    refuse(refusals, 403, "AuthorizationPermissionMismatch", container=refusing.incoming)
    with pytest.raises(ConfigurationError):
        classify_blob(stores, FixedClassifier(), refusing.image("lab/refused.jpg"))


def test_a_folder_that_fills_the_first_page_may_be_refused_alone(
    refusing: Account, refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its two blobs are the page. The container is searched once: the next refused blob asks for the same other one."""
    listings: list[object] = []

    def listed(container: ContainerClient, **options: Any) -> object:
        listings.append(options)
        return list_pages(container, **({"page_size": 2} | options))

    monkeypatch.setattr("storage.blobs.list_pages", listed)
    refuse(refusals, 403, "AuthorizationPermissionMismatch", container=f"{refusing.incoming}/lab/")
    stores = Stores(refusing.source, refusing.results)
    counts = []
    for name in ("lab/refused.jpg", "lab/other.jpg"):
        listings.clear()
        assert classify_blob(stores, FixedClassifier(), refusing.image(name)).outcome is Outcome.COMMITTED
        row = refusing.results.read_row(refusing.image(name))
        assert row is not None
        assert row.record is not None
        assert row.record.reason == "unreadable"
        counts.append(len(listings))
    assert counts[0] > counts[1] == 1, "the properties of a refused blob cost one listing"


@pytest.mark.parametrize("code", sorted(PASSING_CODES))
def test_a_conflict_that_passes_is_tried_again(refusing: Account, refusals: Refusals, code: str) -> None:
    refuse(refusals, 409, code)
    with pytest.raises(TransientError):
        classify_blob(Stores(refusing.source, refusing.results), FixedClassifier(), refusing.image("lab/refused.jpg"))


def test_a_refused_blob_that_is_deleted_meanwhile_is_gone(refusing: Account, refusals: Refusals) -> None:
    refuse(refusals, 409, "BlobArchived")
    refusing.delete("lab/refused.jpg")
    finished = classify_blob(
        Stores(refusing.source, refusing.results), FixedClassifier(), refusing.image("lab/refused.jpg")
    )
    assert finished.outcome is Outcome.GONE


def test_an_archived_blob_of_the_emulator_is_known_from_listing_and_answer(account: Account) -> None:
    account.upload("old.jpg", b"old")
    account.clients.blobs.get_blob_client(account.incoming, "old.jpg").set_standard_blob_tier("Archive")
    ((listed,),) = account.source.pages(account.incoming)
    assert listed.is_archived
    classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image("old.jpg"))
    row = account.results.read_row(account.image("old.jpg"))
    assert row is not None
    assert row.record is not None
    assert (row.record.reason, row.record.etag) == ("archived", listed.etag)
    assert "rehydrate" in (row.record.detail or "")


@pytest.mark.parametrize("metadata", [{"hdi_isfolder": "true"}, {"Hdi_isfolder": "True", "owner": "me"}])
def test_a_directory_marker_is_no_image(account: Account, metadata: dict[str, str]) -> None:
    blob = account.clients.blobs.get_blob_client(account.incoming, "lab")
    blob.upload_blob(b"", metadata=metadata)
    account.upload("lab/a.jpg", b"a")
    finished = classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image("lab"))
    assert finished.outcome is Outcome.IGNORED
    assert account.results.read_row(account.image("lab")) is None
    assert [blob.name for page in account.source.pages(account.incoming) for blob in page] == ["lab/a.jpg"]
    summary = Reconciliation(Stores(account.source, account.results), None, account.incoming).run()
    assert (summary.images, summary.missing) == (1, 1)


@pytest.mark.parametrize(
    ("content", "metadata"), [(b"", {}), (b"", {"hdi_isfolder": "false"}), (b"x", {"hdi_isfolder": "true"})]
)
def test_an_empty_file_and_a_marked_file_with_content_are_uploads(
    account: Account, content: bytes, metadata: dict[str, str]
) -> None:
    account.clients.blobs.get_blob_client(account.incoming, "a.jpg").upload_blob(content, metadata=metadata)
    finished = classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image("a.jpg"))
    assert finished.outcome is Outcome.COMMITTED
    assert len([blob for page in account.source.pages(account.incoming) for blob in page]) == 1
