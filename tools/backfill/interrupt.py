"""Ctrl+C: the first one asks to finish, the second one ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = 128 + signal.SIGINT
"""The exit code, as shells have it: 130."""

_SHOW_CURSOR = b"\x1b[?25h\n"


@contextmanager
def asked_to_stop() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl+C sets; a second one ends the process. For the main thread only."""
    # A handler runs in the middle of whatever the main thread does, which may be inside the very Event it would set,
    # holding its lock. SimpleQueue.put is the one call that is documented to be safe there.
    wishes: SimpleQueue[str] = SimpleQueue()
    stopping = threading.Event()
    told: list[int] = []

    def stop(number: int, _frame: object) -> None:
        if told:
            if os.isatty(2):
                os.write(2, _SHOW_CURSOR)
            os._exit(INTERRUPTED)  # as safe as any crash: see storage.results.commit
        told.append(number)
        wishes.put("stop")

    def obey() -> None:
        if wishes.get():
            stopping.set()

    before = signal.signal(signal.SIGINT, stop)
    threading.Thread(target=obey, name="interrupt", daemon=True).start()
    try:
        yield stopping
    finally:
        wishes.put("")
        signal.signal(signal.SIGINT, before)
