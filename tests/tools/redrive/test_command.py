"""``python -m tools redrive`` from the command line."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from inference.errors import PermanentError, Reason
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import QUEUE, Request
from storage.pipeline.retries import give_up
from storage.results.index_rows import index_rows
from storage.results.record import Image, IndexRow
from tests.storage.samples import FixedClassifier
from tools.__main__ import main

if TYPE_CHECKING:
    from tools.account import Account


@pytest.fixture
def account(account: Account) -> Account:
    """An account with a cat, a dog, an image too large, a text and one with a ``failed`` row."""
    large = PermanentError(Reason.TOO_MANY_PIXELS, "It has 300,000,000 pixels.")
    text = PermanentError(Reason.NOT_AN_IMAGE, "It is no image.")
    container = account.settings.incoming_container
    for name, classifier in {
        "pets/cat.jpg": FixedClassifier("cat"),
        "pets/dog.jpg": FixedClassifier("dog"),
        "large.png": FixedClassifier(error=large),
        "text.txt": FixedClassifier(error=text),
        "pets/cut cat.jpg": FixedClassifier("cat", decoded_fraction=0.5),
        "given up.jpg": None,
    }.items():
        account.clients.blobs.get_blob_client(container, name).upload_blob(b"x")
        image = Image(container, name)
        if classifier:
            classify_blob(account.stores, classifier, image)
        else:
            give_up(account.stores, image, "The model was away.")
    return account


def queues(account: Account) -> list[str]:
    return [str(queue.name) for queue in account.clients.queues.list_queues()]


def sent(account: Account) -> list[Request]:
    """Receive and delete the requests for this test's container."""
    if QUEUE not in queues(account):
        return []
    queue = account.clients.queues.get_queue_client(QUEUE)
    taken = []
    for message in queue.receive_messages():
        request = Request.from_body(b64decode(message.content))
        if request.container == account.settings.incoming_container:
            taken.append(request)
            queue.delete_message(message)
    return taken


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("options", "images"),
    [
        ([], {"given up.jpg"}),
        (["--status", "failed"], {"given up.jpg"}),
        (["--status", "rejected"], {"large.png", "text.txt"}),
        (["--status", "rejected", "--reason", "too_many_pixels"], {"large.png"}),
        (["--reason", "not_an_image"], {"text.txt"}),
        (["--reason", "gave_up"], {"given up.jpg"}),
        (["--label", "dog"], {"pets/dog.jpg"}),
        (["--label", "do"], set()),
        (["--damaged"], {"pets/cut cat.jpg"}),
        (["--damaged", "--label", "dog"], set()),
        (["--damaged", "--since", "1h"], {"pets/cut cat.jpg"}),
        (["--status", "rejected", "--since", "1h"], {"large.png", "text.txt"}),
        (["--status", "rejected", "--since", "2999-01-01"], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_chosen_images_are_queued(
    account: Account, capsys: pytest.CaptureFixture[str], options: list[str], images: set[str]
) -> None:
    before = datetime.now(UTC)
    assert main(["redrive", "--json", *options]) == 0
    *found, summary = lines(capsys)
    assert {line["image"] for line in found} == images
    assert summary == {"event": "summary", "found": len(images), "enqueued": len(images), "dry_run": False}
    requests = sent(account)
    assert {name for request in requests for name in request.blobs} == images
    assert all(request.redo_before and before <= request.redo_before <= datetime.now(UTC) for request in requests)


def test_a_rejected_image_is_classified_again(account: Account) -> None:
    assert main(["redrive", "--reason", "too_many_pixels"]) == 0
    (request,) = sent(account)
    (image,) = request.images
    finished = classify_blob(account.stores, FixedClassifier("cat"), image, redo_before=request.redo_before)
    assert finished.record is not None
    assert finished.record.label == "cat"
    assert main(["redrive", "--reason", "too_many_pixels"]) == 0
    assert sent(account) == []


def test_failed_images_are_queued_one_by_one_and_others_together(account: Account) -> None:
    """One of the failed images may be the one that ends the worker."""
    another = Image(account.settings.incoming_container, "another.jpg")
    account.clients.blobs.get_blob_client(another.container, another.blob_name).upload_blob(b"x")
    give_up(account.stores, another, "The worker crashed.")
    assert main(["redrive"]) == 0
    assert sorted(len(request.blobs) for request in sent(account)) == [1, 1]
    assert main(["redrive", "--status", "rejected"]) == 0
    assert [len(request.blobs) for request in sent(account)] == [2]


def test_a_dry_run_prints_the_images_and_queues_nothing(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redrive", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "failed     gave_up                  given up.jpg\n1 found, 0 queued to be classified again.\n"
    )
    assert sent(account) == []


def test_a_false_index_row_selects_nothing(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    row = account.stores.results.read_row(Image(account.settings.incoming_container, "given up.jpg"))
    assert row is not None
    assert row.record is not None
    (true,) = index_rows(row.record)
    another_time = true.keys._replace(row_key="0" + true.keys.row_key[1:])
    for blob_name in ("given up.jpg", "pets/cat.jpg", "never.jpg"):
        address = another_time._replace(row_key=another_time.row_key + blob_name[0])
        account.stores.results.write_index_row(IndexRow(address, {**true.columns, "blob_name": blob_name}))
    assert main(["redrive", "--json"]) == 0
    assert [line["image"] for line in lines(capsys)[:-1]] == ["given up.jpg"]


@pytest.mark.parametrize("selected", [["--label", "cat"], ["--damaged"]], ids=" ".join)
def test_classified_images_with_status_are_refused(
    account: Account, capsys: pytest.CaptureFixture[str], selected: list[str]
) -> None:
    assert main(["redrive", *selected, "--status", "failed"]) == 2
    assert capsys.readouterr().out == ""
