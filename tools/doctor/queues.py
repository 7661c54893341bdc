"""Checks the queues: how many messages wait, since when, and which of them no function can process. Changes nothing.

Peeking shows the visible messages only. A message whose function failed on a poison queue is hidden for ten minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from azure.core.exceptions import ResourceNotFoundError

from storage.pipeline.messages import (
    BLOB_POISON_QUEUE,
    MessageError,
    Queues,
    Request,
    from_blob_poison,
)
from tools.doctor.findings import ok, problem, warning
from tools.internal_queue import PREFIX, stops_host
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.queue import QueueClient, QueueMessage

    from storage.clients import Clients
    from tools.doctor.findings import Finding

NO_RETRIES: dict[str, Any] = {"retry_total": 0}  # the first failure is the finding, and a person waits for it
_PEEKED = 32  # the most that the service returns


class _Contents(NamedTuple):
    """A queue's messages: how many there are, and the first 32 visible ones."""

    length: int
    visible: list[QueueMessage]

    def __str__(self) -> str:
        if not self.length:
            return "holds 0 messages"
        text = f"holds {self.length:,} messages, {_at_least(len(self.visible))} visible"
        if not self.visible:
            return text
        since = min(message.inserted_on for message in self.visible if message.inserted_on)
        deliveries = max(message.dequeue_count or 0 for message in self.visible)
        return f"{text}, the oldest since {since:%Y-%m-%d %H:%M} UTC, delivered up to {deliveries:,} times"


def check_queues(clients: Clients, queues: Queues, container: str) -> Iterator[Finding]:
    """Check the app's queues; a request should name ``container``. Say what apps on one account share."""
    yield ok(
        "queues",
        "Each app on this image account needs its own INCOMING_CONTAINER, RESULTS_CONTAINER, RESULTS_TABLE and "
        f"REQUESTS_QUEUE (here {queues.requests}). They share "
        f"{BLOB_POISON_QUEUE}, where each leaves the messages of the others.",
    )
    for name in (queues.requests, BLOB_POISON_QUEUE, queues.poison, queues.refused):
        contents = _contents(clients.queues.get_queue_client(name))
        if contents is None:
            yield ok("queues", f"The queue {name} does not exist yet: the app creates it when needed.")
            continue
        yield _count(name, contents, queues)
        for message in contents.visible:
            if reason := _refusal(name, str(message.content), container):
                yield warning("queues", f"{name}: message {message.id} cannot be processed: {printable(reason)}.")


def check_internal_queues(clients: Clients) -> Iterator[Finding]:
    """Check the internal queues of every Functions host on an account for messages that stop the host."""
    for found in clients.queues.list_queues(name_starts_with=PREFIX, **NO_RETRIES):
        name = str(found.name)
        contents = _contents(clients.queues.get_queue_client(name))
        if contents is None:
            continue
        yield ok("queues", f"The host's queue {name} {contents}.")
        for message in contents.visible:
            if reason := stops_host(str(message.content)):
                yield problem(
                    "queues",
                    f"{name}: message {message.id} stops the Functions host ({reason}), and again ten minutes later. "
                    f"Run `python -m tools redrive --queue {name} --delete` as Storage Queue Data Contributor.",
                )


def _contents(queue: QueueClient) -> _Contents | None:
    """Return the contents of a queue; ``None`` if there is no such queue."""
    try:
        length = int(queue.get_queue_properties(**NO_RETRIES).approximate_message_count or 0)
        return _Contents(length, list(queue.peek_messages(_PEEKED, **NO_RETRIES)) if length else [])
    except ResourceNotFoundError as error:
        if not getattr(error, "error_code", None):  # another kind of server
            raise
        return None


def _count(name: str, contents: _Contents, queues: Queues) -> Finding:
    text = f"{name} {contents}."
    if not contents.length or name == queues.requests:
        return ok("queues", text)
    if name == queues.refused:
        return warning("queues", f"{text} No function reads them: run `python -m tools redrive --queue {name}`.")
    function = "record_abandoned" if name == queues.poison else "recover_poisoned"
    remedy = f"{function} processes them while the app runs; if they remain, read the app's log."
    hidden = contents.length - len(contents.visible)
    note = f" {hidden:,} are hidden: they are in work, or failed less than ten minutes ago." if hidden > 0 else ""
    return warning("queues", f"{text}{note} {remedy}")


def _refusal(name: str, text: str, container: str) -> str | None:
    try:
        request = from_blob_poison(text) if name == BLOB_POISON_QUEUE else Request.from_body(text)
    except MessageError as error:
        return str(error)
    if reason := request.foreign_to(container):
        parted = "" if name == BLOB_POISON_QUEUE else ", and set another REQUESTS_QUEUE for each app"
        return f"{reason}. It belongs to another app: leave it there{parted}"
    return None


def _at_least(count: int) -> str:
    return f"at least {count}" if count == _PEEKED else f"{count}"
