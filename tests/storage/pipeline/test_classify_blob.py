"""One image through ``classify_blob`` on the emulator: its requests, its outcome and its log line."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from azure.storage.blob import ContentSettings

from inference.errors import PermanentError, Reason, TransientError
from inference.predictions import CaptureFacts, ImageInfo, ModelIdentity
from storage.blobs import SourceBlobs
from storage.clients import connect
from storage.connection import Connection
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.outcome import Finished, Outcome
from storage.pipeline.stores import Stores
from storage.results.index_rows import index_rows
from storage.results.record import Image, Record, Status
from storage.results.serialization import to_sidecar
from tests.storage.conftest import MAX_BYTES
from tests.storage.fakes import UPLOADED, MemoryAccount, MemoryResults, MemorySource
from tests.storage.samples import AWKWARD_NAMES, MODEL, SCORES, FixedClassifier, record
from tools.azurite.azurite import ACCOUNT_KEY  # public, but a real key would be logged in the same places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.predictions import Classification
    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite


@pytest.fixture
def stores(account: Account, azurite: Azurite, sent: list[str]) -> Iterator[Stores]:
    """Stores whose requests are counted, in an account that has its tables and container already."""
    clients = connect(Connection("ImageStorage", azurite.connection_string), max_blob_bytes=MAX_BYTES)
    counted = account.over(clients)
    made = Stores(counted.source, counted.results)
    account.upload("first.jpg", b"first")
    classify_blob(made, FixedClassifier(), account.image("first.jpg"))
    sent.clear()
    yield made
    clients.close()


def committed(account: Account, blob_name: str = "cat.jpg") -> Record:
    """The row's record, which its sidecar and its index rows must match."""
    row = account.results.read_row(account.image(blob_name))
    sidecar = account.results.read_sidecar(account.image(blob_name))
    assert row is not None
    assert row.record is not None
    assert sidecar is not None
    assert sidecar.record == row.record
    assert {tuple(index_row.keys) for index_row in index_rows(row.record)} <= account.index_keys()
    return row.record


def test_a_fresh_upload_costs_six_requests(stores: Stores, account: Account, sent: list[str]) -> None:
    etag = account.upload("a/cat.jpg", b"miaow")
    finished = classify_blob(stores, FixedClassifier(), account.image("a/cat.jpg"))
    index = f"{account.table}index("
    row = f"{account.table}(PartitionKey='{account.incoming}|a',RowKey='cat.jpg')"
    assert [line.partition(index)[0] + (index if index in line else "") for line in sent] == [
        f"GET {row}",
        f"GET {account.incoming}/a/cat.jpg",
        f"PUT {account.container}/a/cat.jpg.json",
        f"PUT {index}",
        f"PUT {index}",
        f"POST {account.table}",
    ]
    assert finished.outcome is Outcome.COMMITTED
    written = committed(account, "a/cat.jpg")
    assert finished.record == written
    assert (written.etag, written.label, written.score, written.model) == (etag, "cat", 0.75, MODEL.name)
    assert (written.width, written.height, written.format, written.content_length) == (8, 6, "png", 5)
    assert written.sidecar == f"{account.container}/a/cat.jpg.json"
    assert written.queue_delay_ms is not None
    assert written.queue_delay_ms >= 0


def test_a_duplicate_costs_two_requests_and_no_inference(stores: Stores, account: Account, sent: list[str]) -> None:
    account.upload("cat.jpg", b"miaow")
    first = classify_blob(stores, FixedClassifier(), account.image())
    before, asked = sent.copy(), FixedClassifier("never")
    again = classify_blob(stores, asked, account.image())
    assert [line.split()[0] for line in sent[len(before) :]] == ["GET", "GET"]
    assert again == Finished(Outcome.DUPLICATE, first.record)
    assert asked.asked == []


