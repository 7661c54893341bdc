"""Usable CPUs and the default budget, from control groups of both versions, in trees made for the test."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inference.resources.cpus import usable_cpus, visible_cpus
from inference.resources.memory import default_budget_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[3]


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


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        ("0::/", "sys/fs/cgroup/cpu.max"),
        ("0::/kubepods/burstable/pod7/c1", "sys/fs/cgroup/kubepods/burstable/cpu.max"),
        ("0::/system.slice/a:b.service", "sys/fs/cgroup/system.slice/a:b.service/cpu.max"),
        ("4:cpuset:/x\n0::/y", "sys/fs/cgroup/unified/y/cpu.max"),
        ("0::/../outside", "sys/fs/cgroup/cpu.max"),
    ],
    ids=["a container's own root", "a group far above", "a colon in the name", "hybrid", "outside our namespace"],
)
def test_version_2_quota_is_found_wherever_it_is_said(tmp_path: Path, groups: str, file: str) -> None:
    assert usable_cpus(tree(tmp_path, groups, {file: "50000 100000"})) == 1


def test_no_quota_here_does_not_hide_one_above(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/a/b/cpu.max": "max 100000", "sys/fs/cgroup/a/cpu.max": "300000 100000"}
    assert usable_cpus(tree(tmp_path, "0::/a/b", files)) == 3


@pytest.mark.parametrize("text", ["", "max", "x 100000", "100000 0", "-1 100000", "100000"], ids=repr)
def test_a_file_that_makes_no_sense_limits_nothing(tmp_path: Path, text: str) -> None:
    assert usable_cpus(tree(tmp_path, "0::/", {"sys/fs/cgroup/cpu.max": text})) == 64


def test_affinity_rules_where_it_is_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    assert usable_cpus(tree(tmp_path, "0::/", {"sys/fs/cgroup/cpu.max": "800000 100000"})) == 1


def test_without_control_groups_the_affinity_is_all_there_is(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == 64


def test_the_standard_library_s_own_count_knows_no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 64, raising=False)
    assert visible_cpus() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    monkeypatch.setattr(os, "process_cpu_count", lambda: None, raising=False)
    assert visible_cpus() == 1


RESTRICTED = """
import json, os, sys

cpus, intra_op = json.loads(sys.argv[1])
os.sched_setaffinity(0, cpus)
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy, onnxruntime  # they may have threads of their own, which are none of ours


def threads():
    found = {}
    for number in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{number}/status") as status:
            (allowed,) = [line.split()[1] for line in status if line.startswith("Cpus_allowed_list")]
        found[number] = allowed
    return found


before = threads()
if intra_op is None:
    session = onnxruntime.InferenceSession("models/shapes/model.onnx")
else:
    from pathlib import Path
    from inference.model.session import Session

    session = Session(Path("models/shapes/model.onnx"), intra_op_threads=intra_op)
    (port,) = session.inputs
    shape = [size if isinstance(size, int) else 1 for size in port.shape]
    session.run([session.outputs[0].name], {port.name: numpy.zeros(shape, numpy.float32)})
own = {number: allowed for number, allowed in threads().items() if number not in before}
print(json.dumps({"ours": sorted(own.values()), "process": before[str(os.getpid())]}))
"""


@pytest.fixture
def restricted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], str, str]]:
    """Open a session in a process that may use these CPUs: its threads' CPUs, the process's own, and stderr."""
    monkeypatch.undo()

    def run(cpus: list[int], intra_op: int | None) -> tuple[list[str], str, str]:
        command = [sys.executable, "-c", RESTRICTED, json.dumps([cpus, intra_op])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        return told["ours"], told["process"], done.stderr

    return run


def really_usable() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="CPUs are assigned to processes on Linux only")
class TestOnnxRuntime:
    """Where it chooses its threads itself it pins them, and complains on stderr of each CPU that a container hides."""

    CPUS = really_usable()

    def test_has_no_thread_to_pin_and_says_nothing_on_the_last_cpu_alone(
        self, restricted: Callable[..., tuple[list[str], str, str]]
    ) -> None:
        assert restricted(self.CPUS[-1:], 1) == ([], str(self.CPUS[-1]), "")

    def test_leaves_several_threads_where_the_process_may_run(
        self, restricted: Callable[..., tuple[list[str], str, str]]
    ) -> None:
        ours, process, said = restricted(self.CPUS, 3)
        assert ours == [process, process]
        assert said == ""

    @pytest.mark.skipif(len(CPUS) < 2, reason="with one CPU there is no other one to be pinned to")
    def test_would_pin_threads_were_it_not_told_how_many(
        self, restricted: Callable[..., tuple[list[str], str, str]]
    ) -> None:
        """What the tests above could see, were it there."""
        ours, process, _ = restricted(self.CPUS, None)
        assert ours
        assert process not in ours


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
