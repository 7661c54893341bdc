"""Buffers log records emitted outside an invocation (the host drops them) and re-emits them in the next one.

The Functions host looks for the invocation of each record that the worker sends and drops those without one
(``GrpcWorkerChannel.Log``). That concerns everything logged while the app is imported and on background threads: the
startup line, a model that cannot be loaded, a new version that was refused.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque

_WORKERS = ("proxy_worker", "azure_functions_worker")  # Python 3.13 and later, and before
_MAX_RECORDS = 100


class EarlyLogs(logging.Handler):
    """Buffers the last 100 records of threads that serve no invocation. Thread-safe."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._buffer: deque[logging.LogRecord] = deque(maxlen=_MAX_RECORDS)
        self._thread = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Buffer a record, unless its thread serves an invocation: the host has taken that one."""
        if not getattr(self._thread, "is_serving", False):
            self._buffer.append(record)

    def reemit(self) -> None:
        """Emit the buffered records again. Each function calls this first; it marks its thread as serving."""
        self._thread.is_serving = True
        while True:
            try:
                record = self._buffer.popleft()
            except IndexError:  # empty, or emptied by an invocation on another thread
                return
            logging.getLogger(record.name).handle(record)


def buffer_early_logs(*names: str) -> EarlyLogs:
    """Buffer the records of these loggers and those below them, where a Functions worker runs the app.

    Under the dev host, in tests and in tools every record is shown at once, so nothing is buffered there.
    """
    early_logs = EarlyLogs()
    if any(worker in sys.modules for worker in _WORKERS):
        for name in names:
            logging.getLogger(name).addHandler(early_logs)
    return early_logs
