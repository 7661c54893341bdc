"""Scenarios of calls that go on: how many there are at once, and what a stop waits for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import azure.functions as func

from tests.hosts.internal_queue import internal_message
from tests.hosts.lab import INTERNAL, encoded
from tests.waiting import until

if TYPE_CHECKING:
    from tests.hosts.lab import Facts, Lab
    from tests.hosts.recording_app import Call

PARALLELISM = (1, 2, 3, 4, 8, 16)


def stop_while_busy(lab: Lab) -> Facts:
    lab.incoming.create_container()
    go_on, finished = threading.Event(), []

    def behave(call: Call) -> None:
        go_on.wait()
        finished.append(call.key)

    lab.recorder.behave = behave
    for number in range(3):
        lab.put(f"{number}.jpg")
    host = lab.start()
    try:
        lab.wait_for(3)
        with ThreadPoolExecutor(1) as stopping:
            ended = stopping.submit(host.stop)
            lab.put("too late.jpg")
            early = ended.done()
            go_on.set()
            code = ended.result()
    finally:
        go_on.set()
    return {"stopped before its calls": early, "finished": sorted(finished), "exit": code, "left": lab.left()}


def concurrency(lab: Lab) -> Facts:
    """How many calls run at once, at most; the messages are there before the host."""
    lab.incoming.create_container()
    etag = lab.put("a.jpg")
    internal = lab.queue(INTERNAL)
    internal.create_queue()
    over = []
    for parallelism in PARALLELISM:
        running: list[str] = []
        most: list[int] = [0]
        lock, go_on = threading.Lock(), threading.Semaphore(0)
        first, count = parallelism // 2 + 1, 2 * parallelism + 2

        def behave(
            call: Call,
            running: list[str] = running,
            most: list[int] = most,
            lock: Any = lock,
            go_on: threading.Semaphore = go_on,
        ) -> None:
            with lock:
                running.append(call.key)
                most[0] = max(most[0], len(running))
            go_on.acquire()
            with lock:
                running.pop()

        lab.recorder.behave = behave
        for _ in range(count):
            internal.send_message(encoded(internal_message(ETag=etag)))
        with lab.host(parallelism=parallelism, source=func.BlobSource.EVENT_GRID):
            until(lambda: len(running) == first, f"the first batch of {first}")  # noqa: B023 - evaluated in this turn
            go_on.release(count)
            lab.wait_until_empty()
        over += [parallelism] if most[0] > parallelism else []
    return {"more at once than maxDegreeOfParallelism": over}
