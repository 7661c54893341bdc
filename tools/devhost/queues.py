"""From a queue message to the invocation of a queue-triggered function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.devhost.bindings import queue_message
from tools.devhost.messages import decode_base64

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from azure.storage.queue import QueueMessage

    from tools.devhost.app import AppFunction
    from tools.devhost.invoker import Invoker


def beginner(function: AppFunction, invoker: Invoker, *, base64: bool) -> Callable[[QueueMessage], Future[None]]:
    """Return a function that starts the invocation for one message.

    It raises ``UnreadableMessageError`` for a text that is not Base64 although ``host.json`` requires it.
    """

    def begin(message: QueueMessage) -> Future[None]:
        text = str(message.content)
        body = decode_base64(text) if base64 else text.encode()
        reason = f"message={message.id} dequeue_count={message.dequeue_count}"
        return invoker.submit(function, lambda: queue_message(message, body), reason)

    return begin
