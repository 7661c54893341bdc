"""The usable CPUs, from the affinity mask and from control groups of both versions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from inference.resources.cpus import usable_cpus, visible_cpus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.inference.resources.conftest import WriteGroups

pytestmark = pytest.mark.usefixtures("large_machine")


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("max 100000", 64),
        ("50000 100000", 1),
        ("150000 100000", 2),
        ("200000 100000", 2),
        ("6400000 100000", 64),
        ("1 100000", 1),
    ],
)
def test_version_2_quota(write_groups: WriteGroups, quota: str, cpus: int) -> None:
    assert usable_cpus(write_groups("0::/", {"sys/fs/cgroup/cpu.max": quota})) == cpus


def test_the_smallest_quota_of_all_groups_applies(write_groups: WriteGroups) -> None:
    files = {"sys/fs/cgroup/a/cpu.max": "200000 100000", "sys/fs/cgroup/a/b/cpu.max": "800000 100000"}
    assert usable_cpus(write_groups("0::/a/b", files)) == 2


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 64), ("50000", 1), ("350000", 4)])
@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu,cpuacct/docker/x", "cpu/docker/x"])
def test_version_1_quota(write_groups: WriteGroups, quota: str, cpus: int, folder: str) -> None:
    base = f"sys/fs/cgroup/{folder}"
    files = {f"{base}/cpu.cfs_quota_us": quota, f"{base}/cpu.cfs_period_us": "100000"}
    assert usable_cpus(write_groups("4:cpu,cpuacct:/docker/x\n0::/", files)) == cpus


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/", "sys/fs/cgroup/cpu.max"),
        ("0::/kubepods/burstable/pod7/c1", "sys/fs/cgroup/kubepods/burstable/cpu.max"),
        ("0::/system.slice/a:b.service", "sys/fs/cgroup/system.slice/a:b.service/cpu.max"),
        ("4:cpuset:/x\n0::/y", "sys/fs/cgroup/unified/y/cpu.max"),
        ("0::/../outside", "sys/fs/cgroup/cpu.max"),
    ],
    ids=["a container's own root", "a group far above", "a colon in the name", "hybrid", "outside the namespace"],
)
def test_version_2_quota_is_found_in_every_group_of_the_process(
    write_groups: WriteGroups, groups: str, file: str
) -> None:
    assert usable_cpus(write_groups(groups, {file: "50000 100000"})) == 1


def test_a_group_without_a_quota_does_not_hide_one_above(write_groups: WriteGroups) -> None:
    files = {"sys/fs/cgroup/a/b/cpu.max": "max 100000", "sys/fs/cgroup/a/cpu.max": "300000 100000"}
    assert usable_cpus(write_groups("0::/a/b", files)) == 3


@pytest.mark.parametrize("text", ["", "max", "x 100000", "100000 0", "-1 100000", "100000"], ids=repr)
def test_an_invalid_file_is_no_limit(write_groups: WriteGroups, text: str) -> None:
    assert usable_cpus(write_groups("0::/", {"sys/fs/cgroup/cpu.max": text})) == 64


def test_a_smaller_affinity_mask_applies(write_groups: WriteGroups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3}, raising=False)
    assert usable_cpus(write_groups("0::/", {"sys/fs/cgroup/cpu.max": "800000 100000"})) == 1


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == 64


def test_the_standard_library_ignores_quotas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64, raising=False)
    assert visible_cpus() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setattr(os, "process_cpu_count", lambda: None, raising=False)
    assert visible_cpus() == 1
