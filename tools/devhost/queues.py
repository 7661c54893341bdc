"""From a queue message to the invocation of a queue-triggered function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.devhost.bindings import queue_message
from tools.devhost.messages import NotTextError, decode_base64

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from azure.storage.queue import QueueMessage

    from tools.devhost.app import AppFunction
    from tools.devhost.invoker import Invoker


_POISON = "-poison"
_MAX_QUEUE_NAME = 63


def poison_queue(queue: str) -> str | None:
    """Return the name of a queue's poison queue; ``None`` for a poison queue, and where the name would be too long."""
    name = queue + _POISON
    return None if queue.endswith(_POISON) or len(name) > _MAX_QUEUE_NAME else name


def preparer(
    function: AppFunction, invoker: Invoker, *, base64: bool, binary: bool
) -> Callable[[QueueMessage], Callable[[], Future[None]]]:
    """Return a function that reads one message and returns what starts its invocation.

    It raises ``UndecodableMessageError`` for a text that is not Base64 where ``host.json`` says it is, and
    ``NotTextError`` for bytes that are not UTF-8, unless the function takes bytes (``binary``).
    """

    def prepare(message: QueueMessage) -> Callable[[], Future[None]]:
        text = str(message.content)
        body = decode_base64(text) if base64 else text.encode()
        if not binary:
            try:
                body.decode()
            except UnicodeDecodeError as error:
                raise NotTextError("its bytes are not UTF-8, and its function takes text") from error
        reason = f"message={message.id} dequeue_count={message.dequeue_count}"
        return lambda: invoker.submit(function, lambda: queue_message(message, body), reason)

    return prepare
