"""Writes the tables of docs/licences.md from the packages themselves: ``python -m tools.package.licences``.

A wheel's metadata speaks for its Python code only. Libraries that wheels bring along have licences of their own, and
where the wheel states them (``Name: License: Files:``), those are told.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from tools.package.lock import LOCK, ROOT
from tools.package.wheels import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

DOCUMENT = ROOT / "docs" / "licences.md"
BEGIN, END = "<!-- begin: python -m tools.package.licences -->\n", "<!-- end -->"
_SOURCE = re.compile(r"Source code: (https://github\.com/[\w.-]+/[\w.-]+)/tree/([\w.-]+)")
_HASH = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{8})?(?=\.so)")  # auditwheel puts them into the names
_LONGEST_NAME = 60  # above it the field holds the text itself


@dataclass(frozen=True, slots=True)
class Stated:
    """What a wheel says of a library that it brings along: file patterns, and the licence by name."""

    patterns: tuple[str, ...]
    licence: str


def tables(site: Path) -> str:
    """Return the tables for a folder that the locked packages are installed in."""
    found = sorted(distributions(path=[str(site)]), key=lambda each: each.name.lower())
    lines = ["| package | version | licence |", "|---|---|---|"]
    lines += [f"| {each.name} | {each.version} | {_licence(each)} |" for each in found]
    lines += ["", "| library | brought by | licence, as the wheel states it |", "|---|---|---|"]
    for each in found:
        lines += [f"| {name} | {each.name} | {licence} |" for name, licence in _libraries(each)]
    sources = sorted({url for each in found for url in _sources(each)})
    lines += [
        "",
        "Sources of the copyleft libraries, where their wheel names them:",
        "",
        *(f"- <{url}>" for url in sources),
    ]
    return "\n".join(lines) + "\n"


def _licence(package: Distribution) -> str:
    said = package.metadata
    stated = next((text for name in ("License-Expression", "License") for text in said.get_all(name) or []), "")
    if stated and "\n" not in stated and len(stated) <= _LONGEST_NAME:
        return stated
    kinds = [kind for kind in said.get_all("Classifier") or [] if kind.startswith("License ::")]
    return ", ".join(kind.rpartition(" :: ")[2] for kind in kinds) or stated.splitlines()[0]


def _libraries(package: Distribution) -> Iterator[tuple[str, str]]:
    """Yield each library that a wheel brings along beside its own extension modules."""
    said = list(_stated(package))
    for path in sorted(package.files or [], key=str):
        if ".so" in path.suffixes and any(part.endswith(".libs") for part in path.parts):
            licences = [each.licence for each in said if any(_fits(str(path), one) for one in each.patterns)]
            yield _HASH.sub("", path.name), " and ".join(dict.fromkeys(licences)) or f"in {package.name}'s own LICENSE"


def _stated(package: Distribution) -> Iterator[Stated]:
    for text in _licence_texts(package):
        for block in re.split(r"(?m)^(?=Name: )", text):
            files, licence = re.search(r"(?m)^Files: (.+)", block), re.search(r"(?m)^License: (.+)", block)
            if files and licence and "Windows" not in block.splitlines()[0]:
                yield Stated(tuple(files[1].split(", ")), licence[1])


def _fits(path: str, pattern: str) -> bool:
    """Patterns are written for people: ``numpy.libs/libgfortran*.so`` and ``libheif.[dylib|so|dll]``."""
    stem = pattern.rpartition("/")[2].partition(".")[0].rstrip("*")
    return fnmatch(path.rpartition("/")[2], f"{stem}*.so*")


def _sources(package: Distribution) -> Iterator[str]:
    for text in _licence_texts(package):
        for repository, tag in _SOURCE.findall(text):
            yield f"{repository}/archive/refs/tags/{tag}.tar.gz"


def _licence_texts(package: Distribution) -> Iterator[str]:
    for path in package.files or []:
        if "dist-info" in str(path) and "LICENSE" in path.name:
            yield path.read_text()


def written(document: str, site: Path) -> str:
    """Return the document with its tables as they should be."""
    before, rest = document.split(BEGIN)
    return f"{before}{BEGIN}\n{tables(site)}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        install(LOCK, Path(scratch) / "site")
        DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), Path(scratch) / "site"), encoding="utf-8")