def test_an_overwrite_replaces_row_sidecar_and_index_rows(stores: Stores, account: Account, sent: list[str]) -> None:
    account.upload("cat.jpg", b"miaow")
    classify_blob(stores, FixedClassifier("cat"), account.image())
    others = account.index_keys() - {tuple(row.keys) for row in index_rows(committed(account))}
    account.upload("cat.jpg", b"woof")
    sent.clear()
    classify_blob(stores, FixedClassifier("dog"), account.image())
    assert [line.split()[0] for line in sent] == [
        *["GET", "GET", "GET", "HEAD", "PUT", "PUT", "PUT", "DELETE", "DELETE", "PUT"]
    ]
    written = committed(account)
    assert written.label == "dog"
    assert account.index_keys() == others | {tuple(row.keys) for row in index_rows(written)}
    sent.clear()
    assert classify_blob(stores, FixedClassifier(), account.image()).outcome is Outcome.DUPLICATE
    assert len(sent) == 2


def test_a_new_model_replaces_the_result(stores: Stores, account: Account) -> None:
    account.upload("cat.jpg", b"miaow")
    classify_blob(stores, FixedClassifier("cat"), account.image())
    newer = ModelIdentity("shapes", "ba9876543210")
    classify_blob(stores, FixedClassifier("lynx", newer), account.image())
    assert (committed(account).label, committed(account).model_version) == ("lynx", newer.version)


def test_a_redo_classifies_again_with_the_same_model(stores: Stores, account: Account) -> None:
    account.upload("cat.jpg", b"miaow")
    classify_blob(stores, FixedClassifier("cat"), account.image())
    later = datetime.now(UTC)
    classify_blob(stores, FixedClassifier("tiger"), account.image(), redo_before=later)
    assert committed(account).label == "tiger"
    assert (
        classify_blob(stores, FixedClassifier("lion"), account.image(), redo_before=later).outcome is Outcome.DUPLICATE
    )


class Captured(FixedClassifier):
    """Answers with an image that states its capture."""

    def __init__(self, facts: CaptureFacts) -> None:
        super().__init__()
        self.facts = facts

    def classify(self, content: bytes) -> Classification:
        answer = super().classify(content)
        return replace(answer, image=answer.image._replace(capture=self.facts))


def test_capture_facts_reach_row_and_sidecar_without_the_location(
    stores: Stores, account: Account, sent: list[str]
) -> None:
    account.upload("cat.jpg", b"miaow")
    facts = CaptureFacts("2019-05-05T14:36:12", "RECONYX", "HF2", "H2", -1.5, -33.75, 151.125)
    classify_blob(stores, Captured(facts), account.image())
    assert len(sent) == 7, "the third index row costs one request more"
    written = committed(account)
    assert (written.taken_at, written.taken_from) == ("2019-05-05T14:36:12", "exif")
    assert (written.camera_make, written.camera_model, written.camera_serial) == ("RECONYX", "HF2", "H2")
    assert (written.temperature_c, written.latitude, written.longitude) == (-1.5, None, None)


def test_a_rejected_photo_keeps_its_capture_facts(stores: Stores, account: Account) -> None:
    account.upload("cat.jpg", b"half a ca")
    facts = CaptureFacts("2019-05-05T14:36:12")
    broken = PermanentError(Reason.TRUNCATED, "The file ends early.", ImageInfo(8, 6, "jpeg", None, facts))
    classify_blob(stores, FixedClassifier(error=broken), account.image())
    assert committed(account).taken_at == "2019-05-05T14:36:12"


def test_an_impossible_time_is_logged_and_the_row_is_clean(
    stores: Stores, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "storage.pipeline.outcome")
    account.upload("cat.jpg", b"miaow")
    classify_blob(stores, Captured(CaptureFacts(impossible_time="1970:01:01 00:00:00")), account.image())
    assert ' impossible_time="1970:01:01 00:00:00" attempt=0 ' in caplog.messages[-1]
    written = committed(account)
    assert (written.status, written.taken_at, written.taken_from) == (Status.CLASSIFIED, None, None)


