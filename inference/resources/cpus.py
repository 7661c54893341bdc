"""How many CPUs this process may really use: the affinity mask, cut down by the container's quota."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from inference.resources.cgroups import ROOT, control_files

if TYPE_CHECKING:
    from pathlib import Path


def usable_cpus(root: Path = ROOT) -> int:
    """Count the CPUs that may run at once, at least 1; a quota of one and a half counts as two, of a half as one.

    Args:
        root: Where ``proc`` and ``sys`` are found; a test gives its own.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *(math.ceil(quota) for quota in _quotas(root))]))


def visible_cpus() -> int:
    """Count the CPUs as the standard library does for its thread pools, at least 1.

    It knows no quota, and the affinity mask from Python 3.13 on only.
    """
    count = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def _quotas(root: Path) -> list[float]:
    """CPUs that each control group above this process allows; groups without a limit are left out."""
    quotas = []
    for text in control_files(root, "cpu", "cpu.max"):  # v2: "<quota|max> <period>", microseconds
        quota, _, period = text.partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    pairs = zip(
        control_files(root, "cpu", "cpu.cfs_quota_us"), control_files(root, "cpu", "cpu.cfs_period_us"), strict=False
    )
    for quota, period in pairs:  # v1: a quota of -1 is none
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    return [quota for quota in quotas if quota > 0]
