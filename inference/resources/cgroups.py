"""The container's own limits, as Linux control groups state them, version 1 and 2.

Every group between this process and the root may carry a limit, and the smallest one rules. Inside a container
the process's group is often mounted as the root itself, so the mount point is always looked at too.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

ROOT = Path("/")


def control_files(root: Path, controller: str, name: str) -> list[str]:
    """Read ``name`` in every group this process is in, innermost first; empty where there is none.

    Args:
        root: Where ``proc`` and ``sys`` are found; a test gives its own.
        controller: Version 1 controller, ``cpu`` or ``memory``.
        name: The control file, such as ``memory.max``.
    """
    texts = []
    for folder in _groups(root, controller):
        try:
            texts.append((folder / name).read_text().strip())
        except OSError:  # not limited here, or no such version of control groups
            continue
    return texts


def _groups(root: Path, controller: str) -> list[Path]:
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
