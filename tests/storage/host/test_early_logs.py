"""The host drops records outside an invocation: they are emitted again inside the next one, and only there."""

from __future__ import annotations

import logging
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from storage.host.early_logs import EarlyLogs, buffer_early_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGER = logging.getLogger("storage.of_this_test")


class Host(logging.Handler):
    """Takes the records of threads that serve an invocation, as the Functions host does."""

    def __init__(self) -> None:
        super().__init__()
        self.invocation = threading.local()
        self.received: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(self.invocation, "id", None):
            self.received.append(record.getMessage())

    def invoke(self, early_logs: EarlyLogs, *lines: str) -> None:
        """Run a function on a thread of its own that logs these lines."""

        def function() -> None:
            self.invocation.id = "1"
            early_logs.reemit()
            for line in lines:
                LOGGER.info(line)

        thread = threading.Thread(target=function)
        thread.start()
        thread.join()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    root = logging.getLogger()
    before = root.level
    root.addHandler(made)
    root.setLevel(logging.INFO)
    yield made
    root.removeHandler(made)
    root.setLevel(before)


@pytest.fixture
def early_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[EarlyLogs]:
    monkeypatch.setitem(sys.modules, "proxy_worker", ModuleType("proxy_worker"))
    made = buffer_early_logs("storage.of_this_test")
    yield made
    LOGGER.removeHandler(made)


def test_they_are_lost_without_the_buffer(host: Host) -> None:
    LOGGER.error("model_not_loaded")
    assert host.received == []


def test_the_next_invocation_emits_them_once_before_its_own_lines(host: Host, early_logs: EarlyLogs) -> None:
    LOGGER.info("app_started")
    LOGGER.error("model_not_loaded")
    host.invoke(early_logs, "image_finished")
    host.invoke(early_logs, "image_finished again")
    assert host.received == ["app_started", "model_not_loaded", "image_finished", "image_finished again"]


def test_those_of_a_thread_between_invocations_are_emitted_by_the_next(host: Host, early_logs: EarlyLogs) -> None:
    host.invoke(early_logs, "first")
    refresh = threading.Thread(target=LOGGER.error, args=("model_refused",))
    refresh.start()
    refresh.join()
    host.invoke(early_logs, "second")
    assert host.received == ["first", "model_refused", "second"]


def test_they_are_buffered_in_bounded_memory(host: Host, early_logs: EarlyLogs) -> None:
    for number in range(1000):
        LOGGER.info("line %d", number)
    host.invoke(early_logs)
    assert host.received == [f"line {number}" for number in range(900, 1000)]


def test_they_are_emitted_once_though_many_invocations_begin_together(host: Host, early_logs: EarlyLogs) -> None:
    for number in range(100):
        LOGGER.info("line %d", number)
    begin = threading.Barrier(16)

    def function() -> None:
        host.invocation.id = "1"
        begin.wait()
        early_logs.reemit()

    threads = [threading.Thread(target=function) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(host.received) == sorted(f"line {number}" for number in range(100))


def test_they_are_not_buffered_where_every_line_is_shown() -> None:
    """Under the dev host, in tests and in tools a repeated line would misreport what happened."""
    made = buffer_early_logs("storage.of_this_test")
    assert made not in LOGGER.handlers
