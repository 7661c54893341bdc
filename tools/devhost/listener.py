"""Serves one queue: receives messages, hides them while their functions run, then deletes, retries or poisons them.

    succeeded ------------------------> deleted
    failed, deliveries are left ------> visible again: at once, or after visibilityTimeout
    failed too often, not Base64 -----> poison queue
    the same without a poison queue --> left hidden, delivered again when its time is over
    nonsense on the internal queue ---> left hidden, and the host ends

A received message is hidden for the visibility timeout, and hidden again after half of it for as long as its function
runs. A killed process therefore loses nothing: the message reappears by itself with a higher dequeue count.
"""

from __future__ import annotations

import logging
import random
import shlex
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from tools.devhost.accounts import AT_ONCE, create_queue, describe, restore_queue
from tools.devhost.messages import FatalMessageError, NotTextError, UndecodableMessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.queue import QueueClient, QueueMessage

    from tools.devhost.accounts import Account
    from tools.devhost.host_json import QueueOptions

    Prepare = Callable[[QueueMessage], Callable[[], Future[None] | None]]

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
# The Functions host waits up to a minute (maxPollingInterval); a developer should not have to.
_LONGEST_PAUSE_SECONDS = 1.0
_JITTER = 0.2


class QueueListener:
    """Serves one queue until it is stopped.

    Args:
        account: The account of the queue.
        queue_name: Its name; the queue is created when it is missing.
        poison: The queue for what cannot be served, created when first needed; ``None`` where there is no such queue.
        prepare: Reads a message and returns what starts its work, which in turn returns ``None`` when there is nothing
            to do. Both raise ``UndecodableMessageError``, ``NotTextError`` or ``FatalMessageError`` for a message that
            has no call. The future's exception is the function's failure.
        end_host: Called after a ``FatalMessageError``.
        options: Batch size, threshold, retries.
        visibility_seconds: How long a received message stays hidden; renewed after half of it.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, named at its calls
        self,
        *,
        account: Account,
        queue_name: str,
        poison: QueueClient | None,
        prepare: Prepare,
        end_host: Callable[[], None],
        options: QueueOptions,
        visibility_seconds: int,
    ) -> None:
        self.queue = account.queue(queue_name)
        self.account = account
        self._poison = poison
        self._prepare = prepare
        self._end_host = end_host
        self._options = options
        self._visibility = visibility_seconds
        self._state = threading.Condition()
        self._in_work: dict[str, QueueMessage] = {}
        self._woken = False
        self._stopping = False
        self._dispatchers = ThreadPoolExecutor(options.at_once, thread_name_prefix=f"queue-{queue_name}")

    def wake(self) -> None:
        """Poll the queue at once: this process has just put a message there."""
        with self._state:
            self._woken = True
            self._state.notify_all()

    def stop(self) -> None:
        """Receive no more messages. Running functions continue."""
        with self._state:
            self._stopping = True
            self._state.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait for the running functions, and return whether all have ended."""
        with self._state:
            return self._state.wait_for(lambda: not self._in_work, seconds)

    def give_back(self) -> None:
        """Make the messages of running functions visible again, for the next host."""
        with self._state:
            left = list(self._in_work.values())
        for message in left:
            with self.account.watch(f"queue {self.queue.queue_name}"):
                self._show_again(message, 0)

    def run(self) -> None:
        """Receive messages until the listener is stopped."""
        pause = _FIRST_PAUSE_SECONDS
        longest = min(_LONGEST_PAUSE_SECONDS, self._options.max_polling_seconds)
        while self._has_room():
            messages: list[QueueMessage] = []
            with self.account.watch(f"queue {self.queue.queue_name}"):
                messages = self._receive()
            if messages:
                pause = _FIRST_PAUSE_SECONDS
                continue
            with self._state:
                self._state.wait_for(lambda: self._woken or self._stopping, pause)
            pause = min(longest, 2 * pause * random.uniform(1 - _JITTER, 1 + _JITTER))

    def _has_room(self) -> bool:
        """Wait until the next batch may be received; False when the listener is stopped."""
        with self._state:
            self._state.wait_for(lambda: self._stopping or len(self._in_work) <= self._options.new_batch_threshold)
            self._woken = False
            return not self._stopping

    def _receive(self) -> list[QueueMessage]:
        pages = self.queue.receive_messages(
            messages_per_page=self._options.batch_size, visibility_timeout=self._visibility, **AT_ONCE
        ).by_page()
        try:
            messages = list(next(pages, []))
        except ResourceNotFoundError:
            restore_queue(self.queue)
            return []
        with self._state:
            self._in_work.update((message.id, message) for message in messages)
        for message in messages:
            self._dispatchers.submit(self._serve, message)
        return messages

    def _serve(self, message: QueueMessage) -> None:
        try:
            self._process(message)
        except AzureError as error:
            # The message stays hidden for its time and is then delivered again: nothing is lost.
            logger.warning("message_not_completed queue=%s id=%s error=%s", self.queue.queue_name, message.id,
                           describe(error))  # fmt: skip
        except Exception:
            logger.exception("message_not_completed queue=%s id=%s", self.queue.queue_name, message.id)
        finally:
            with self._state:
                self._in_work.pop(message.id, None)
                self._state.notify_all()

    def _process(self, message: QueueMessage) -> None:
        count, most = message.dequeue_count or 1, self._options.max_dequeue_count
        try:
            start = self._prepare(message)  # before the count: nonsense ends the host at each of its deliveries
            if count > most and self._poison is not None:
                self._give_up(message, "it was delivered too often")
                return
            work = start()
            failed = work is not None and not self._succeeded(work, message)
        except UndecodableMessageError as error:
            self._give_up(message, str(error))
            return
        except NotTextError as error:
            logger.warning("message_not_text queue=%s id=%s: %s", self.queue.queue_name, message.id, error)
            failed = True
        except FatalMessageError as error:
            self._end_at(message, str(error))
            return
        except CancelledError:
            self._show_again(message, 0)  # the host is stopping and the function had not begun
            return
        if not failed:
            self._delete(message)
        elif self._poison is None or count >= most:
            self._give_up(message, f"it failed {count} times")
        else:
            self._show_again(message, self._options.failure_delay_seconds)
            self.wake()

    def _succeeded(self, work: Future[None], message: QueueMessage) -> bool:
        """Wait for the function, and hide its message again until then."""
        while True:
            try:
                return work.exception(timeout=self._visibility / 2) is None
            except TimeoutError:
                # If this fails, the message is delivered again, which every app must expect anyway.
                with self.account.watch(f"queue {self.queue.queue_name}"):
                    self._show_again(message, self._visibility)

    def _show_again(self, message: QueueMessage, seconds: int) -> None:
        updated = self.queue.update_message(message.id, message.pop_receipt, visibility_timeout=seconds)
        message.pop_receipt = updated.pop_receipt

    def _delete(self, message: QueueMessage) -> None:
        try:
            self.queue.delete_message(message.id, message.pop_receipt)
        except HttpResponseError as error:
            # Its time ran out (the machine slept) and another host has it, which will find the work done; or its queue
            # was deleted.
            if error.status_code not in (400, 404):
                raise
            logger.warning("message_not_deleted queue=%s id=%s error=%s: its work is done", self.queue.queue_name,
                           message.id, describe(error))  # fmt: skip

    def _give_up(self, message: QueueMessage, reason: str) -> None:
        """Move a message to poison: copy the text unchanged, then delete. A crash in between leaves two, never none."""
        if self._poison is None:
            logger.error("message_left queue=%s id=%s reason=%s: this queue has no poison queue; the message reappears "
                         "every %d s until it expires", self.queue.queue_name, message.id, reason,
                         self._visibility)  # fmt: skip
            return
        try:
            self._poison.send_message(message.content, time_to_live=-1)
        except ResourceNotFoundError:
            create_queue(self._poison)
            self._poison.send_message(message.content, time_to_live=-1)
        logger.error("message_poisoned queue=%s id=%s poison_queue=%s reason=%s", self.queue.queue_name, message.id,
                     self._poison.queue_name, reason)  # fmt: skip
        self._delete(message)

    def _end_at(self, message: QueueMessage, reason: str) -> None:
        """End the host, as the Functions host does, and say how to remove the message, which is left hidden."""
        name = self.queue.queue_name
        command = f"az storage message delete --queue-name {name} --id {message.id} --pop-receipt "
        logger.critical(
            "message_ends_host queue=%s id=%s: %s. The Functions host ends its process at such a message, and so does "
            "this one. The message is delivered again after %d s. To delete it before that: %s "
            '--connection-string "$AzureWebJobsStorage"',
            name, message.id, reason, self._visibility, command + shlex.quote(str(message.pop_receipt)),
        )  # fmt: skip
        self._end_host()

    def close(self) -> None:
        """End the threads."""
        self._dispatchers.shutdown(wait=False, cancel_futures=True)
