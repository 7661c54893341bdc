"""The three queue functions under Microsoft's own trigger extensions, with messages of every kind.

On a ``-poison`` queue the host never gives up: a message whose function fails stays there, hidden for ten minutes at a
time. So what the functions leave there, and what they move, is the subject of these tests.
"""

from __future__ import annotations

import base64
import json
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from storage.pipeline.messages import BLOB_POISON_QUEUE, POISON_QUEUE, QUEUE, REFUSED_QUEUE, Request
from storage.pipeline.queue import RequestQueue
from tests.tools.webjobs.conftest import Lab, quick_host_json
from tests.tools.webjobs.photos import photo
from tests.waiting import until
from tools.devhost.messages import BlobTriggerMessage, function_id

if TYPE_CHECKING:
    from tools.webjobs.app_host import AppHost

FUNCTIONS = {QUEUE: "classify_requested", BLOB_POISON_QUEUE: "recover_poisoned", POISON_QUEUE: "record_abandoned"}
UNREADABLE = {
    "neither JSON nor Base64": "please classify a.jpg!",
    "Base64 of other bytes": base64.b64encode(b"\xff\xfe\x00").decode(),
    "Base64 of other text": base64.b64encode(b"please").decode(),
    "JSON of another form": json.dumps({"image": "a.jpg"}),
    "a list": "[1]",
    "oversized": "no picture " * 5800,  # 62 KiB; a queue message holds 64
    "oversized brackets": "[" * 60_000,
}


def blob_message(name: str, container: str = "incoming") -> str:
    """As the host writes it."""
    return BlobTriggerMessage(function_id("classify_uploaded"), container, name, '"0x1"').to_wire()


def host_json() -> dict[str, Any]:
    """Retries after one second, and no pause between looks at a queue."""
    document = quick_host_json()
    extensions = document["extensions"]
    queues = extensions["queues"] | {"visibilityTimeout": "00:00:01", "maxPollingInterval": "00:00:01"}
    return document | {"extensions": extensions | {"queues": queues}}


def send(lab: Lab, queue: str, text: str) -> None:
    if queue not in {each.name for each in lab.queues.list_queues()}:
        lab.queues.create_queue(queue)
    lab.queues.get_queue_client(queue).send_message(text)


def refused(lab: Lab) -> list[str]:
    """The texts on the queue of refused messages."""
    if not lab.waiting(REFUSED_QUEUE):
        return []
    return [str(each.content) for each in lab.queues.get_queue_client(REFUSED_QUEUE).peek_messages(32)]


def calls(app: AppHost, function: str) -> list[Any]:
    """How each call of a function has ended: None for success, or the error."""
    return [each.get("error", "open") for each in app.invocations if each["invoke"] == function]


@pytest.mark.parametrize("form", ["Base64", "plain"])
def test_requests_in_base64_and_in_plain_json(lab: Lab, form: str) -> None:
    lab.upload("asked for.jpg", photo())
    lab.upload("ü/asked for.jpg", photo())
    request = Request("incoming", ("asked for.jpg", "ü/asked for.jpg"))
    with lab.app(host_json(), BLOB_TRIGGER_SOURCE="EventGrid") as app:
        if form == "Base64":
            RequestQueue(lab.clients).send(request)
        else:
            send(lab, QUEUE, request.to_json())
        rows = lab.wait_for_rows(*request.blobs)
        until(lambda: calls(app, "classify_requested") == [None])
    assert {str(row.status) for row in rows.values()} == {"classified"}


@pytest.mark.parametrize("queue", FUNCTIONS)
def test_a_message_that_cannot_be_read_is_kept_where_it_is_visible(lab: Lab, queue: str) -> None:
    for text in UNREADABLE.values():
        send(lab, queue, text)
    with lab.app(host_json(), BLOB_TRIGGER_SOURCE="EventGrid") as app:
        until(lambda: sorted(refused(lab)) == sorted(UNREADABLE.values()))
        until(lambda: lab.waiting(queue) == 0)
        assert calls(app, FUNCTIONS[queue]) == [None] * len(UNREADABLE), "each is called once, and fails never"
        assert app.worker_log.count(f"message_refused queue={queue}") == len(UNREADABLE)
    assert {name: lab.waiting(name) for name in FUNCTIONS} == dict.fromkeys(FUNCTIONS, 0)


