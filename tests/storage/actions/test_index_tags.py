"""Index tags: their values for any label, what a write keeps and when it writes nothing, and who writes lost ones."""

from __future__ import annotations

import json
import logging
import quopri
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from azure.core.exceptions import HttpResponseError
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ConfigurationError, PermanentError, Reason, TransientError
from storage.actions.after_commit import Actions
from storage.actions.index_tags import IndexTags, encoded, merged, tags_of
from storage.clients import connect
from storage.connection import Connection
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.outcome import Outcome
from storage.pipeline.retries import give_up
from storage.pipeline.stores import Stores
from storage.reconcile.reconcile import Reconciliation
from storage.results.record import Status
from tests.storage.conftest import MAX_BYTES
from tests.storage.samples import FixedClassifier, record, rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite

# learn.microsoft.com/rest/api/storageservices/set-blob-tags
ALLOWED = re.compile(r"[A-Za-z0-9 +\-./:=_]{0,256}")


@pytest.fixture
def stores(account: Account, azurite: Azurite, sent: list[str]) -> Iterator[Stores]:
    """Stores that tag images, whose requests are counted, in an account that has its tables already."""
    clients = connect(Connection("ImageStorage", azurite.connection_string), max_blob_bytes=MAX_BYTES)
    counted = account.over(clients)
    made = Stores(counted.source, counted.results, actions=Actions(IndexTags(clients.blobs)))
    account.upload("first.jpg", b"first")
    classify_blob(Stores(counted.source, counted.results), FixedClassifier(), account.image("first.jpg"))
    sent.clear()
    yield made
    clients.close()


def tags(account: Account, blob_name: str = "cat.jpg") -> dict[str, str]:
    """The blob's tags, as a client of another program reads them."""
    return dict(account.clients.blobs.get_blob_client(account.incoming, blob_name).get_blob_tags())


class TestValues:
    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
    def test_are_accepted_by_storage_and_quoted_printable(self, label: str) -> None:
        value = encoded(label)
        assert ALLOWED.fullmatch(value)
        assert value == value.strip(" ")
        if "==" not in value:  # else it was cut; `=` alone is written `=3D`
            assert quopri.decodestring(value.encode()).decode() == label

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=400), unique=True, max_size=6))
    def test_differ_where_labels_differ(self, labels: list[str]) -> None:
        assert len({encoded(label) for label in labels}) == len(labels)

    def test_of_long_labels_differ(self) -> None:
        assert encoded("x" * 300) != encoded("x" * 301)
        assert len(encoded("x" * 300)) == 256
        assert encoded("x" * 256) == "x" * 256

    def test_are_readable_for_plain_labels(self) -> None:
        assert encoded("red fox") == "red fox"
        assert encoded("tench, Tinca tinca") == "tench=2C Tinca tinca"

    @pytest.mark.parametrize(
        ("score", "band"),
        [(0.0, "0.0"), (0.0999, "0.0"), (0.1, "0.1"), (0.3, "0.3"), (0.7, "0.7"), (0.95, "0.9"), (1.0, "1.0")],
    )
    def test_of_scores_are_the_beginnings_of_bands(self, score: float, band: str) -> None:
        assert tags_of(record(score=score))["score"] == band

    def test_follow_the_row(self) -> None:
        assert tags_of(record()) == {"label": "cat", "status": "classified", "score": "0.8", "model": "shapes"}
        assert tags_of(rejected()) == {"status": "rejected", "model": "shapes"}
        failed = replace(rejected(), status=Status.FAILED, model="", model_version="")
        assert tags_of(failed) == {"status": "failed"}

    def test_of_others_stay_and_ours_take_the_room_that_is_left(self) -> None:
        eight = {f"k{number}": "" for number in range(8)}
        ours = tags_of(record())
        assert merged(eight | {"label": "old"}, ours) == eight | {"label": "cat", "status": "classified"}
        assert merged(None, ours) == ours
        full = {f"k{number}": "" for number in range(10)}
        assert merged(full, ours) == full


