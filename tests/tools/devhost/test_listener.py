"""One queue served on real Azurite, with the work in the test's hands."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, Any

from tests.waiting import until
from tools.devhost.accounts import Account
from tools.devhost.host_json import QueueOptions
from tools.devhost.listener import QueueListener

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from azure.storage.queue import QueueMessage

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

VISIBILITY_SECONDS = 600


class LongWork(Future[None]):
    """Ends after four half times of its message, which pass at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self.waits.append(timeout)
        if len(self.waits) <= 4:
            raise TimeoutError
        return None


def listener_of(
    account: Account, names: Names, prepare: Callable[[QueueMessage], Callable[[], Future[None]]]
) -> QueueListener:
    return QueueListener(
        account=account,
        queue_name=names.queue(),
        poison=account.queue(names.queue("poison")),
        prepare=prepare,
        end_host=lambda: None,
        options=QueueOptions(),
        visibility_seconds=VISIBILITY_SECONDS,
    )


def test_the_message_of_a_function_that_outlasts_it_is_hidden_again_at_each_half_time(
    azurite: Azurite, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account("Storage", {"Storage": azurite.connection_string})
    queue, work = account.queue(names.queue()), LongWork()
    queue.create_queue()
    queue.send_message("a")
    begun: list[str] = []
    hidden: list[int] = []

    def prepare(message: QueueMessage) -> Callable[[], Future[None]]:
        begun.append(message.content)
        return lambda: work

    listener = listener_of(account, names, prepare)
    update: Any = listener.queue.update_message

    def counted(*message: Any, visibility_timeout: int) -> QueueMessage:
        hidden.append(visibility_timeout)
        answer: QueueMessage = update(*message, visibility_timeout=visibility_timeout)
        return answer

    monkeypatch.setattr(listener.queue, "update_message", counted)
    thread = Thread(target=listener.run)
    thread.start()
    until(lambda: begun and not queue.get_queue_properties().approximate_message_count, "the message deleted")
    listener.stop()
    thread.join()
    listener.close()
    account.close()
    assert begun == ["a"]
    assert work.waits == [VISIBILITY_SECONDS / 2] * 5
    assert hidden == [VISIBILITY_SECONDS] * 4


def test_a_queue_that_is_deleted_under_a_running_function_is_no_outage_of_the_account(
    azurite: Azurite, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    account = Account("Storage", {"Storage": azurite.connection_string})
    queue, work = account.queue(names.queue()), LongWork()
    queue.create_queue()
    queue.send_message("a")

    def prepare(_message: QueueMessage) -> Callable[[], Future[None]]:
        queue.delete_queue()
        return lambda: work

    listener = listener_of(account, names, prepare)
    thread = Thread(target=listener.run)
    thread.start()

    def events() -> set[str]:
        return {record.getMessage().split()[0] for record in caplog.records if record.levelname == "WARNING"}

    until(lambda: {"queue_restored", "message_not_deleted"} <= events(), "both warnings")
    listener.stop()
    thread.join()
    assert queue.get_queue_properties().name == queue.queue_name
    assert "storage_unavailable" not in events()
