"""The app under Microsoft's own trigger extensions, on one Azurite with two accounts: the host's and the images'."""

from __future__ import annotations

import base64
import itertools
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.queue import QueueServiceClient

from inference.errors import ClassificationError
from storage.clients import connect
from storage.connection import Connection
from storage.results.serialization import from_entity
from storage.results.store import Results
from tests.programs import needed
from tests.tools.webjobs import host_names
from tests.waiting import until
from tools.azurite.azurite import connection_string, running
from tools.webjobs.app_host import AppHost, app_host_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from storage.results.record import Record
    from tools.azurite.azurite import Ports

PAIRS = 60
HOST_ID = "scenario"
RETRY_DELAYS = "1,2"  # seconds, instead of up to an hour
INTERNAL_QUEUE = f"azure-webjobs-blobtrigger-{HOST_ID}"


@pytest.fixture(scope="session")
def program() -> Path:
    return needed("webjobs-host")


@dataclass(frozen=True)
class Pair:
    """Connection strings of a host account and an image account that no other test uses."""

    host: str
    images: str


@dataclass(frozen=True)
class Accounts:
    """One Azurite with many accounts."""

    ports: Ports
    keys: Mapping[str, str]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def pair(self) -> Pair:
        """Return two new accounts, addressed by path: the emulator's scanner finds their uploads."""
        number = next(self.numbers)
        return Pair(*(connection_string(self.ports, name, self.keys[name]) for name in _names(number)))

    def scanned_pair(self) -> Pair:
        """Return the two accounts that are addressed by host name: the production scanner finds their uploads."""
        return Pair(
            *(connection_string(self.ports, name, self.keys[name], by_host_name=True) for name in host_names.ACCOUNTS)
        )


def _names(number: int) -> tuple[str, str]:
    return f"host{number}", f"images{number}"


@pytest.fixture(scope="session")
def accounts() -> Iterator[Accounts]:
    names = [*host_names.ACCOUNTS, *itertools.chain.from_iterable(map(_names, range(PAIRS)))]
    keys = {name: base64.b64encode(os.urandom(64)).decode() for name in names}
    with running(in_memory=True, accounts=keys) as emulator:
        yield Accounts(emulator.ports, keys)


@dataclass
class Lab:
    """The storage of one scenario, and a way to run the app on it. Containers exist; nothing runs yet."""

    program: Path
    python: Path
    pair: Pair
    folder: Path

    def __post_init__(self) -> None:
        self.incoming: ContainerClient = BlobServiceClient.from_connection_string(self.pair.images).create_container(
            "incoming"
        )
        self.queues = QueueServiceClient.from_connection_string(self.pair.images)
        self.host_queues = QueueServiceClient.from_connection_string(self.pair.host)
        self.clients = connect(Connection("ImageStorage", connection_string=self.pair.images))
        self.results = Results(self.clients, table="classifications", container="results")

    @contextmanager
    def app(self, host_json: Mapping[str, Any] | None = None, **settings: str) -> Iterator[AppHost]:
        """Run the app; only the two connections are set, and what ``settings`` adds."""
        environ = {
            "AzureWebJobsStorage": self.pair.host,
            "ImageStorage": self.pair.images,
            "AzureFunctionsWebHost__hostid": HOST_ID,
            "RETRY_DELAYS_SECONDS": RETRY_DELAYS,
            **settings,
        }
        with AppHost(self.program, self.python, environ, self.folder, host_json=host_json) as running_app:
            try:
                yield running_app
            except AssertionError:  # what happened is in the logs
                sys.stdout.write(running_app.host.log[-20_000:] + running_app.worker_log[-20_000:])
                raise

    def upload(self, name: str, content: bytes) -> str:
        """Upload a blob; return its ETag."""
        return str(self.incoming.upload_blob(name, content, overwrite=True).get_blob_properties().etag)

    def rows(self) -> dict[str, Record]:
        """Every row, by blob name."""
        try:
            pages = list(self.results.row_reader().pages())
        except ClassificationError:
            return {}
        records = [from_entity(entity) for page in pages for entity in page]
        return {record.blob_name: record for record in records}

    def wait_for_rows(self, *names: str) -> dict[str, Record]:
        """Wait until each of these blobs has a row; return all rows."""
        until(lambda: set(names) <= set(self.rows()), f"rows of {names}")
        return self.rows()

    def host_blobs(self) -> list[str]:
        """Names of the blobs that the host keeps in its own account: receipts, locks and checkpoints."""
        hosts = BlobServiceClient.from_connection_string(self.pair.host).get_container_client("azure-webjobs-hosts")
        return [blob.name for blob in hosts.list_blobs()]

    def waiting(self, queue: str) -> int:
        """Messages of a queue, hidden ones included; 0 where there is no such queue."""
        service = self.host_queues if queue == INTERNAL_QUEUE else self.queues
        if queue not in {each.name for each in service.list_queues()}:
            return 0
        return int(service.get_queue_client(queue).get_queue_properties().approximate_message_count or 0)

    def hidden(self) -> int:
        """Messages of the host's internal queue that a host has received."""
        visible = self.host_queues.get_queue_client(INTERNAL_QUEUE).peek_messages(max_messages=32)
        return self.waiting(INTERNAL_QUEUE) - len(visible)


@pytest.fixture
def lab(program: Path, worker_python: Path, accounts: Accounts, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(program, worker_python, accounts.pair(), tmp_path)
    yield made
    made.clients.close()


@pytest.fixture(scope="module")
def scanned_lab(
    program: Path, worker_python: Path, accounts: Accounts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """One for a module, because its accounts have fixed names. The production scanner finds the uploads."""
    if missing := host_names.unresolved():
        pytest.skip(f"The production scanner needs a line in /etc/hosts: 127.0.0.1 {' '.join(missing)}")
    made = Lab(program, worker_python, accounts.scanned_pair(), tmp_path_factory.mktemp("scanned"))
    made.clients.blobs.create_container("$logs")
    yield made
    made.clients.close()


def quick_host_json(**changes: Any) -> dict[str, Any]:
    """The app's own ``host.json`` with other top-level values."""
    return app_host_json() | changes
