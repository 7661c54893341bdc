"""The default decode budget, from control groups, resource limits and the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from inference.resources.memory import default_budget_bytes

if TYPE_CHECKING:
    from tests.inference.resources.conftest import WriteGroups

ROOT = Path(__file__).resolve().parents[3]
MIB = 1024 * 1024

pytestmark = pytest.mark.usefixtures("large_machine")


def test_the_budget_is_the_container_s_memory_less_the_process_s(write_groups: WriteGroups) -> None:
    root = write_groups("0::/", {"sys/fs/cgroup/memory.max": str(1228 * MIB)})
    assert default_budget_bytes(root) == (1228 - 320) * MIB


def test_version_1_limits_count_and_unlimited_groups_do_not(write_groups: WriteGroups) -> None:
    files = {
        "sys/fs/cgroup/memory/app/memory.limit_in_bytes": str(1000 * MIB),
        "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
    }
    assert default_budget_bytes(write_groups("4:memory:/app", files)) == 680 * MIB


def test_a_resource_limit_counts(tmp_path: Path) -> None:
    """In a process of its own, because the limit of a process cannot be raised again."""
    resource = pytest.importorskip("resource", reason="Windows has no resource limits")
    script = (
        "import resource\n"
        "from inference.resources.memory import available_bytes\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({800 * MIB}, {resource.RLIM_INFINITY}))\n"
        "print(available_bytes())"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(run.stdout) <= 480 * MIB


def test_two_cpus_get_no_more_than_they_can_use(write_groups: WriteGroups) -> None:
    assert default_budget_bytes(write_groups("0::/", {"sys/fs/cgroup/cpu.max": "50000 100000"})) == 768 * MIB


def test_a_tiny_container_gets_the_least_budget(write_groups: WriteGroups) -> None:
    assert default_budget_bytes(write_groups("0::/", {"sys/fs/cgroup/memory.max": str(256 * MIB)})) == 64 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="counts the page faults of glibc's heap")
def test_the_memory_of_one_photo_is_ready_for_the_next() -> None:
    """A page fault for each 4 KiB takes up to a quarter of a small JPEG's decode."""
    script = (
        "import resource\n"
        "import numpy as np\n"
        "from inference.resources.memory import return_freed_memory\n"
        "def faults(times):\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(times):\n"
        "        pixels, image = np.ones(2_250_000, np.uint8), np.ones(3_000_000, np.uint8)\n"
        "        del pixels, image\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "return_freed_memory()\n"
        "faults(2)\n"
        "print(faults(10))"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(run.stdout) < 1000  # 1,280 for each pair that is new