def test_an_oversized_request_is_served_in_parts(lab: Lab) -> None:
    """Plain JSON of nearly 64 KiB: in Base64, as the app sends it again, it would not fit into one message."""
    names = [f"{number:02}{'x' * 990}.jpg" for number in range(60)]
    lab.upload(names[0], photo())
    lab.upload(names[-1], photo())
    with lab.app(host_json(), BLOB_TRIGGER_SOURCE="EventGrid") as app:
        send(lab, QUEUE, Request("incoming", tuple(names)).to_json())
        rows = lab.wait_for_rows(names[0], names[-1])
        until(lambda: lab.waiting(QUEUE) == 0)
        assert calls(app, "classify_requested") == [None] * 3, "the message, and its two parts"
    assert {str(row.status) for row in rows.values()} == {"classified"}


def test_a_poisoned_upload_of_this_app_and_of_another(lab: Lab) -> None:
    lab.upload("given up.jpg", photo())
    theirs = blob_message("a.jpg", "theirs")
    send(lab, BLOB_POISON_QUEUE, theirs)
    send(lab, BLOB_POISON_QUEUE, blob_message("given up.jpg"))
    with lab.app(host_json(), BLOB_TRIGGER_SOURCE="EventGrid") as app:
        rows = lab.wait_for_rows("given up.jpg")
        until(lambda: None in calls(app, "recover_poisoned") and "open" not in calls(app, "recover_poisoned"))
        (failure,) = [error for error in calls(app, "recover_poisoned") if error]
    assert str(rows["given up.jpg"].status) == "classified"
    assert "'theirs'" in failure
    assert lab.waiting(BLOB_POISON_QUEUE) == 1, "the message of the other app stays"
    assert refused(lab) == []
    assert f"message_refused queue={BLOB_POISON_QUEUE}" in app.worker_log


def test_a_request_of_another_app_is_offered_to_it_and_then_kept(lab: Lab) -> None:
    theirs = Request("theirs", ("a.jpg",)).to_json()
    with lab.app(host_json(), BLOB_TRIGGER_SOURCE="EventGrid") as app:
        send(lab, QUEUE, theirs)
        until(lambda: refused(lab) == [theirs])
        until(lambda: calls(app, "record_abandoned") == [None])
        assert len(calls(app, "classify_requested")) == 5
    assert {name: lab.waiting(name) for name in FUNCTIONS} == dict.fromkeys(FUNCTIONS, 0)


def _is_called(app: AppHost, times: int) -> bool:
    endings = calls(app, "classify_requested")
    return len(endings) == times and endings[-1] == "open"


def _has_ended(app: AppHost) -> bool:
    return "open" not in calls(app, "classify_requested")


def test_a_request_whose_worker_dies_each_time_ends_in_a_failed_row(lab: Lab) -> None:
    """The host itself moves the message to the poison queue, and hands it to record_abandoned."""
    lab.upload("deadly.jpg", photo())
    with lab.app(host_json(), BLOB_TRIGGER_SOURCE="EventGrid") as app:
        for delivery in range(5):
            os.kill(app.process_ids[1], signal.SIGSTOP)
            if not delivery:
                RequestQueue(lab.clients).send(Request("incoming", ("deadly.jpg",)))
            until(partial(_is_called, app, delivery + 1))
            app.kill_worker()
            until(partial(_has_ended, app))  # another worker is ready then
        rows = lab.wait_for_rows("deadly.jpg")
        until(lambda: calls(app, "record_abandoned") == [None])
    assert (str(rows["deadly.jpg"].status), rows["deadly.jpg"].reason) == ("failed", "gave_up")
    assert "crashed" in (rows["deadly.jpg"].detail or "")
