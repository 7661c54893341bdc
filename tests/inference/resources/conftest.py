"""A machine of a known size, and files of control groups."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    WriteGroups = Callable[[str, dict[str, str]], Path]

GIB = 1024**3


@pytest.fixture
def large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 CPUs, 64 GiB of memory, and no limit on the process."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)), raising=False)
    monkeypatch.setattr("inference.resources.memory._machine_bytes", lambda: 64 * GIB)
    monkeypatch.setattr("inference.resources.memory._resource_limits", list)


@pytest.fixture
def write_groups(tmp_path: Path) -> WriteGroups:
    """Write ``proc/self/cgroup`` and control files below a folder, and return the folder."""

    def write(groups: str, files: dict[str, str]) -> Path:
        for name, text in {"proc/self/cgroup": groups, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return tmp_path

    return write
