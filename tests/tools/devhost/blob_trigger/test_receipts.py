"""The receipt protocol on real Azurite, at each point where a host may have died."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import BlobServiceClient

from tools.devhost.blob_trigger.receipts import queue_once, receipt_path
from tools.devhost.messages import BlobTriggerMessage

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

MESSAGE = BlobTriggerMessage("Host.Functions.f", "incoming", "folder/a.jpg", '"0x8D"')


@pytest.fixture
def hosts(azurite: Azurite, names: Names) -> ContainerClient:
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    return service.create_container(names.container("hosts"))


def test_a_version_is_queued_once(hosts: ContainerClient) -> None:
    queued: list[int] = []
    for _ in range(3):
        assert queue_once(hosts, "h", MESSAGE, lambda: queued.append(1))
    assert queued == [1]
    (receipt,) = hosts.list_blobs(include=["metadata"])
    assert receipt.name == 'blobreceipts/h/Host.Functions.f/"0x8D"/incoming/folder/a.jpg'
    assert (receipt.size, receipt.metadata or {}) == (0, {})


def test_a_host_that_died_before_queueing_is_made_up_for(hosts: ContainerClient) -> None:
    hosts.upload_blob(receipt_path("h", MESSAGE), b"", metadata={"Incomplete": "Incomplete"})
    queued: list[int] = []
    assert queue_once(hosts, "h", MESSAGE, lambda: queued.append(1))
    assert queued == [1]


def test_while_another_host_is_at_it_we_look_again_later(hosts: ContainerClient) -> None:
    receipt = hosts.upload_blob(receipt_path("h", MESSAGE), b"", metadata={"Incomplete": "Incomplete"})
    lease = receipt.acquire_lease(-1)  # never expires
    queued: list[int] = []
    assert not queue_once(hosts, "h", MESSAGE, lambda: queued.append(1))
    assert queued == []
    lease.release()
    assert queue_once(hosts, "h", MESSAGE, lambda: queued.append(1))
    assert queued == [1]


def test_an_enqueue_that_fails_leaves_the_mark_so_that_nothing_is_lost(hosts: ContainerClient) -> None:
    def fail() -> None:
        raise ConnectionError("the queue is away")

    with pytest.raises(ConnectionError):
        queue_once(hosts, "h", MESSAGE, fail)
    queued: list[int] = []
    assert queue_once(hosts, "h", MESSAGE, lambda: queued.append(1))
    assert queued == [1]


def test_a_name_too_long_for_a_receipt_gets_one_all_the_same(hosts: ContainerClient) -> None:
    queued: list[str] = []
    for outcome in ("a", "b", "a"):
        message = BlobTriggerMessage("Host.Functions.f", "incoming", "x" * 1000 + outcome, '"0x8D"')
        assert len(receipt_path("h", message)) <= 1024
        assert queue_once(hosts, "h", message, lambda outcome=outcome: queued.append(outcome))  # type: ignore[misc]
    assert queued == ["a", "b"]
