"""Reads the container's limits from Linux control groups, version 1 and 2.

Every group between this process and the root may have a limit, and the smallest one applies. Inside a container the
process's group is often mounted as the root itself, so the mount point is always read too.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

ROOT = Path("/")


def control_files(root: Path, controller: str, name: str) -> list[str]:
    """Read ``name`` in every group this process is in, innermost first; empty where there is none.

    Args:
        root: The folder of ``proc`` and ``sys``; tests pass their own.
        controller: Version 1 controller, ``cpu`` or ``memory``.
        name: The control file, such as ``memory.max``.
    """
    texts = []
    for folder in _groups(root, controller):
        try:
            texts.append((folder / name).read_text().strip())
        except OSError:  # no limit in this group, or the other version of control groups
            continue
    return texts


def _groups(root: Path, controller: str) -> list[Path]:
    """Return the folders of every group of this process, innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders: dict[Path, None] = {}
    mounts = root / "sys/fs/cgroup"
    for line in lines:  # "<id>:<controllers>:<path>", no controllers for version 2
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        for mount in (mounts / controllers, mounts / controller) if controllers else (mounts, mounts / "unified"):
            inner = PurePosixPath(path.lstrip("/"))
            folders.update(dict.fromkeys(mount / part for part in (inner, *inner.parents)))
    return list(folders)