def test_a_bad_image_is_rejected_once_with_what_is_known_of_it(stores: Stores, account: Account) -> None:
    account.upload("cat.jpg", b"half a ca")
    broken = PermanentError(Reason.TRUNCATED, "The file ends early.", ImageInfo(8, 6, "jpeg", "Display P3"))
    finished = classify_blob(stores, FixedClassifier(error=broken), account.image())
    assert finished.outcome is Outcome.COMMITTED
    written = committed(account)
    assert (written.status, written.reason, written.detail) == (Status.REJECTED, "truncated", "The file ends early.")
    assert (written.width, written.height, written.format) == (8, 6, "jpeg")
    assert written.color_profile == "Display P3"
    assert (written.label, written.score, written.predictions) == (None, None, ())
    assert (written.model, written.model_version) == (MODEL.name, MODEL.version)
    assert classify_blob(stores, FixedClassifier(), account.image()).outcome is Outcome.DUPLICATE


def test_an_image_that_is_too_large_is_rejected_unread(stores: Stores, account: Account) -> None:
    account.upload("huge.jpg", bytes(MAX_BYTES + 1))
    never = FixedClassifier()
    classify_blob(stores, never, account.image("huge.jpg"))
    written = committed(account, "huge.jpg")
    assert (written.reason, written.content_length) == ("too_many_bytes", MAX_BYTES + 1)
    assert never.asked == []


def test_an_empty_blob_is_rejected_until_it_has_content(stores: Stores, account: Account) -> None:
    account.upload("cat.jpg", b"")
    classify_blob(stores, FixedClassifier(error=PermanentError(Reason.EMPTY, "The file is empty.")), account.image())
    assert committed(account).reason == "empty"
    account.upload("cat.jpg", b"miaow")
    classify_blob(stores, FixedClassifier(), account.image())
    assert committed(account).status is Status.CLASSIFIED


def test_a_deleted_blob_is_no_error_and_writes_nothing(stores: Stores, account: Account, sent: list[str]) -> None:
    assert classify_blob(stores, FixedClassifier(), account.image("gone.jpg")) == Finished(Outcome.GONE)
    assert {line.split()[0] for line in sent} == {"GET"}


def test_a_blob_deleted_during_inference_leaves_a_complete_result(stores: Stores, account: Account) -> None:
    account.upload("cat.jpg", b"miaow")

    class Deleting(FixedClassifier):
        def classify(self, content: bytes):  # type: ignore[no-untyped-def]  # noqa: ANN202
            account.delete("cat.jpg")
            return super().classify(content)

    classify_blob(stores, Deleting(), account.image())
    assert committed(account).label == "cat"


