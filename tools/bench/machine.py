"""The machine: what it is, and how much of it others took while we measured.

A trial counts only if others left us alone, other programs of this machine as well as other machines of its host
(steal): ``/proc/stat`` says how busy the CPUs were that we may use, ``/proc/PID/stat`` how much of that was ours.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.resources.cpus import usable_cpus
from tools.process_stats import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Collection

FOREIGN_SHARE = 0.06
"""Of the CPUs' time: a trial in which others took more is not counted."""

_PROC = Path("/proc")
_PACKAGES = ("numpy", "pillow", "onnxruntime", "azure-storage-blob", "azure-data-tables", "azure-functions")
# Fields of a cpu line of /proc/stat (proc_stat(5)); guest time is part of user time already.
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_COUNTED = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """The clocks at one moment, in seconds: the wall's, and the CPU time of all, of the hypervisor and of us."""

    wall: float
    busy: float
    steal: float
    ours: float


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How much of the CPUs' time went elsewhere, 0 to 1: to other programs and other machines, and of that the latter.

    ``None`` where the system does not say.
    """

    foreign: float | None
    steal: float | None

    @property
    def is_quiet(self) -> bool:
        """Whether a trial under it counts."""
        return self.foreign is None or self.foreign <= FOREIGN_SHARE


def read(process_ids: Collection[int]) -> Reading | None:
    """Read the clocks.

    Args:
        process_ids: Which processes are ours, this one included.

    Returns:
        ``None`` where there is no ``/proc/stat``.
    """
    try:
        lines = (_PROC / "stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    fields = [[int(text) for text in line.split()[1 : 1 + _COUNTED]] for line in lines if line.split()[0] in mine]
    steal = sum(each[_STEAL] for each in fields)
    idle = sum(each[_IDLE] + each[_IOWAIT] for each in fields)
    busy = sum(sum(each) for each in fields) - idle
    return Reading(time.monotonic(), busy / tick, steal / tick, sum(map(cpu_seconds, process_ids)))


def between(before: Reading | None, after: Reading | None) -> Disturbance:
    """Say how much others took between two readings."""
    if before is None or after is None:
        return Disturbance(None, None)
    capacity = (after.wall - before.wall) * len(os.sched_getaffinity(0))
    foreign = (after.busy - before.busy) - (after.ours - before.ours)
    return Disturbance(max(0.0, foreign / capacity), max(0.0, (after.steal - before.steal) / capacity))


def described() -> dict[str, Any]:
    """What is needed to know which machine the figures are of."""
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
