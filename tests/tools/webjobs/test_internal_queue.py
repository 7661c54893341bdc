"""Which messages on the host's internal queue end the host, and whether ``doctor`` and ``redrive`` recognise each."""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import ResourceExistsError

from tests.tools.webjobs.conftest import INTERNAL_QUEUE, Lab
from tests.waiting import until
from tools.internal_queue import stops_host

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGE = {
    "Type": "BlobTrigger",
    "FunctionId": "Host.Functions.classify_uploaded",
    "BlobType": "BlockBlob",
    "ContainerName": "incoming",
    "BlobName": "gone.jpg",
    "ETag": '"0x1"',
}


def changed(**changes: object) -> str:
    fields: Mapping[str, object] = MESSAGE | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...})


STOPS = {
    "not JSON": "hello",
    "empty": "",
    "null": "null",
    "a list": "[]",
    "a number": "7",
    "text": '"hello"',
    "cut": changed()[:-5],
    "no name": changed(BlobName=...),
    "null as name": changed(BlobName=None),
    "no container": changed(ContainerName=...),
    "no function": changed(FunctionId=...),
    "a request of the app": json.dumps({"container": "incoming", "blobs": ["a.jpg"]}),
    "unknown type of blob": changed(BlobType="Nonsense"),
}
# Each starts a host. These are one of each kind; ALL_SCENARIOS=yes tries the others there too.
ONE_OF_EACH_KIND = ("not JSON", "null", "cut", "no name", "unknown type of blob")
ON_EXTENSIONS = STOPS if os.environ.get("ALL_SCENARIOS") == "yes" else ONE_OF_EACH_KIND
CONTINUES = {
    "as the host writes it": changed(),
    "an unknown function": changed(FunctionId="Host.Functions.other"),
    "no type of blob": changed(BlobType=...),
    "a short type of blob": changed(BlobType="Block"),
    "no ETag": changed(ETag=...),
    "lower case": changed().replace("BlobName", "blobname"),
}


def put(lab: Lab, text: str) -> None:
    with suppress(ResourceExistsError):
        lab.host_queues.create_queue(INTERNAL_QUEUE)
    lab.host_queues.get_queue_client(INTERNAL_QUEUE).send_message(text)


def encoded(case: str) -> str:
    return base64.b64encode(STOPS[case].encode()).decode()


@pytest.mark.parametrize("case", STOPS)
def test_a_message_that_stops_the_host_is_recognised(case: str) -> None:
    assert stops_host(encoded(case))


@pytest.mark.parametrize("case", ON_EXTENSIONS)
def test_a_message_that_is_recognised_stops_the_host(lab: Lab, case: str) -> None:
    put(lab, encoded(case))
    with lab.app(BLOB_TRIGGER_SOURCE="EventGrid") as app:
        until(lambda: app.host.exit_code is not None)
    assert app.host.exit_code == 1
    assert "Host is shutting down" in app.host.log
    assert lab.waiting(INTERNAL_QUEUE) == 1, "it is there when the host starts again"


def test_other_messages_do_not_stop_it(lab: Lab) -> None:
    texts = [base64.b64encode(content.encode()).decode() for content in CONTINUES.values()]
    texts.append("not Base64!")
    assert [stops_host(text) for text in texts] == [None] * len(texts)
    for text in texts:
        put(lab, text)
    with lab.app(BLOB_TRIGGER_SOURCE="EventGrid") as app:
        until(lambda: lab.waiting(INTERNAL_QUEUE) == 0)
    assert app.host.exit_code == 0
