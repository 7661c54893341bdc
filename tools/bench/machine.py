"""Describes the machine, and measures how much CPU time other processes took during a trial.

A trial counts only if it was undisturbed, by other programs of this machine and by other machines of its host (steal).
``/proc/stat`` gives the busy time of the usable CPUs, ``/proc/PID/stat`` the part of it that the bench used.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.resources.cpus import usable_cpus
from tools.process_stats import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_OTHER_CPU = 0.06
"""The largest share of the CPUs' time that others may take during a trial that counts."""

_PROC = Path("/proc")
_PACKAGES = ("numpy", "pillow", "onnxruntime", "azure-storage-blob", "azure-data-tables", "azure-functions")
# Fields of a cpu line of /proc/stat, see proc_stat(5). User time includes the guest time after them.
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_FIELDS = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """Clocks at one moment, in seconds: the wall clock, and CPU time in total, stolen, and used by the bench.

    The CPU times are those of the ``cpus`` CPUs that this process may use.
    """

    wall: float
    cpus: int
    busy: float
    steal: float
    own: float


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Shares of the CPUs' time, 0 to 1, that others took; ``None`` if the system does not report them.

    Attributes:
        other_cpu: Other processes and other machines.
        steal: Of that, other machines.
    """

    other_cpu: float | None
    steal: float | None

    @property
    def is_quiet(self) -> bool:
        """Whether a trial with it counts."""
        return self.other_cpu is None or self.other_cpu <= MAX_OTHER_CPU


if sys.platform == "win32":

    def read_clocks(process_ids: Collection[int]) -> Reading | None:  # noqa: ARG001 - as below
        """Return ``None``: Windows has no ``/proc/stat``."""
        return None
else:

    def read_clocks(process_ids: Collection[int]) -> Reading | None:
        """Read the clocks; ``None`` if there is no ``/proc/stat``.

        Args:
            process_ids: The processes of the bench.
        """
        try:
            lines = (_PROC / "stat").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        ticks = os.sysconf("SC_CLK_TCK")
        usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        fields = [[int(text) for text in line.split()[1 : 1 + _FIELDS]] for line in lines if line.split()[0] in usable]
        steal = sum(each[_STEAL] for each in fields)
        idle = sum(each[_IDLE] + each[_IOWAIT] for each in fields)
        busy = sum(sum(each) for each in fields) - idle
        own = sum(map(cpu_seconds, process_ids))
        return Reading(time.monotonic(), len(usable), busy / ticks, steal / ticks, own)


def disturbance(before: Reading | None, after: Reading | None) -> Disturbance:
    """Return what others took between two readings."""
    if before is None or after is None:
        return Disturbance(None, None)
    capacity = (after.wall - before.wall) * after.cpus
    other = (after.busy - before.busy) - (after.own - before.own)
    return Disturbance(max(0.0, other / capacity), max(0.0, (after.steal - before.steal) / capacity))


def description() -> dict[str, Any]:
    """Describe the machine and the versions in use, for a kept result."""
    return {
        "cpu": _cpu_name(),
        "usable_cpus": usable_cpus(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _cpu_name() -> str:
    try:
        lines = (_PROC / "cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
