"""Limits the memory of one process by a control group, or by a watchdog if no group can be created.

The group is a child of this process's group, whose limits therefore apply too, and is removed afterwards. Version 1
needs write access to the ``memory`` hierarchy. In version 2 only the root group may have both processes and children,
so the limit works only if this process may manage its group.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.process_stats import resident

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1024 * 1024
_MOUNT = Path("/sys/fs/cgroup")


@dataclass
class MemoryLimit:
    """A memory limit for a process to be started.

    Attributes:
        kind: ``cgroup v1``, ``cgroup v2`` or ``watchdog``.
        limit_bytes: The limit.
        folder: Of the control group; ``None`` for the watchdog.
        prefix: A command prefix that starts a command under the limit.
        peak_mib: Peak of all charged memory, including file pages and kernel memory; 0 for the watchdog.
        killed: How many processes the limit has killed.
    """

    kind: str
    limit_bytes: int
    folder: Path | None = None
    prefix: tuple[str, ...] = ()
    peak_mib: int = 0
    killed: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def read(self) -> dict[str, Any]:
        """Return the limit, the peak and the number of kills."""
        if self.folder is not None:
            peak = self.folder / ("memory.max_usage_in_bytes" if self.kind == "cgroup v1" else "memory.peak")
            events = self.folder / ("memory.oom_control" if self.kind == "cgroup v1" else "memory.events")
            self.peak_mib = int(peak.read_text()) // _MIB
            counts = dict(line.split() for line in events.read_text().splitlines())
            self.killed = int(counts.get("oom_kill", 0))
        limit_mib = self.limit_bytes // _MIB
        return {
            "limited_by": self.kind,
            "limit_mib": limit_mib,
            "group_peak_mib": self.peak_mib,
            "oom_kills": self.killed,
        }

    def watch(self, process_id: int) -> None:
        """Start the watchdog, unless there is a group; it kills the process when it exceeds the limit."""
        if self.folder is None:
            threading.Thread(target=self._run_watchdog, args=(process_id,), daemon=True).start()

    def _run_watchdog(self, process_id: int) -> None:
        import os
        import signal

        while not self._stop.wait(0.005):
            if resident(process_id).now > self.limit_bytes:
                self.killed += 1
                os.kill(process_id, signal.SIGKILL)
                return


@contextmanager
def memory_limit(limit_bytes: int) -> Iterator[MemoryLimit]:
    """Create a limit for the length of the block."""
    try:
        kind, folder = _create_group(limit_bytes)
    except OSError:
        watchdog = MemoryLimit("watchdog", limit_bytes)
        try:
            yield watchdog
        finally:
            watchdog._stop.set()
        return
    try:
        yield MemoryLimit(
            kind, limit_bytes, folder, ("sh", "-c", f'echo $$ > "{folder}/cgroup.procs" && exec "$@"', "memory-limit")
        )
    finally:
        _remove(folder)


def _create_group(limit_bytes: int) -> tuple[str, Path]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own = path.lstrip("/")
        if "memory" in controllers.split(","):
            folder = _MOUNT / "memory" / own / f"soak-{time.time_ns()}"
            folder.mkdir()
            return "cgroup v1", _set_limit(folder, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", limit_bytes)
        if not controllers and (_MOUNT / "cgroup.controllers").is_file():
            parent = _MOUNT / own
            (parent / "cgroup.subtree_control").write_text("+memory")
            folder = parent / f"soak-{time.time_ns()}"
            folder.mkdir()
            folder = _set_limit(folder, "memory.max", "memory.swap.max", limit_bytes)
            (folder / "memory.swap.max").write_text("0")
            return "cgroup v2", folder
    raise FileNotFoundError("no control group for memory")


def _set_limit(folder: Path, memory: str, swap: str, limit_bytes: int) -> Path:
    try:
        (folder / memory).write_text(str(limit_bytes))
        if (folder / swap).is_file():
            (folder / swap).write_text(str(limit_bytes))
    except OSError:
        folder.rmdir()
        raise
    return folder


def _remove(folder: Path) -> None:
    """Remove the group once its processes have ended."""
    for _ in range(100):
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return
