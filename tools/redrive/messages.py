"""Takes the messages of one queue: queues the readable requests again, lists or deletes the others."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceNotFoundError

from inference.errors import ConfigurationError
from storage.clients import connect
from storage.connection import DEVELOPMENT_STORAGE, read_connection
from storage.errors import translate_errors
from storage.pipeline.messages import (
    BLOB_POISON_QUEUE,
    MessageError,
    Request,
    from_blob_poison,
)
from storage.settings import APP_ROOT
from tools.devhost.settings import load_settings
from tools.failures.first_request import FirstRequestSession
from tools.internal_queue import PREFIX, stops_host
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.storage.queue import QueueClient, QueueMessage

    from tools.account import Account

_PAGE = 32  # the most that the service returns
_HIDDEN_SECONDS = 300  # while this command decides; afterwards a message that it keeps is visible at once


@dataclass(frozen=True, slots=True)
class Options:
    """What to do with the messages, and how to print them."""

    delete: bool
    dry_run: bool
    as_json: bool


class _KeptError(Exception):
    """Why a message cannot be queued again.

    Attributes:
        may_delete: Whether ``--delete`` applies.
    """

    def __init__(self, reason: str, *, may_delete: bool) -> None:
        super().__init__(reason)
        self.may_delete = may_delete


def redrive_messages(account: Account, queue_name: str, options: Options) -> dict[str, int]:
    """Take the visible messages of a queue; return how many were found, queued again, deleted and kept.

    Raises:
        ConfigurationError: The queue is not one of the app's or the host's, or storage refused a request.
        TransientError: Storage failed.
    """
    counts = {"found": 0, "enqueued": 0, "deleted": 0, "kept": 0}
    queues = account.queue.queues
    names = (queues.refused, queues.poison, BLOB_POISON_QUEUE)
    if queue_name not in names and not queue_name.startswith(PREFIX):
        raise ConfigurationError(f"--queue must be {', '.join(names)} or {PREFIX}<host id>.")
    with _opened(account, queue_name) as queue, translate_errors(f"reading the queue {queue_name}"):
        kept = []
        for message in _messages(queue, peek=options.dry_run):
            counts["found"] += 1
            outcome, reason = _outcome(account, queue_name, message, options)
            counts[outcome] += 1
            _print(message, outcome, reason, options)
            if options.dry_run:
                continue
            if outcome == "kept":
                kept.append(message)
            else:
                queue.delete_message(message)
        for message in kept:
            queue.update_message(message, visibility_timeout=0)
    return counts


def _outcome(account: Account, queue_name: str, message: QueueMessage, options: Options) -> tuple[str, str]:
    text = str(message.content)
    if queue_name.startswith(PREFIX):
        reason = stops_host(text)
        if reason is None:
            return "kept", "it is the host's own work"
        return ("deleted" if options.delete else "kept"), f"it stops the host: {reason}"
    try:
        request = _request(account, queue_name, text)
    except _KeptError as error:
        return ("deleted" if options.delete and error.may_delete else "kept"), str(error)
    # One image of a message that every delivery abandoned ended the worker: alone, it takes no other with it.
    requests = request.one_by_one() if queue_name == account.queue.queues.poison else (request,)
    for each in requests if not options.dry_run else ():
        account.queue.send(replace(each, attempt=0))
    return "enqueued", f"{len(request.blobs):,} images"


def _request(account: Account, queue_name: str, text: str) -> Request:
    try:
        request = _read(queue_name, text, may_be_upload=queue_name == account.queue.queues.refused)
    except MessageError as error:
        raise _KeptError(str(error), may_delete=True) from None
    if reason := request.foreign_to(account.settings.incoming_container):
        raise _KeptError(reason, may_delete=False)  # it belongs to another app
    return request


def _read(queue_name: str, text: str, *, may_be_upload: bool) -> Request:
    if queue_name == BLOB_POISON_QUEUE:
        return from_blob_poison(text)
    try:
        return Request.from_body(text)
    except MessageError:
        if not may_be_upload:
            raise
        try:
            return from_blob_poison(text)  # it holds messages of all queues
        except MessageError:
            pass
        raise


@contextmanager
def _opened(account: Account, queue_name: str) -> Iterator[QueueClient]:
    """Open a queue of the app's account, or the host's queue of the account AzureWebJobsStorage."""
    if not queue_name.startswith(PREFIX):
        yield account.clients.queues.get_queue_client(queue_name)
        return
    environ = load_settings(APP_ROOT, os.environ, DEVELOPMENT_STORAGE)
    connection = read_connection(environ, "AzureWebJobsStorage")
    clients = connect(connection, session=FirstRequestSession(connection))
    try:
        yield clients.queues.get_queue_client(queue_name)
    finally:
        clients.close()


def _messages(queue: QueueClient, *, peek: bool) -> Iterator[QueueMessage]:
    """Yield the visible messages. Peeking shows at most 32 and changes nothing; receiving hides each for a while."""
    try:
        if peek:
            yield from queue.peek_messages(_PAGE)
        else:
            yield from queue.receive_messages(messages_per_page=_PAGE, visibility_timeout=_HIDDEN_SECONDS)
    except ResourceNotFoundError:
        return


def _print(message: QueueMessage, outcome: str, reason: str, options: Options) -> None:
    if options.as_json:
        print(json.dumps({"event": "message", "id": message.id, "outcome": outcome, "reason": reason}), flush=True)
    else:
        print(f"{outcome:<10} {message.id}  {printable(reason)}", flush=True)
