"""Whether a folder holds what our requirements ask for on Azure: all of it, in those versions, and no more."""

from __future__ import annotations

from importlib.metadata import distributions
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.package.wheels import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.metadata import Distribution
    from pathlib import Path

# What markers are judged by: where the package will run, not where it is made.
AZURE = {
    "implementation_name": "cpython",
    "implementation_version": f"{PYTHON}.0",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}


def declared(requirements: str) -> list[Requirement]:
    """Return what a requirements file asks for on Azure.

    Args:
        requirements: Its text; it includes no other file.
    """
    lines = (line.partition("#")[0].strip() for line in requirements.splitlines())
    return [wanted for wanted in map(Requirement, filter(None, lines)) if _applies(wanted, frozenset())]


def differences(site: Path, wanted: Iterable[Requirement]) -> list[str]:
    """Name what is missing, what has another version than is asked for, and what nobody asks for. Empty: all is well.

    Args:
        site: A folder that packages are installed in.
        wanted: What our own code asks for.
    """
    there = {canonicalize_name(found.name): found for found in distributions(path=[str(site)])}
    found: list[str] = []
    asked: set[tuple[str, str]] = set()
    waiting = [(wish, "requirements.txt") for wish in wanted]
    while waiting:
        wish, by = waiting.pop()
        name = canonicalize_name(wish.name)
        if (name, str(wish)) in asked:
            continue
        asked.add((name, str(wish)))
        if name not in there:
            found.append(f"{name} is missing, {by} asks for it")
        elif not wish.specifier.contains(there[name].version, prereleases=True):
            found.append(f"{name} is {there[name].version}, {by} asks for {wish.specifier}")
        else:
            waiting += [(each, str(name)) for each in _brought_by(there[name], frozenset(wish.extras))]
    unasked = there.keys() - {name for name, _ in asked}
    return sorted(found) + sorted(f"{name} is there, and nobody asks for it" for name in unasked)


def _brought_by(package: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for wish in map(Requirement, package.requires or []):
        if _applies(wish, extras):
            yield wish


def _applies(wish: Requirement, extras: frozenset[str]) -> bool:
    return wish.marker is None or any(wish.marker.evaluate(AZURE | {"extra": extra}) for extra in extras | {""})
