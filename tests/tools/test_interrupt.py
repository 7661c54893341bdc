"""Stop signals reach a command whose main thread is blocked, and the second one ends it at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import DEADLINE_SECONDS
from tools.interrupt import TERMINATION, stop_requested

ROOT = Path(__file__).resolve().parents[2]

# On another thread the signal does not end the main thread's wait. A signal that arrives between the interpreter's last
# check and the lock has the same effect, but happens only now and then.
WAITING = """
import signal, sys, threading
from tools.interrupt import stop_requested

with stop_requested(signal.SIGINT) as stopping:
    def send_one():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    threading.Thread(target=send_one).start()
    stopping.wait()
    print("stopping", flush=True)
    sys.stdin.read()
"""


def started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WAITING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_a_signal_on_another_thread_ends_the_wait() -> None:
    with started() as process:
        output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, output, errors) == (0, b"stopping\n", b"")


def test_the_second_signal_ends_the_process() -> None:
    with started() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stopping\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 130


def test_what_signals_did_before_is_restored() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(TERMINATION)
    with stop_requested(signal.SIGINT, TERMINATION) as stopping:
        assert not stopping.is_set()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(TERMINATION)) == before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
