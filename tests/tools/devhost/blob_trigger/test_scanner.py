"""Sweeps over real Azurite, page by page, with the hand-off to the queue in the test's hands."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import BlobServiceClient, ContainerClient

from tools.devhost.accounts import Account
from tools.devhost.blob_trigger.patterns import PathPattern
from tools.devhost.blob_trigger.receipts import HOSTS_CONTAINER
from tools.devhost.blob_trigger.scanner import ContainerScanner, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite
    from tools.devhost.messages import BlobTriggerMessage


class Scan:
    """A scanner that is swept by hand, and what it has queued."""

    def __init__(self, azurite: Azurite, names: Names) -> None:
        self._account = Account("Storage", {"Storage": azurite.connection_string})
        service = BlobServiceClient.from_connection_string(azurite.connection_string)
        self.container = service.get_container_client(names.container("in"))
        self.container.create_container()
        self._hosts = service.get_container_client(HOSTS_CONTAINER)
        if not self._hosts.exists():
            self._hosts.create_container()
        self._host_id = names.queue("h")
        self.queued: list[str] = []
        self.fails = False
        self.scanner = self.started_again()

    def started_again(self) -> ContainerScanner:
        self.scanner = ContainerScanner(
            account=self._account,
            container=str(self.container.container_name),
            hosts=self._hosts,
            host_id=self._host_id,
            targets=[Target("Host.Functions.f", PathPattern.parse(f"{self.container.container_name}/{{name}}.jpg"))],
            enqueue=self._enqueue,
        )
        self.scanner._load_checkpoint()
        return self.scanner

    def _enqueue(self, message: BlobTriggerMessage) -> None:
        if self.fails:
            raise ServiceRequestError("the queue is away")
        self.queued.append(message.blob_name)

    def sweep(self) -> list[str]:
        """Return what one sweep has queued."""
        self.queued.clear()
        with ThreadPoolExecutor(4) as pool:
            self.scanner._sweep(pool, threading.Event())
        return sorted(self.queued)


@pytest.fixture
def scan(azurite: Azurite, names: Names) -> Scan:
    return Scan(azurite, names)


@pytest.fixture
def pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = ContainerClient.list_blobs
    monkeypatch.setattr(ContainerClient, "list_blobs", lambda self, **given: real(self, results_per_page=2, **given))


def test_what_is_there_at_the_start_is_found_and_nothing_is_found_twice(scan: Scan) -> None:
    for name in ("a.jpg", "b.jpg", "c.txt"):
        scan.container.upload_blob(name, b"x")
    assert scan.sweep() == ["a.jpg", "b.jpg"]
    assert scan.sweep() == []
    scan.started_again()
    assert scan.sweep() == []


@pytest.mark.usefixtures("pages_of_two")
def test_every_page_is_read_however_many_there_are(scan: Scan) -> None:
    names = [f"{number}.jpg" for number in range(7)]
    for name in names:
        scan.container.upload_blob(name, b"x")
    assert scan.sweep() == names
    scan.container.upload_blob("0-new.jpg", b"x")
    scan.container.upload_blob("9-new.jpg", b"x")
    assert sorted(scan.sweep() + scan.sweep()) == ["0-new.jpg", "9-new.jpg"]


def test_a_blob_in_the_same_second_as_the_newest_one_is_not_missed(scan: Scan) -> None:
    for number in range(5):
        scan.container.upload_blob(f"{number}.jpg", b"x")
        assert scan.sweep() == [f"{number}.jpg"]


def test_a_hand_off_that_failed_is_made_up_for_also_after_a_restart(scan: Scan) -> None:
    scan.container.upload_blob("a.jpg", b"x")
    scan.fails = True
    assert scan.sweep() == []
    scan.fails = False
    scan.started_again()
    # The receipt's lease was given back, so no host has to wait until it expires.
    assert scan.sweep() == ["a.jpg"]


def test_a_hint_is_followed_even_when_the_listing_would_skip_the_blob(scan: Scan) -> None:
    scan.container.upload_blob("a.jpg", b"x")
    assert scan.sweep() == ["a.jpg"]
    scan.scanner._handed_off.clear()
    scan.scanner.look_at("a.jpg")
    assert scan.sweep() == []  # its receipt says that it is queued
    scan.container.upload_blob("a.jpg", b"y", overwrite=True)
    scan.scanner.look_at("a.jpg")
    assert scan.sweep() == ["a.jpg"]


def test_a_container_that_is_gone_is_made_again(scan: Scan) -> None:
    scan.container.delete_container()
    assert scan.sweep() == []
    assert scan.container.exists()
