"""Checks whether a storage account can be reached and read, and counts the waiting messages. Writes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from storage.errors import SDK_ERRORS
from storage.pipeline.messages import Queues
from tools.doctor.actions import check_notifications, check_tags
from tools.doctor.findings import ok, problem, warning
from tools.doctor.queues import NO_RETRIES, check_internal_queues, check_queues
from tools.failures.causes import address, explain_failure
from tools.failures.first_request import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.clients import Clients
    from storage.connection import Connection
    from storage.settings import Settings
    from tools.doctor.findings import Finding

_ROLES = {
    "blobs": "Storage Blob Data Owner",
    "queues": "Storage Queue Data Contributor",
    "tables": "Storage Table Data Contributor",
}


def check_account(clients: Clients, connection: Connection, settings: Settings) -> list[Finding]:
    """Check the containers, queues and tables that the app uses in its own account."""
    incoming, results = settings.incoming_container, settings.results_container
    queues = Queues(settings.requests_queue)
    notify = partial(check_notifications, clients, settings.notify_queue) if settings.notify_queue else list
    tags = partial(check_tags, clients, incoming) if settings.tag_images else list
    checks: list[tuple[str, str, Callable[[], list[Finding]]]] = [
        ("blobs", clients.blobs.url, lambda: [*_containers(clients, incoming, results), *tags()]),
        (
            "queues",
            clients.queues.url,
            lambda: [_readable(clients), *check_queues(clients, queues, incoming), *notify()],
        ),
        ("tables", clients.tables.url, lambda: _tables(clients, settings.results_table, settings.index_table)),
    ]
    return _run_parallel(checks, connection)


def check_host_account(clients: Clients, connection: Connection) -> list[Finding]:
    """Check what the Functions host uses in its account: blobs for receipts and locks, queues for triggers."""
    name = connection.name

    def blobs() -> list[Finding]:
        next(clients.blobs.list_containers(results_per_page=1, **NO_RETRIES).by_page(), None)
        return [ok("blobs", f"The host's own account ({name}) answers at {address(clients.blobs.url)}.")]

    def queues() -> list[Finding]:
        next(clients.queues.list_queues(results_per_page=1, **NO_RETRIES).by_page(), None)
        answers = ok("queues", f"The host's own account ({name}) answers at {address(clients.queues.url)}.")
        return [answers, *check_internal_queues(clients)]

    return _run_parallel([("blobs", clients.blobs.url, blobs), ("queues", clients.queues.url, queues)], connection)


def check_shared_account(clients: Clients, connection: Connection) -> list[Finding]:
    """Check what the Functions host uses in an account that it shares with the app."""
    return _run_parallel([("queues", clients.queues.url, lambda: list(check_internal_queues(clients)))], connection)


def _readable(clients: Clients) -> Finding:
    return ok("queues", f"{address(clients.queues.url)} can be read.")


def _run_parallel(checks: list[tuple[str, str, Callable[[], list[Finding]]]], connection: Connection) -> list[Finding]:
    def run(about: str, url: str, check: Callable[[], list[Finding]]) -> list[Finding]:
        try:
            return check()
        except UnreachableError as error:
            reason = error.reason
        except SDK_ERRORS as error:
            reason = explain_failure(error, url, connection, _ROLES[about])
        return [problem(about, f"{connection.name} cannot be used for {about}: {reason}")]

    with ThreadPoolExecutor(len(checks)) as pool:
        return list(chain.from_iterable(pool.map(lambda check: run(*check), checks)))


def _containers(clients: Clients, incoming: str, results: str) -> list[Finding]:
    findings = [ok("blobs", f"{address(clients.blobs.url)} can be read.")]
    for name, contents in ((incoming, "images"), (results, "sidecars")):
        pages = clients.blobs.get_container_client(name).list_blobs(results_per_page=1, **NO_RETRIES).by_page()
        try:
            has_contents = bool(list(next(pages, ())))
        except ResourceNotFoundError as error:
            _reraise_unless_storage(error)
            # Azure's host does not create the container that it watches; the dev host does.
            missing = f"The container {name} for {contents} does not exist yet"
            findings.append(
                warning("blobs", f"{missing}: create it before uploading.")
                if name == incoming
                else ok("blobs", f"{missing}: the first result creates it.")
            )
        else:
            text = f"contains {contents}" if has_contents else f"for {contents} is empty"
            findings.append(ok("blobs", f"The container {name} {text}."))
    return findings


def _tables(clients: Clients, *names: str) -> list[Finding]:
    findings = [ok("tables", f"{address(clients.tables.url)} can be read.")]
    for name in names:
        pages = clients.tables.get_table_client(name).list_entities(results_per_page=1, **NO_RETRIES).by_page()
        try:
            has_contents = bool(list(next(pages, ())))
        except ResourceNotFoundError as error:
            _reraise_unless_storage(error)
            findings.append(ok("tables", f"The table {name} does not exist yet: the first result creates it."))
        else:
            findings.append(ok("tables", f"The table {name} {'contains rows' if has_contents else 'is empty'}."))
    return findings


def _reraise_unless_storage(error: ResourceNotFoundError) -> None:
    """Re-raise a 404 without a storage error code: it came from another kind of server."""
    if not getattr(error, "error_code", None):
        raise error
