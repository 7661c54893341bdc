"""Counts the CPUs that this process may use: the affinity mask, limited by the container's quota."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from inference.resources.cgroups import ROOT, control_files

if TYPE_CHECKING:
    from pathlib import Path


def usable_cpus(root: Path = ROOT) -> int:
    """Return how many CPUs this process may use at once, at least 1. A quota of 1.5 CPUs counts as 2, of 0.5 as 1.

    Args:
        root: The folder of ``proc`` and ``sys``; tests pass their own.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affinity, *(math.ceil(quota) for quota in _quotas(root))]))


def visible_cpus() -> int:
    """Return how many CPUs the standard library counts for its thread pools, at least 1.

    It ignores quotas, and before Python 3.13 also the affinity mask.
    """
    count = getattr(os, "process_cpu_count", os.cpu_count)
    return count() or 1


def _quotas(root: Path) -> list[float]:
    """Return the CPUs that each control group of this process allows, without the groups that have no limit."""
    quotas = []
    for text in control_files(root, "cpu", "cpu.max"):  # v2: "<quota|max> <period>", microseconds
        quota, _, period = text.partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    pairs = zip(
        control_files(root, "cpu", "cpu.cfs_quota_us"), control_files(root, "cpu", "cpu.cfs_period_us"), strict=False
    )
    for quota, period in pairs:  # v1: -1 is no quota
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    return [quota for quota in quotas if quota > 0]
