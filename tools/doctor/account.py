"""Whether a storage account can be reached and read, and what waits there. Nothing is written or made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError

from storage.errors import SDK_ERRORS
from storage.pipeline.messages import BLOB_POISON_QUEUE, POISON_QUEUE, QUEUE
from tools.doctor.causes import address, cause
from tools.doctor.findings import ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.clients import Clients
    from storage.connection import Connection
    from storage.settings import Settings
    from tools.doctor.findings import Finding

# A person waits for the answer, and wants to know that it failed, not that it failed four times.
_ONCE: dict[str, Any] = {"retry_total": 0}
_ROLES = {
    "blobs": "Storage Blob Data Owner",
    "queues": "Storage Queue Data Contributor",
    "tables": "Storage Table Data Contributor",
}


def check_account(clients: Clients, connection: Connection, settings: Settings) -> list[Finding]:
    """Look at everything the app uses in its own account."""
    incoming, results = settings.incoming_container, settings.results_container
    checks: list[tuple[str, str, Callable[[], list[Finding]]]] = [
        ("blobs", clients.blobs.url, lambda: _containers(clients, incoming, results)),
        ("queues", clients.queues.url, lambda: _queues(clients)),
        ("tables", clients.tables.url, lambda: _tables(clients, settings.results_table, settings.index_table)),
    ]
    return _at_once(checks, connection)


def check_host_account(clients: Clients, connection: Connection) -> list[Finding]:
    """Look at what the Functions host uses in its account: blobs for receipts and locks, queues for triggers."""
    name = connection.name

    def blobs() -> list[Finding]:
        next(clients.blobs.list_containers(results_per_page=1, **_ONCE).by_page(), None)
        return [ok("blobs", f"The host's own account ({name}) answers at {address(clients.blobs.url)}.")]

    def queues() -> list[Finding]:
        next(clients.queues.list_queues(results_per_page=1, **_ONCE).by_page(), None)
        return [ok("queues", f"The host's own account ({name}) answers at {address(clients.queues.url)}.")]

    return _at_once([("blobs", clients.blobs.url, blobs), ("queues", clients.queues.url, queues)], connection)


def _at_once(checks: list[tuple[str, str, Callable[[], list[Finding]]]], connection: Connection) -> list[Finding]:
    def checked(about: str, url: str, check: Callable[[], list[Finding]]) -> list[Finding]:
        try:
            return check()
        except SDK_ERRORS as error:
            why = cause(error, url, connection, _ROLES[about])
            return [problem(about, f"{connection.name} cannot be used for {about}: {why}")]

    with ThreadPoolExecutor(len(checks)) as pool:
        return list(chain.from_iterable(pool.map(lambda one: checked(*one), checks)))


def _containers(clients: Clients, incoming: str, results: str) -> list[Finding]:
    findings = [ok("blobs", f"{address(clients.blobs.url)} can be read.")]
    for name, what in ((incoming, "images"), (results, "sidecars")):
        pages = clients.blobs.get_container_client(name).list_blobs(results_per_page=1, **_ONCE).by_page()
        try:
            filled = bool(list(next(pages, ())))
        except ResourceNotFoundError as error:
            _must_be_storage(error)
            # The host that Azure runs watches only what is there; the dev host makes it.
            missing = f"There is no container {name} for {what} yet"
            findings.append(
                warning("blobs", f"{missing}: make it, or nothing can be uploaded.")
                if name == incoming
                else ok("blobs", f"{missing}: it is made with the first result.")
            )
        else:
            findings.append(ok("blobs", f"The container {name} {'holds' if filled else 'is there for'} {what}."))
    return findings


def _queues(clients: Clients) -> list[Finding]:
    findings = [ok("queues", f"{address(clients.queues.url)} can be read.")]
    for name, taker in ((QUEUE, ""), (BLOB_POISON_QUEUE, "recover_poisoned"), (POISON_QUEUE, "record_abandoned")):
        queue = clients.queues.get_queue_client(name)
        try:
            length = int(queue.get_queue_properties(**_ONCE).approximate_message_count or 0)
        except ResourceNotFoundError as error:
            _must_be_storage(error)
            findings.append(ok("queues", f"There is no queue {name} yet: it is made when it is needed."))
            continue
        if length and taker:
            said = f"{length:,} messages of failed work wait on {name}: {taker} takes them while the app runs; if they "
            findings.append(warning("queues", f"{said}stay, read the app's log."))
        else:
            findings.append(ok("queues", f"{length:,} messages wait on {name}."))
    return findings


def _tables(clients: Clients, *names: str) -> list[Finding]:
    findings = [ok("tables", f"{address(clients.tables.url)} can be read.")]
    for name in names:
        pages = clients.tables.get_table_client(name).list_entities(results_per_page=1, **_ONCE).by_page()
        try:
            filled = bool(list(next(pages, ())))
        except ResourceNotFoundError as error:
            _must_be_storage(error)
            findings.append(ok("tables", f"There is no table {name} yet: it is made with the first result."))
        else:
            findings.append(ok("tables", f"The table {name} {'holds rows' if filled else 'is there, and empty'}."))
    return findings


def _must_be_storage(error: ResourceNotFoundError) -> None:
    """Raise a 404 again that is not a storage service's own: anybody's web server has one."""
    if not getattr(error, "error_code", None):
        raise error
