"""What every room's tests share: one Azurite for the whole run, and names of their own inside it."""

from __future__ import annotations

import importlib.util
import signal
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from inference.resources.cpus import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.azurite.azurite import Azurite

TESTS = Path(__file__).resolve().parent
# Folders and files that take longest. They start first: started last, one of them would keep one CPU busy alone.
LONGEST = (
    *(
        "tools/webjobs",
        "hosts",
        "tools/package/test_runs.py",
        "storage/query",
        "tools/devhost/test_host.py",
        "tools/chaos",
    ),
    *("storage/results/test_commit_interleavings.py", "inference/decoding", "deploy/test_secrets.py"),
    *("test_end_to_end.py", "tools/bench", "storage/reconcile", "tools/trust", "tools/test_demo.py"),
)

# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_configure() -> None:
    """Let Ctrl+C count where the run was started in the background: what we start would inherit that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run three processes more than there are CPUs: many tests wait for an emulator or a host."""
    return usable_cpus() + 3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the emulator, so that ``-m "not azurite"`` runs the others, and put the longest first."""
    for item in items:
        if "azurite" in getattr(item, "fixturenames", ()):
            item.add_marker("azurite")
    items.sort(key=_start)  # stable: the tests of a file stay together


def _start(item: pytest.Item) -> int:
    """Place of a test's folder or file among the longest; behind all of them for any other."""
    path = item.path.relative_to(TESTS).as_posix()
    return next((place for place, each in enumerate(LONGEST) if path.startswith(each)), len(LONGEST))


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A real Azurite on free ports, nothing on disk. ``azurite.connection_string`` reaches all three services."""
    from tools.azurite.azurite import running

    with running(in_memory=True) as emulator:
        yield emulator


class Names:
    """Names that are unique in this run, so that tests on one Azurite never see each other."""

    def __init__(self) -> None:
        self._unique = uuid.uuid4().hex[:12]

    def container(self, purpose: str = "c") -> str:
        return f"{purpose}-{self._unique}"

    def queue(self, purpose: str = "q") -> str:
        return f"{purpose}-{self._unique}"

    def table(self, purpose: str = "t") -> str:
        return f"{purpose}{self._unique}"


@pytest.fixture
def names() -> Names:
    """Container, queue and table names of this one test: the same purpose gives the same name again."""
    return Names()


@pytest.fixture(scope="session")
def worker_python() -> Path:
    """A Python 3.13 that has the worker library and what the app needs."""
    from tests.programs import needed
    from tools.webjobs.worker import REQUIRED_PYTHON, environment_of

    if sys.version_info[:2] >= REQUIRED_PYTHON and importlib.util.find_spec("azure_functions_runtime"):
        return Path(sys.executable)
    return environment_of(needed("python3.13"))
