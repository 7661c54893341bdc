"""Every import is declared, every requirement is pinned, and every supported Python gets one version of each."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
OUR_OWN = {"function_app", "inference", "storage", "tools", "tests"}
# Brought by another on purpose: the session is handed to azure-core, so the version is the one that azure-core takes.
BROUGHT_BY = {"requests": "azure-core"}
# Trains the sample model, and is too large for other users to download.
DEVELOPERS_TOOLS = {"torch"}


def declared(file: str, python: str | None = None) -> list[Requirement]:
    """The requirements of a file and of those it includes; those for one version of Python, if one is named."""
    found = []
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if included := re.fullmatch(r"-r (\S+)", text):
            found += declared(included[1], python)
        elif text:
            requirement = Requirement(text)
            marker = requirement.marker
            if python is None or marker is None or marker.evaluate({"python_version": python}):
                found.append(requirement)
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(paths: list[Path]) -> dict[str, str]:
    """Which distribution each third-party import comes from, and one place that says it."""
    distributions = packages_distributions()
    found: dict[str, str] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                top = name.partition(".")[0]
                if top in sys.stdlib_module_names or top in OUR_OWN | DEVELOPERS_TOOLS:
                    continue
                # `azure` belongs to many: azure.data.tables comes from azure-data-tables.
                owners = {canonical(owner) for owner in distributions.get(top, [top])}
                longest = [owner for owner in owners if canonical(name).startswith(owner)]
                found[max(longest, key=len) if longest else min(owners)] = f"{path.relative_to(ROOT)}: {name}"
    return found


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-tools.txt", "requirements-dev.txt"])
def test_everything_is_pinned_to_one_version(file: str) -> None:
    for requirement in declared(file):
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), f"{requirement} is not pinned"


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("file", ["requirements.txt", "requirements-tools.txt", "requirements-dev.txt"])
def test_every_python_gets_one_version_of_each(file: str, python: str) -> None:
    names = [canonical(requirement.name) for requirement in declared(file, python)]
    assert sorted(names) == sorted(set(names))
    assert "azure-functions" in names


def test_what_the_app_imports_is_declared_for_the_app() -> None:
    """Azure installs ``requirements.txt`` and nothing else."""
    files = [ROOT / "function_app.py", *(ROOT / "inference").rglob("*.py"), *(ROOT / "storage").rglob("*.py")]
    known = {canonical(requirement.name) for requirement in declared("requirements.txt")} | BROUGHT_BY.keys()
    assert {name: where for name, where in imported(files).items() if name not in known} == {}


def test_what_the_tools_import_is_declared_for_the_tools() -> None:
    requirements = ("requirements-tools.txt", "requirements-export.txt", "requirements-trust.txt")
    known = {canonical(requirement.name) for file in requirements for requirement in declared(file)} | BROUGHT_BY.keys()
    recorders = ROOT / "tools/maintainer/golden"  # maintainers install the libraries that they record
    files = [path for path in (ROOT / "tools").rglob("*.py") if recorders not in path.parents]
    assert {name: where for name, where in imported(files).items() if name not in known} == {}


@pytest.mark.parametrize(("name", "bringer"), BROUGHT_BY.items())
def test_what_is_brought_by_another_really_is(name: str, bringer: str) -> None:
    assert name in {canonical(Requirement(text).name) for text in requires(bringer) or []}