def test_a_fresh_upload_costs_one_request_more_and_is_not_changed(
    stores: Stores, account: Account, sent: list[str]
) -> None:
    account.upload("cat.jpg", b"miaow")
    blob = account.clients.blobs.get_blob_client(account.incoming, "cat.jpg")
    before = blob.get_blob_properties()
    classify_blob(stores, FixedClassifier("red fox"), account.image())
    assert len(sent) == 7
    assert sent[-1] == f"PUT {account.incoming}/cat.jpg"
    after = blob.get_blob_properties()
    assert (after.etag, after.last_modified) == (before.etag, before.last_modified)
    assert tags(account) == {"label": "red fox", "status": "classified", "score": "0.7", "model": "shapes"}
    found = account.clients.blobs.find_blobs_by_tags(f"@container='{account.incoming}' AND \"label\"='red fox'")
    assert [each.name for each in found] == ["cat.jpg"]
    sent.clear()
    assert classify_blob(stores, FixedClassifier(), account.image()).outcome is Outcome.DUPLICATE
    assert len(sent) == 2


def test_tags_of_the_uploader_stay_for_one_more_request(stores: Stores, account: Account, sent: list[str]) -> None:
    account.upload("cat.jpg", b"miaow")
    account.clients.blobs.get_blob_client(account.incoming, "cat.jpg").set_blob_tags({"site": "a", "label": "theirs"})
    classify_blob(stores, FixedClassifier(), account.image())
    assert len(sent) == 8
    assert tags(account) == {"site": "a", "label": "cat", "status": "classified", "score": "0.7", "model": "shapes"}


def test_rejected_and_failed_images_are_tagged(stores: Stores, account: Account) -> None:
    account.upload("cat.jpg", b"half a ca")
    classify_blob(stores, FixedClassifier(error=PermanentError(Reason.TRUNCATED, "It ends early.")), account.image())
    assert tags(account) == {"status": "rejected", "model": "shapes"}
    account.upload("dog.jpg", b"woof")
    give_up(stores, account.image("dog.jpg"), "It never worked.")
    assert tags(account, "dog.jpg") == {"status": "failed"}


def test_the_request_is_conditional_on_the_content(account: Account) -> None:
    """Azurite ignores the condition; the service refuses it for a newer content (``x-ms-blob-if-match``)."""
    seen: list[dict[str, Any]] = []

    class Blob:
        def get_blob_tags(self, **options: Any) -> dict[str, str]:
            seen.append(options)
            return {}

        def set_blob_tags(self, tags: dict[str, str], **options: Any) -> None:
            seen.append(options)

    IndexTags(service(Blob())).write(record(etag="0x1"))
    assert [each["etag"] for each in seen] == ['"0x1"', '"0x1"']
    assert {each["match_condition"].name for each in seen} == {"IfNotModified"}


def service(blob: object) -> Any:
    """A service whose only blob this is."""
    return type("Service", (), {"get_blob_client": lambda _self, _container, _name: blob})()


class Refusing:
    """A blob whose tags cannot be written."""

    container_name, blob_name = "incoming", "cat.jpg"

    def __init__(self, status: int, code: str) -> None:
        self.asked = 0
        self.error = HttpResponseError("refused")
        self.error.status_code = status
        self.error.error_code = code  # type: ignore[attr-defined]

    def set_blob_tags(self, tags: dict[str, str], **_options: Any) -> None:
        self.asked += 1
        raise self.error


