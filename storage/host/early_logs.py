"""Lines that nobody would hear, kept until somebody does.

The Functions host drops what a worker logs outside an invocation (``GrpcWorkerChannel.Log`` looks for the invocation,
and has no else). That is all that is said while the app is imported and on threads of its own: the start line, a
model that cannot be loaded, one that was refused. Such lines are kept, and said again by the next invocation.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque

_WORKERS = ("proxy_worker", "azure_functions_worker")  # Python 3.13 and later, and before
_MOST_LINES = 100


class Unheard(logging.Handler):
    """Keeps the last 100 records of threads that serve no invocation. Thread-safe."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._kept: deque[logging.LogRecord] = deque(maxlen=_MOST_LINES)
        self._thread = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, unless its thread serves an invocation: then it was heard."""
        if not getattr(self._thread, "serves", False):
            self._kept.append(record)

    def say(self) -> None:
        """Say what was kept. Called first by each function: from then on this thread is known to be heard."""
        self._thread.serves = True
        while True:
            try:
                record = self._kept.popleft()
            except IndexError:  # another invocation may be at it too
                return
            logging.getLogger(record.name).handle(record)


def keep_unheard(*names: str) -> Unheard:
    """Listen to these loggers and what is below them, where a Functions worker runs the app.

    Elsewhere (dev host, tests, tools) every line is heard when it is said, and nothing is kept.
    """
    unheard = Unheard()
    if any(worker in sys.modules for worker in _WORKERS):
        for name in names:
            logging.getLogger(name).addHandler(unheard)
    return unheard
