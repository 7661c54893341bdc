"""Stop signals: the first one asks the command to finish, the second one ends the process at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = 128 + signal.SIGINT
"""The exit code after Ctrl+C, as shells report it: 130."""

# Windows delivers SIGTERM to no process; Ctrl+Break takes its place.
if sys.platform == "win32":
    TERMINATION = signal.SIGBREAK
else:
    TERMINATION = signal.SIGTERM
_SHOW_CURSOR = b"\x1b[?25h\n"


@contextmanager
def stop_requested(*signals: int) -> Iterator[threading.Event]:
    """Yield an event that the first of these signals sets; the second ends the process. For the main thread only.

    The interpreter writes each signal's number into a socket, where a thread reads it (``signal.set_wakeup_fd``). A
    Python signal handler could be too late: it runs when the main thread next executes bytecode, and that thread may
    be blocked by a lock. A signal that arrives just before it blocks, or on another thread, does not end the wait, and
    on Windows none does.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)  # noqa: FBT003 - the signature of sockets; set_wakeup_fd requires it
    event = threading.Event()

    def watch() -> None:
        with reader:
            if not reader.recv(1):
                return
            event.set()
            second = reader.recv(1)
            if second:
                if os.isatty(2):
                    os.write(2, _SHOW_CURSOR)
                os._exit(128 + second[0])  # no worse than a crash: see storage.results.commit

    before = {number: signal.signal(number, _do_nothing) for number in signals}
    before_fd = signal.set_wakeup_fd(writer.fileno())
    threading.Thread(target=watch, name="signals", daemon=True).start()
    try:
        yield event
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()


def _do_nothing(_number: int, _frame: object) -> None:
    """Replace the default action of a signal; ``stop_requested`` reads the signal's number elsewhere."""
