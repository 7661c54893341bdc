"""``backfill --facts`` on Azurite: rows of an earlier version get capture facts, and nothing else changes."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image as Picture

from storage.errors import ConflictError
from storage.pipeline.classify_blob import classify_blob
from storage.results.amend import amend
from storage.results.index_rows import index_rows
from storage.results.record import Image, Record
from storage.results.store import Results
from tests.inference.capture.test_exif_facts import TAKEN, block
from tests.storage.samples import FixedClassifier
from tools.__main__ import main

if TYPE_CHECKING:
    from storage.results.store import Stored
    from tools.account import Account

FACTS: dict[str, Any] = {"taken_at": "2019-05-05T14:36:12", "taken_from": "exif"}


def upload(account: Account, name: str, *, exif: bytes = b"") -> Image:
    """Upload a photo, and classify it as a version without capture facts did."""
    picture = BytesIO()
    Picture.effect_noise((400, 400), 90).save(picture, "JPEG", quality=95, exif=exif)
    container = account.settings.incoming_container
    account.clients.blobs.get_container_client(container).upload_blob(name, picture.getvalue(), overwrite=True)
    image = Image(container, name)
    classify_blob(account.stores, FixedClassifier(), image)  # it knows no capture facts
    return image


def row(account: Account, image: Image) -> Record:
    """The record of the row, which its sidecar must match."""
    stored, sidecar = account.stores.results.read_row(image), account.stores.results.read_sidecar(image)
    assert stored is not None
    assert stored.record is not None
    assert sidecar is not None
    assert sidecar.record == stored.record
    return stored.record


def summary(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["event"] == "summary"
    return {name: found[name] for name in ("listed", "skipped", "filled", "without_facts", "failed")}


def test_rows_get_facts_and_keep_everything_else(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    dated, plain = upload(account, "a/dated.jpg", exif=block(TAKEN)), upload(account, "a/plain.jpg")
    before, other = row(account, dated), row(account, plain)
    assert main(["backfill", "--facts", "--dry-run", "--json"]) == 0
    assert summary(capsys) == {"listed": 2, "skipped": 0, "filled": 1, "without_facts": 1, "failed": 0}
    assert row(account, dated) == before

    assert main(["backfill", "--facts", "--json"]) == 0
    assert summary(capsys) == {"listed": 2, "skipped": 0, "filled": 1, "without_facts": 1, "failed": 0}
    assert row(account, dated) == replace(before, **FACTS)
    assert row(account, plain) == other
    for index_row in index_rows(row(account, dated)):
        stored = account.stores.results.read_index_row(index_row.keys)
        assert stored is not None
        assert stored.canonical_text() == index_row.canonical_text()

    assert main(["backfill", "--facts", "--json"]) == 0
    assert summary(capsys) == {"listed": 2, "skipped": 1, "filled": 0, "without_facts": 1, "failed": 0}


def test_a_row_of_earlier_content_is_left_to_the_app(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    image = upload(account, "dated.jpg", exif=block(TAKEN))
    before = row(account, image)
    container = account.clients.blobs.get_container_client(image.container)
    container.upload_blob(image.blob_name, b"another photo", overwrite=True)
    assert main(["backfill", "--facts", "--json"]) == 0
    assert summary(capsys)["skipped"] == 1
    assert row(account, image) == before


def test_another_command_cannot_be_combined() -> None:
    assert main(["backfill", "--facts", "--enqueue"]) == 2


class Interrupted(Results):
    """Fails once at the write of a row, as when the process dies there or another attempt was first."""

    error: BaseException | None = None

    def write_row(self, record: Record, replaced: Stored | None) -> None:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        super().write_row(record, replaced)


@pytest.mark.parametrize("error", [ConflictError("raced"), KeyboardInterrupt()], ids=["raced", "killed"])
def test_an_interrupted_change_is_completed(account: Account, error: BaseException) -> None:
    image = upload(account, "dated.jpg", exif=block(TAKEN))
    before = row(account, image)
    settings = account.settings
    results = Interrupted(account.clients, table=settings.results_table, container=settings.results_container)
    results.error = error

    def change(record: Record) -> Record:
        return replace(record, **FACTS)

    if not isinstance(error, ConflictError):
        with pytest.raises(type(error)):
            amend(results, image, before.etag, change)
    assert amend(results, image, before.etag, change) is not None
    assert row(account, image) == replace(before, **FACTS)
    assert amend(results, image, "another", change) is None
