"""From a message on the internal queue to an invocation: the last checks before a blob's function is called."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tools.devhost.bindings import blob_reference, input_stream, is_reference
from tools.devhost.messages import (
    BlobTriggerMessage,
    FatalMessageError,
    UndecodableMessageError,
    function_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from azure.storage.queue import QueueMessage

    from tools.devhost.accounts import Account
    from tools.devhost.app import AppFunction, BlobTrigger
    from tools.devhost.invoker import Invoker

logger = logging.getLogger(__name__)


class BlobMessages:
    """Serves messages of the internal queue. Thread-safe.

    Args:
        functions: The app's blob functions by name, each with its trigger and the account that it watches.
        invoker: Runs them.
        look_at: Called with an account, a container and a blob that has a new version, as a hint for the scanner.
    """

    def __init__(
        self,
        functions: Mapping[str, tuple[AppFunction, BlobTrigger, Account]],
        invoker: Invoker,
        look_at: Callable[[Account, str, str], None],
    ) -> None:
        self._functions = functions
        self._invoker = invoker
        self._look_at = look_at

    def prepare(self, received: QueueMessage) -> Callable[[], Future[None] | None]:
        """Read a message and return what starts the invocation it asks for.

        That returns ``None`` when there is nothing to do and the message may be deleted. It raises ``AzureError`` when
        the blob's account does not answer, and ``FatalMessageError`` for a message that cannot name a blob.

        Raises:
            FatalMessageError: It is no blob trigger message.
        """
        try:
            message = BlobTriggerMessage.from_wire(str(received.content))
        except UndecodableMessageError as error:
            logger.warning("message_dropped id=%s: %s", received.id, error)
            return lambda: None
        return lambda: self._start(received, message)

    def _start(self, received: QueueMessage, message: BlobTriggerMessage) -> Future[None] | None:
        name = json.dumps(f"{message.container}/{message.blob_name}", ensure_ascii=False)
        known = self._functions.get(function_name(message.function_id))
        if known is None:
            logger.warning("message_dropped blob=%s: this app has no blob function %r", name, message.function_id)
            return None
        function, trigger, account = known
        message.require_blob()
        blob = account.container(message.container).get_blob_client(message.blob_name)
        try:
            properties = blob.get_blob_properties()
        except ResourceNotFoundError:
            logger.info("message_dropped blob=%s: the blob is gone", name)
            return None
        except HttpResponseError as error:
            if error.status_code == HTTPStatus.BAD_REQUEST:
                raise FatalMessageError("storage has no such container or blob name") from error
            raise
        if properties.etag != message.etag and not trigger.event_grid:
            logger.info("message_dropped blob=%s: it was overwritten; the new version gets its own message", name)
            self._look_at(account, message.container, message.blob_name)
            return None

        def argument() -> object:
            if is_reference(function):
                return blob_reference(function, trigger.connection, message.container, message.blob_name)
            return input_stream(blob, properties, binary=trigger.binary)

        return self._invoker.submit(function, argument, f"blob={name} dequeue_count={received.dequeue_count}")
