"""``python -m tools redrive --queue``: messages are queued again, deleted or kept."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ResourceExistsError

from storage.pipeline.messages import BLOB_POISON_QUEUE, POISON_QUEUE, QUEUE, REFUSED_QUEUE, Request
from tools.__main__ import main

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient

    from tools.account import Account

UNREADABLE = "classify a.jpg\u202e"


@pytest.fixture(autouse=True)
def _clean(empty_account: Account) -> None:
    """All tests share these queues."""
    for name in (QUEUE, REFUSED_QUEUE, POISON_QUEUE, BLOB_POISON_QUEUE):
        opened(empty_account, name).clear_messages()


def opened(account: Account, name: str) -> QueueClient:
    queue = account.clients.queues.get_queue_client(name)
    with suppress(ResourceExistsError):
        queue.create_queue()
    return queue


def texts(account: Account, name: str) -> list[str]:
    return [str(message.content) for message in opened(account, name).peek_messages(32)]


def redrive(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert main(["redrive", "--json", *options]) == 0
    *lines, summary = map(json.loads, capsys.readouterr().out.splitlines())
    return lines, {name: value for name, value in summary.items() if name not in {"event", "dry_run"}}


def own(account: Account, *names: str, attempt: int = 0) -> Request:
    return Request(account.settings.incoming_container, names, attempt)


@pytest.mark.parametrize("name", [REFUSED_QUEUE, POISON_QUEUE])
@pytest.mark.parametrize("delete", [False, True])
def test_readable_requests_are_queued_and_the_others_kept_or_deleted(
    empty_account: Account, capsys: pytest.CaptureFixture[str], name: str, *, delete: bool
) -> None:
    queue = opened(empty_account, name)
    for number in range(40):  # more than one page
        queue.send_message(own(empty_account, f"{number}.jpg", attempt=5).to_json())
    theirs = Request("theirs", ("a.jpg",)).to_json()
    for text in (UNREADABLE, theirs):
        queue.send_message(text)
    lines, counts = redrive(capsys, "--queue", name, *(["--delete"] if delete else []))
    assert counts == {"found": 42, "enqueued": 40, "deleted": int(delete), "kept": 2 - delete}
    assert [line["reason"] for line in lines if line["outcome"] != "enqueued"] == [
        "its text is neither JSON (Expecting value, at character 1) nor Base64",
        f"it names the container 'theirs', but INCOMING_CONTAINER is '{empty_account.settings.incoming_container}'",
    ]
    kept = [theirs] if delete else [UNREADABLE, theirs]
    assert texts(empty_account, name) == kept, "what is kept is visible at once, and another app's is never deleted"
    sent = [Request.from_body(b64decode(text)) for text in texts(empty_account, QUEUE)]
    assert sent[0] == own(empty_account, "0.jpg"), "its attempts begin anew"
    assert len(sent) == 32


def test_an_abandoned_message_is_queued_image_by_image(
    empty_account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(empty_account, POISON_QUEUE).send_message(own(empty_account, "a.jpg", "b.jpg", attempt=5).to_json())
    _, counts = redrive(capsys, "--queue", POISON_QUEUE)
    assert counts == {"found": 1, "enqueued": 1, "deleted": 0, "kept": 0}
    sent = [Request.from_body(b64decode(text)) for text in texts(empty_account, QUEUE)]
    assert sent == [own(empty_account, "a.jpg"), own(empty_account, "b.jpg")]


@pytest.mark.parametrize("name", [REFUSED_QUEUE, BLOB_POISON_QUEUE])
def test_a_message_of_the_host_becomes_a_request(
    empty_account: Account, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    message = {"ContainerName": empty_account.settings.incoming_container, "BlobName": "a.jpg"}
    opened(empty_account, name).send_message(b64encode(json.dumps(message).encode()).decode())
    _, counts = redrive(capsys, "--queue", name)
    assert counts == {"found": 1, "enqueued": 1, "deleted": 0, "kept": 0}
    assert [Request.from_body(text) for text in texts(empty_account, QUEUE)] == [own(empty_account, "a.jpg")]


def test_an_upload_of_another_app_is_never_deleted(empty_account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps({"ContainerName": "theirs", "BlobName": "a.jpg"})
    opened(empty_account, BLOB_POISON_QUEUE).send_message(text)
    _, counts = redrive(capsys, "--queue", BLOB_POISON_QUEUE, "--delete")
    assert counts == {"found": 1, "enqueued": 0, "deleted": 0, "kept": 1}
    assert texts(empty_account, BLOB_POISON_QUEUE) == [text]


def test_a_dry_run_changes_nothing(empty_account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    queue = opened(empty_account, REFUSED_QUEUE)
    queue.send_message(own(empty_account, "a.jpg").to_json())
    queue.send_message(UNREADABLE)
    _, counts = redrive(capsys, "--queue", REFUSED_QUEUE, "--delete", "--dry-run")
    assert counts == {"found": 2, "enqueued": 1, "deleted": 1, "kept": 0}
    assert len(texts(empty_account, REFUSED_QUEUE)) == 2
    assert texts(empty_account, QUEUE) == []
    (first, _) = queue.peek_messages(2)
    assert first.dequeue_count == 0


def test_work_of_the_host_is_kept(empty_account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    name = "azure-webjobs-blobtrigger-redrive-test"
    work = {"FunctionId": "Host.Functions.x", "BlobType": "BlockBlob", "ContainerName": "c", "BlobName": "b"}
    text = b64encode(json.dumps(work).encode()).decode()
    queue = opened(empty_account, name)
    queue.send_message(text)
    queue.send_message(b64encode(b"hello").decode())
    _, counts = redrive(capsys, "--queue", name, "--delete")
    assert counts == {"found": 2, "enqueued": 0, "deleted": 1, "kept": 1}
    assert texts(empty_account, name) == [text]
    queue.delete_queue()


def test_a_queue_that_does_not_exist_is_empty(empty_account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    opened(empty_account, REFUSED_QUEUE).delete_queue()
    assert main(["redrive", "--queue", REFUSED_QUEUE]) == 0
    assert capsys.readouterr().out == "0 found, 0 queued, 0 deleted, 0 kept.\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--queue", "orders"], "--queue must be classify-requests-refused, "),
        (["--queue", QUEUE], "--queue must be classify-requests-refused, "),
        (["--delete"], "--delete deletes messages: it needs --queue."),
        (["--queue", REFUSED_QUEUE, "--status", "failed"], "--queue selects messages"),
        (["--queue", REFUSED_QUEUE, "--label", "cat"], "--queue selects messages"),
    ],
)
def test_misuse_is_refused(
    empty_account: Account, capsys: pytest.CaptureFixture[str], options: list[str], text: str
) -> None:
    assert main(["redrive", *options]) == 2
    assert text in capsys.readouterr().err
