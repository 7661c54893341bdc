"""Memory and CPU time of a process, read from ``/proc``: see proc_pid_status(5) and proc_pid_stat(5).

Without ``/proc``, or after the end of the process, every value is 0. ``wait_for_cpu_seconds`` needs no ``/proc``.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import subprocess

SELF = "self"
_PROC = Path("/proc")
_KIB = 1024


class Resident(NamedTuple):
    """Resident memory of a process in bytes: now, and its peak since the start or since ``restart_peak``."""

    now: int
    peak: int

    @property
    def now_mib(self) -> float:
        """In MiB."""
        return self.now / _KIB**2


def resident(process_id: int | str = SELF) -> Resident:
    """Return the resident memory of a process."""
    lines = (line.partition(":") for line in _read(process_id, "status").splitlines())
    found = {name: int(value.split()[0]) * _KIB for name, _, value in lines if name in {"VmRSS", "VmHWM"}}
    return Resident(found.get("VmRSS", 0), found.get("VmHWM", 0))


def restart_peak() -> Resident:
    """Reset the peak of this process to its current memory, and return both.

    Raises:
        OSError: The system has no ``/proc/self/clear_refs``.
    """
    (_PROC / SELF / "clear_refs").write_text("5")
    return resident()


def cpu_seconds(process_id: int | str = SELF) -> float:
    """Return the CPU time of a process and of its children that have ended, user and system."""
    fields = _read(process_id, "stat").rpartition(")")[2].split()  # the name before it may contain anything
    if not fields:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS  # utime, stime, cutime, cstime


def thread_cpu_seconds(process_id: int, name: str) -> float:
    """Return the CPU time of a process's running threads with that name, of which the kernel keeps 15 characters."""
    ticks = 0
    for thread in (_PROC / str(process_id) / "task").glob("*"):
        stat = _read(process_id, f"task/{thread.name}/stat")
        if stat.partition("(")[2].rpartition(")")[0] == name[:15]:
            ticks += sum(map(int, stat.rpartition(")")[2].split()[11:13]))  # utime, stime
    return ticks / _TICKS


if sys.platform == "win32":
    _TICKS = 100  # unused, without /proc

    def wait_for_cpu_seconds(process: subprocess.Popen[str]) -> float:
        """Wait for a child process, set its ``returncode``, and return its CPU time in seconds, user and system."""
        process.wait()
        times = [ctypes.c_ulonglong() for _ in range(4)]  # creation, exit, kernel, user, in units of 100 ns
        handle = ctypes.c_void_p(int(process._handle))  # type: ignore[attr-defined]  # noqa: SLF001 - in no other place
        ctypes.windll.kernel32.GetProcessTimes(handle, *map(ctypes.byref, times))
        return (times[2].value + times[3].value) / 10_000_000
else:
    _TICKS = os.sysconf("SC_CLK_TCK")

    def wait_for_cpu_seconds(process: subprocess.Popen[str]) -> float:
        """Wait for a child process, set its ``returncode``, and return its CPU time in seconds, user and system."""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime


def _read(process_id: int | str, name: str) -> str:
    try:
        return (_PROC / str(process_id) / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
