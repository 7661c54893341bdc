"""What Linux says of a process: its memory in RAM, the peak of that, and its CPU time; proc_pid_status(5), ..._stat(5).

Where there is no ``/proc``, or the process is gone, everything is 0.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

SELF = "self"
_PROC = Path("/proc")
_KIB = 1024


class Resident(NamedTuple):
    """Memory of one process in RAM, in bytes: now, and the most since it began or since ``restart_peak``."""

    now: int
    peak: int

    @property
    def now_mib(self) -> float:
        """In MiB."""
        return self.now / _KIB**2


def resident(process_id: int | str = SELF) -> Resident:
    """Read how much memory a process holds."""
    lines = (line.partition(":") for line in _read(process_id, "status").splitlines())
    told = {name: int(value.split()[0]) * _KIB for name, _, value in lines if name in {"VmRSS", "VmHWM"}}
    return Resident(told.get("VmRSS", 0), told.get("VmHWM", 0))


def restart_peak() -> Resident:
    """Let this process's peak begin anew, and return where it begins.

    Raises:
        OSError: The system cannot do that.
    """
    (_PROC / SELF / "clear_refs").write_text("5")
    return resident()


def cpu_seconds(process_id: int | str = SELF) -> float:
    """Read how much CPU time a process has had, with its children that have ended."""
    fields = _read(process_id, "stat").rpartition(")")[2].split()  # behind the name, which may hold anything
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # utime, stime, cutime, cstime


def _read(process_id: int | str, name: str) -> str:
    try:
        return (_PROC / str(process_id) / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