class TestRefusals:
    def test_of_one_blob_are_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        index_tags = IndexTags(service(Refusing(412, "LeaseIdMissing")))
        assert not index_tags.write(record(), tag_count=0)
        assert caplog.messages == ['image_not_tagged image="incoming/cat.jpg" error=412 LeaseIdMissing']

    def test_of_a_newer_content_are_silent(self, caplog: pytest.LogCaptureFixture) -> None:
        assert not IndexTags(service(Refusing(412, "ConditionNotMet"))).write(record(), tag_count=0)
        assert caplog.messages == []

    def test_of_an_account_without_tags_are_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        blob = Refusing(400, "InvalidQueryParameterValue")
        index_tags = IndexTags(service(blob))
        assert [index_tags.write(record(), tag_count=0) for _ in range(3)] == [False] * 3
        assert blob.asked == 1
        assert caplog.messages == ['tags_unsupported error=InvalidQueryParameterValue do="set TAG_IMAGES=no"']

    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [(403, "AuthorizationPermissionMismatch", ConfigurationError), (503, "ServerBusy", TransientError)],
    )
    def test_of_the_account_are_raised(self, status: int, code: str, kind: type[Exception]) -> None:
        with pytest.raises(kind):
            IndexTags(service(Refusing(status, code))).write(record(), tag_count=0)

    def test_cost_no_result(self, stores: Stores, account: Account, caplog: pytest.LogCaptureFixture) -> None:
        account.upload("cat.jpg", b"miaow")
        refusing = IndexTags(service(Refusing(403, "AuthorizationPermissionMismatch")))
        refused = replace(stores, actions=Actions(refusing))
        caplog.set_level(logging.ERROR)
        assert classify_blob(refused, FixedClassifier(), account.image()).outcome is Outcome.COMMITTED
        (line,) = (message for message in caplog.messages if message.startswith("image_not_tagged"))
        assert json.dumps(f"{account.incoming}/cat.jpg") in line
        assert "check the connection settings and the roles" in line


class Without:
    """A container of an account with a hierarchical namespace, which refuses to list tags."""

    def list_blobs(self, **options: Any) -> Any:
        assert options["include"] == ["tags"]
        error = Refusing(400, "InvalidQueryParameterValue").error

        class Pages:
            def by_page(self) -> Iterator[Any]:
                raise error

        return Pages()


class TestReconcile:
    def run(self, account: Account, stores: Stores, **options: Any) -> dict[str, Any]:
        return Reconciliation(stores, None, account.incoming, **options).run().as_dict()

    def test_writes_missing_and_wrong_tags_and_then_nothing(
        self, stores: Stores, account: Account, sent: list[str]
    ) -> None:
        untagged = replace(stores, actions=Actions())
        for name in ("a.jpg", "b/cat #1?.jpg", "c.jpg"):
            account.upload(name, name.encode())
            classify_blob(untagged, FixedClassifier(), account.image(name))
        classify_blob(stores, FixedClassifier(), account.image("first.jpg"))
        third = account.clients.blobs.get_blob_client(account.incoming, "c.jpg")
        third.set_blob_tags({"site": "c", "label": "dog"})
        assert self.run(account, stores, dry_run=True)["tagged"] == 4
        assert tags(account, "a.jpg") == {}
        assert self.run(account, stores)["tagged"] == 4
        ours = {"label": "cat", "status": "classified", "score": "0.7", "model": "shapes"}
        assert tags(account, "b/cat #1?.jpg") == tags(account, "a.jpg") == ours
        assert tags(account, "c.jpg") == {"site": "c"} | ours
        sent.clear()
        assert self.run(account, stores)["tagged"] == 0
        assert {line.split()[0] for line in sent} == {"GET"}

    def test_leaves_a_newer_content_alone(self, stores: Stores, account: Account) -> None:
        account.upload("first.jpg", b"newer")
        assert self.run(account, stores)["tagged"] == 0
        assert tags(account, "first.jpg") == {}

    def test_without_the_setting_sends_the_same_requests_and_counts_no_tags(
        self, stores: Stores, account: Account, sent: list[str]
    ) -> None:
        assert "tagged" not in self.run(account, replace(stores, actions=Actions()))
        assert not [line for line in sent if line.startswith(f"PUT {account.incoming}/")]

    def test_goes_on_where_the_account_has_no_tags(
        self, stores: Stores, account: Account, caplog: pytest.LogCaptureFixture
    ) -> None:
        namespace = type("Service", (), {"get_container_client": lambda _self, _name: Without()})()
        hierarchical = replace(stores, actions=Actions(IndexTags(cast("Any", namespace))))
        assert self.run(account, hierarchical)["tagged"] == 0
        assert [message.split()[0] for message in caplog.messages] == ["tags_unsupported"]
