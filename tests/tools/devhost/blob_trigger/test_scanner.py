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
        self.hosts = service.create_container(names.container("hosts"))
        self._host_id = names.queue("h")
        self.queued: list[str] = []
        self.fails = False
        self.scanner = self.started_again()

    def started_again(self) -> ContainerScanner:
        self.scanner = ContainerScanner(
            account=self._account,
            container=str(self.container.container_name),
            hosts=self.hosts,
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

    def warnings(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        """Return the warnings since the last call."""
        found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        caplog.clear()
        return found

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


def test_the_container_of_the_receipts_is_no_deleted_blob(scan: Scan, caplog: pytest.LogCaptureFixture) -> None:
    assert scan.sweep() == []
    scan.hosts.delete_container()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        scan.container.upload_blob(name, b"x")
    assert sorted(scan.sweep() + scan.sweep()) == ["a.jpg", "b.jpg", "c.jpg"]
    (warning,) = scan.warnings(caplog)
    assert warning.startswith(f"container_restored container={scan.hosts.container_name}: ")
    scan.started_again()
    assert scan.sweep() == []  # the new container has the receipts


def test_a_person_sees_which_hand_offs_failed_once(scan: Scan, caplog: pytest.LogCaptureFixture) -> None:
    scan.fails = True
    for name in ("a.jpg", "b.jpg"):
        scan.container.upload_blob(name, b"x")
    assert scan.sweep() + scan.sweep() == []
    (warning,) = scan.warnings(caplog)
    assert f'container={scan.container.container_name} blobs=2 first="a.jpg" error=ServiceRequestError' in warning
    scan.container.upload_blob("c.jpg", b"x")
    scan.container.delete_blob("a.jpg")
    assert scan.sweep() == []
    (warning,) = scan.warnings(caplog)
    assert 'blobs=1 first="c.jpg"' in warning
    scan.fails = False
    assert scan.sweep() == ["b.jpg", "c.jpg"]
    (warning,) = scan.warnings(caplog)
    assert warning.startswith("hand_off_completed ")
