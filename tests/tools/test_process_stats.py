"""Memory and CPU time of processes, as ``/proc`` has them."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.waiting import until
from tools.process_stats import cpu_seconds, resident, restart_peak, thread_cpu_seconds

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
MIB = 1024 * 1024


def test_the_peak_includes_memory_that_was_freed() -> None:
    """The memory is mapped for this test: a heap may reuse what an earlier test has freed."""
    before = restart_peak()
    assert before.now == pytest.approx(before.peak, abs=MIB)
    with mmap.mmap(-1, 64 * MIB) as held:
        for start in range(0, len(held), MIB):
            held[start : start + MIB] = b"1" * MIB
        assert resident().now - before.now == pytest.approx(64 * MIB, abs=8 * MIB)
    after = resident()
    assert after.peak - before.now == pytest.approx(64 * MIB, abs=8 * MIB)
    assert after.now - before.now < 8 * MIB
    assert after.now_mib == after.now / MIB


def test_cpu_time_counts_children_that_have_ended() -> None:
    before = cpu_seconds()
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert cpu_seconds(os.getpid()) - before >= 0.15
    before, began = cpu_seconds(), time.process_time()
    while time.process_time() - began < 0.2:
        pass
    assert cpu_seconds() - before >= 0.15


def test_cpu_time_of_the_threads_with_a_name() -> None:
    name, used, ended = "a thread (with a long name)", threading.Event(), threading.Event()

    def use_cpu() -> None:
        Path("/proc/thread-self/comm").write_text(name, encoding="ascii")
        while time.thread_time() < 0.2:
            pass
        used.set()
        ended.wait()

    thread = threading.Thread(target=use_cpu)
    thread.start()
    used.wait()
    assert 0.15 <= thread_cpu_seconds(os.getpid(), name) <= cpu_seconds()
    assert thread_cpu_seconds(os.getpid(), "another") == 0.0
    ended.set()
    thread.join()
    # Python is done with a thread a moment before the kernel is.
    until(lambda: thread_cpu_seconds(os.getpid(), name) == 0.0, "the thread to leave /proc")


def test_a_process_that_is_gone_has_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    assert resident(gone.pid) == (0, 0)
    assert cpu_seconds(gone.pid) == 0.0
    assert thread_cpu_seconds(gone.pid, "python") == 0.0
