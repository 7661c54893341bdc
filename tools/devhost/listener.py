"""Serves one queue: receives, keeps what is in work hidden, deletes, retries, and moves what keeps failing to poison.

A received message is hidden for a while and hidden again at half time for as long as its function runs, so a killed
process loses nothing: the message comes back by itself, its dequeue count one higher.
"""

from __future__ import annotations

import logging
import random
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from tools.devhost.accounts import AT_ONCE, create_queue, describe
from tools.devhost.messages import UnreadableMessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.queue import QueueClient, QueueMessage

    from tools.devhost.accounts import Account
    from tools.devhost.settings import QueueOptions

    Begin = Callable[[QueueMessage], Future[None] | None]

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
# The Functions host waits up to a minute (maxPollingInterval); a person at one machine should not.
_LONGEST_PAUSE_SECONDS = 1.0
_JITTER = 0.2


class QueueListener:
    """Serves one queue until it is stopped.

    Args:
        account: Where the queue is.
        queue_name: Its name; created when it is missing.
        poison: Gives the queue for what cannot be served; created when first needed.
        begin: Starts the work of one message. It returns ``None`` when there is nothing to do, and raises
            ``UnreadableMessageError`` for what can never be served. The future's exception is the function's failure.
        options: Batch size, threshold, retries.
        visibility_seconds: How long a received message is hidden, renewed at half time.
    """

    def __init__(  # noqa: PLR0913 - what it is made of, named at its calls
        self,
        *,
        account: Account,
        queue_name: str,
        poison: QueueClient,
        begin: Begin,
        options: QueueOptions,
        visibility_seconds: int,
    ) -> None:
        self.queue = account.queue(queue_name)
        self.account = account
        self._poison = poison
        self._begin = begin
        self._options = options
        self._visibility = visibility_seconds
        self._state = threading.Condition()
        self._in_work: dict[str, QueueMessage] = {}
        self._woken = False
        self._stopping = False
        self._dispatchers = ThreadPoolExecutor(options.at_once, thread_name_prefix=f"queue-{queue_name}")

    def wake(self) -> None:
        """Look at the queue now: somebody in this process has just put a message there."""
        with self._state:
            self._woken = True
            self._state.notify_all()

    def stop(self) -> None:
        """Receive nothing more. What is in work goes on."""
        with self._state:
            self._stopping = True
            self._state.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait for what is in work; return whether nothing is left."""
        with self._state:
            return self._state.wait_for(lambda: not self._in_work, seconds)

    def give_back(self) -> None:
        """Make everything that is still in work visible again, for whoever comes next."""
        with self._state:
            left = list(self._in_work.values())
        for message in left:
            with self.account.watch(f"queue {self.queue.queue_name}"):
                self._show_again(message, 0)

    def run(self) -> None:
        """Receive until stopped."""
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
        """Wait until the next batch may be received; False when there will be none."""
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
            create_queue(self.queue)
            return []
        with self._state:
            self._in_work.update((message.id, message) for message in messages)
        for message in messages:
            self._dispatchers.submit(self._serve, message)
        return messages

    def _serve(self, message: QueueMessage) -> None:
        try:
            self._decide(message)
        except AzureError as error:
            # The message stays hidden for its time and is then delivered again: nothing is lost.
            logger.warning("message_not_settled queue=%s id=%s error=%s", self.queue.queue_name, message.id,
                           describe(error))  # fmt: skip
        except Exception:
            logger.exception("message_not_settled queue=%s id=%s", self.queue.queue_name, message.id)
        finally:
            with self._state:
                self._in_work.pop(message.id, None)
                self._state.notify_all()

    def _decide(self, message: QueueMessage) -> None:
        count, most = message.dequeue_count or 1, self._options.max_dequeue_count
        if count > most:
            self._move_to_poison(message, "it was delivered too often")
            return
        try:
            work = self._begin(message)
            failed = work is not None and not self._succeeded(work, message)
        except UnreadableMessageError as error:
            self._move_to_poison(message, str(error))
            return
        except CancelledError:
            self._show_again(message, 0)  # we are stopping and its function had not begun
            return
        if not failed:
            self._delete(message)
        elif count >= most:
            self._move_to_poison(message, f"it failed {count} times")
        else:
            self._show_again(message, self._options.failure_delay_seconds)
            self.wake()

    def _succeeded(self, work: Future[None], message: QueueMessage) -> bool:
        """Wait for the function, hiding its message again and again meanwhile."""
        while True:
            try:
                return work.exception(timeout=self._visibility / 2) is None
            except TimeoutError:
                # Worth a try only: without it the message is delivered again, which the app must bear anyway.
                with self.account.watch(f"queue {self.queue.queue_name}"):
                    self._show_again(message, self._visibility)

    def _show_again(self, message: QueueMessage, seconds: int) -> None:
        updated = self.queue.update_message(message.id, message.pop_receipt, visibility_timeout=seconds)
        message.pop_receipt = updated.pop_receipt

    def _delete(self, message: QueueMessage) -> None:
        try:
            self.queue.delete_message(message.id, message.pop_receipt)
        except HttpResponseError as error:
            # Its time ran out (a machine asleep) and somebody else has it: they will find the work done.
            if error.status_code not in (400, 404):
                raise
            logger.warning("message_taken_over queue=%s id=%s", self.queue.queue_name, message.id)

    def _move_to_poison(self, message: QueueMessage, why: str) -> None:
        """Copy the text unchanged, then delete: a crash in between leaves two, never none."""
        try:
            self._poison.send_message(message.content, time_to_live=-1)
        except ResourceNotFoundError:
            create_queue(self._poison)
            self._poison.send_message(message.content, time_to_live=-1)
        logger.error("message_poisoned queue=%s id=%s poison_queue=%s why=%s", self.queue.queue_name, message.id,
                     self._poison.queue_name, why)  # fmt: skip
        self._delete(message)

    def close(self) -> None:
        """Let the threads go."""
        self._dispatchers.shutdown(wait=False, cancel_futures=True)
