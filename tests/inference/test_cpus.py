"""Usable CPUs and the default budget, from control groups of both versions, in trees made for the test."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from inference.cpus import usable_cpus
from inference.memory import default_budget_bytes

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _many_cpus_and_no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)), raising=False)
    monkeypatch.setattr(
        os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * 1024 * MIB // 4096}[name]
    )
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def tree(root: Path, groups: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


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
def test_version_2_quota(tmp_path: Path, quota: str, cpus: int) -> None:
    assert usable_cpus(tree(tmp_path, "0::/", {"sys/fs/cgroup/cpu.max": quota})) == cpus


def test_the_smallest_quota_above_us_rules(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/a/cpu.max": "200000 100000", "sys/fs/cgroup/a/b/cpu.max": "800000 100000"}
    assert usable_cpus(tree(tmp_path, "0::/a/b", files)) == 2


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 64), ("50000", 1), ("350000", 4)])
@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu,cpuacct/docker/x", "cpu/docker/x"])
def test_version_1_quota(tmp_path: Path, quota: str, cpus: int, folder: str) -> None:
    base = f"sys/fs/cgroup/{folder}"
    files = {f"{base}/cpu.cfs_quota_us": quota, f"{base}/cpu.cfs_period_us": "100000"}
    assert usable_cpus(tree(tmp_path, "4:cpu,cpuacct:/docker/x\n0::/", files)) == cpus


def test_affinity_rules_where_it_is_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    assert usable_cpus(tree(tmp_path, "0::/", {"sys/fs/cgroup/cpu.max": "800000 100000"})) == 1


def test_without_control_groups_the_affinity_is_all_there_is(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == 64


def test_a_container_s_memory_less_the_process_is_the_budget(tmp_path: Path) -> None:
    root = tree(tmp_path, "0::/", {"sys/fs/cgroup/memory.max": str(1228 * MIB)})
    assert default_budget_bytes(root) == (1228 - 320) * MIB


def test_version_1_memory_counts_and_no_limit_does_not(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/memory/app/memory.limit_in_bytes": str(1000 * MIB),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
    }
    assert default_budget_bytes(tree(tmp_path, "4:memory:/app", files)) == 680 * MIB


def test_a_resource_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {resource.RLIMIT_AS: 2000 * MIB, resource.RLIMIT_DATA: 1320 * MIB}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits[kind], limits[kind]))
    assert default_budget_bytes(tmp_path) == 1000 * MIB


def test_two_cpus_need_no_more_than_they_can_use(tmp_path: Path) -> None:
    assert default_budget_bytes(tree(tmp_path, "0::/", {"sys/fs/cgroup/cpu.max": "50000 100000"})) == 768 * MIB


def test_a_tiny_container_still_decodes_one_by_one(tmp_path: Path) -> None:
    assert default_budget_bytes(tree(tmp_path, "0::/", {"sys/fs/cgroup/memory.max": str(256 * MIB)})) == 64 * MIB