def test_an_attempt_that_died_before_its_row_is_completed(
    stores: Stores, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker was killed between sidecar and row: the sidecar's outcome counts, not that of the next attempt."""

    class KilledError(BaseException):
        pass

    def write_row(*_: object) -> None:
        raise KilledError

    account.upload("cat.jpg", b"miaow")
    with monkeypatch.context() as patched:
        patched.setattr(type(stores.results), "write_row", write_row)
        with pytest.raises(KilledError):
            classify_blob(stores, FixedClassifier("cat"), account.image())
    assert account.results.read_row(account.image()) is None
    assert classify_blob(stores, FixedClassifier("dog"), account.image()).outcome is Outcome.COMMITTED
    assert committed(account).label == "cat"


def test_an_interrupted_attempt_at_a_deleted_blob_is_finished(stores: Stores, account: Account) -> None:
    """A worker died between sidecar and row, then the blob was deleted: without a row it could not be pruned."""
    account.results.write_sidecar(record(container=account.incoming), None)
    assert classify_blob(stores, FixedClassifier(), account.image()).outcome is Outcome.GONE
    assert committed(account).label == "cat"


def test_a_sidecar_copied_into_incoming_is_ignored(stores: Stores, account: Account, sent: list[str]) -> None:
    account.upload("cat.jpg.json", to_sidecar(record()))
    never = FixedClassifier()
    assert classify_blob(stores, never, account.image("cat.jpg.json")).outcome is Outcome.IGNORED
    assert never.asked == []
    assert {line.split()[0] for line in sent} == {"GET"}


def test_other_json_is_classified_like_any_upload(stores: Stores, account: Account) -> None:
    account.upload("notes.json", b'{"a":' * 50_000)
    asked = FixedClassifier(error=PermanentError(Reason.NOT_AN_IMAGE, "These bytes are no image."))
    classify_blob(stores, asked, account.image("notes.json"))
    assert len(asked.asked) == 1
    assert committed(account, "notes.json").reason == "not_an_image"


def test_a_storage_failure_is_raised_for_the_host_to_deliver_again(account: Account, azurite: Azurite) -> None:
    account.upload("cat.jpg", b"miaow")

    class Down(SourceBlobs):
        def read(self, *_args: object, **_options: object):  # type: ignore[no-untyped-def]  # noqa: ANN202
            raise TransientError("reading failed for now (503).")

    stores = Stores(Down(account.clients.blobs, MAX_BYTES), account.results)
    with pytest.raises(TransientError, match="503"):
        classify_blob(stores, FixedClassifier(), account.image())
    assert account.results.read_row(account.image()) is None


def test_memory_is_reserved_before_the_body_and_released_after_the_work(account: Account) -> None:
    steps: list[str] = []

    @contextmanager
    def admit(length: int) -> Iterator[None]:
        steps.append(f"reserves {length}")
        try:
            yield
        finally:
            steps.append(f"releases {length}")

    class Noted(FixedClassifier):
        def classify(self, content: bytes) -> Classification:
            steps.append(f"classifies {len(content)}")
            return super().classify(content)

    account.upload("cat.jpg", b"miaow")
    stores = Stores(account.source, account.results, admit=admit)
    classify_blob(stores, Noted(), account.image())
    classify_blob(stores, Noted(), account.image())
    account.upload("cat.jpg", b"half")
    classify_blob(stores, Noted(error=PermanentError(Reason.TRUNCATED, "cut")), account.image())
    assert steps == ["reserves 5", "classifies 5", "releases 5", "reserves 4", "classifies 4", "releases 4"]


def test_the_delay_is_counted_from_the_upload_in_milliseconds() -> None:
    memory, image = MemoryAccount(), Image("incoming", "cat.jpg")
    memory.upload(image, b"miaow")
    began = UPLOADED + timedelta(seconds=75, milliseconds=250)
    stores = Stores(cast(Any, MemorySource(memory)), cast(Any, MemoryResults(memory)), now=lambda: began)
    finished = classify_blob(stores, FixedClassifier(), image).record
    assert finished is not None
    assert finished.queue_delay_ms == 75_250


def test_a_clock_behind_that_of_storage_gives_no_negative_delay(account: Account) -> None:
    account.upload("cat.jpg", b"miaow")
    stores = Stores(account.source, account.results, now=lambda: datetime.now(UTC) - timedelta(days=1))
    classify_blob(stores, FixedClassifier(), account.image())
    assert committed(account).queue_delay_ms == 0


HOSTILE = {**AWKWARD_NAMES, "forged line": "a\nimage_finished image=x", "escape": "\x1b[2Jcat.jpg", "tab": "a\tb"}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_one_line_reports_the_outcome(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Names are hostile: any name gives one line whose fields can be separated."""
    memory, image = MemoryAccount(), Image("incoming", name)
    memory.upload(image, b"miaow")
    stores = Stores(cast(Any, MemorySource(memory)), cast(Any, MemoryResults(memory)))
    with caplog.at_level(logging.INFO, logger="storage"):
        classify_blob(stores, FixedClassifier('a "label"\nof two lines'), image)
    (message,) = caplog.messages
    assert message.isprintable()
    assert message.startswith(
        f"image_finished image={json.dumps(str(image))} outcome=committed status=classified label="
    )
    for field in (
        "score=0.7500",
        'model="shapes"',
        "model_version=",
        "queue_delay_ms=",
        "read_ms=",
        "write_ms=",
        "total_ms=",
    ):
        assert field in message


def test_a_rejection_is_a_warning_with_its_reason(
    stores: Stores, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.upload("cat.jpg", b"half")
    with caplog.at_level(logging.INFO, logger="storage"):
        classify_blob(
            stores, FixedClassifier(error=PermanentError(Reason.TRUNCATED, "It ends early.")), account.image()
        )
        classify_blob(stores, FixedClassifier(), account.image())
    assert [entry.levelname for entry in caplog.records] == ["WARNING", "INFO"]
    assert 'reason=truncated detail="It ends early."' in caplog.messages[0]


def test_no_log_line_holds_a_secret(stores: Stores, account: Account, caplog: pytest.LogCaptureFixture) -> None:
    account.upload("cat.jpg", b"miaow")
    with caplog.at_level(logging.DEBUG):
        classify_blob(stores, FixedClassifier(), account.image())
        classify_blob(stores, FixedClassifier(), account.image("gone.jpg"))
    assert caplog.messages
    for entry in caplog.records:
        assert ACCOUNT_KEY not in entry.getMessage()
        assert "sig=" not in entry.getMessage()


class TestDamagedPicture:
    def test_its_row_and_sidecar_say_so_and_how_much_was_decoded(self, account: Account) -> None:
        account.upload("cat.jpg", b"miaow")
        classify_blob(
            Stores(account.source, account.results), FixedClassifier(decoded_fraction=0.375), account.image("cat.jpg")
        )
        written = committed(account)
        assert (written.status, written.label) == (Status.CLASSIFIED, "cat")
        assert (written.damaged, written.decoded_fraction) == (True, 0.375)
        (entity,) = (row for page in account.results.row_reader().pages() for row in page)
        assert entity["damaged"] is True
        assert entity["decoded_fraction"] == 0.375

    def test_a_whole_picture_has_neither_column(self, account: Account) -> None:
        account.upload("cat.jpg", b"miaow")
        classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image("cat.jpg"))
        (entity,) = (row for page in account.results.row_reader().pages() for row in page)
        assert not {"damaged", "decoded_fraction"} & entity.keys()

    def test_the_log_line_has_the_fraction(self, account: Account, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        account.upload("cat.jpg", b"miaow")
        classify_blob(
            Stores(account.source, account.results), FixedClassifier(decoded_fraction=0.375), account.image("cat.jpg")
        )
        assert ' status=classified label="cat" score=0.7500 decoded_fraction=0.3750 model=' in caplog.text


def test_a_wrong_md5_of_the_uploader_costs_no_photo_and_is_recorded(account: Account) -> None:
    account.upload("cat.jpg", b"miaow")
    blob = account.clients.blobs.get_blob_client(account.incoming, "cat.jpg")
    blob.set_http_headers(ContentSettings(content_md5=bytearray(16)))
    classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image())
    row = account.results.read_row(account.image())
    assert row is not None
    assert row.record is not None
    assert (row.record.status, row.record.md5_mismatch) == (Status.CLASSIFIED, True)


@pytest.mark.parametrize("keep_scores", [True, False])
def test_the_sidecar_holds_the_scores_of_all_labels_where_they_are_kept(account: Account, *, keep_scores: bool) -> None:
    account.upload("cat.jpg", b"miaow")
    kept = Stores(account.source, account.results, keep_scores=keep_scores)
    classify_blob(kept, FixedClassifier(), account.image("cat.jpg"))
    sidecar = account.results.read_sidecar(account.image("cat.jpg"))
    assert sidecar is not None
    assert sidecar.record is not None
    assert sidecar.record.scores == (SCORES if keep_scores else None)


def test_a_row_has_the_md5_of_its_bytes_also_where_storage_states_none(account: Account) -> None:
    for name, settings in (("cat.jpg", None), ("bare.jpg", ContentSettings(content_md5=bytearray()))):
        account.upload(name, b"miaow")
        if settings:
            blob = account.clients.blobs.get_blob_client(account.incoming, name)
            blob.set_http_headers(settings)
            assert not blob.get_blob_properties().content_settings.content_md5
        classify_blob(Stores(account.source, account.results), FixedClassifier(), account.image(name))
        assert committed(account, name).content_md5 == "d52cc7e73b4bd32c49ef6e911bcc18e9"
        assert not committed(account, name).md5_mismatch
