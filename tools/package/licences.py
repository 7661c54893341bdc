"""Writes the tables of docs/licences.md from the locked packages: ``python -m tools.package.licences``.

The metadata of a wheel is about its own code. Libraries inside a wheel have other licences; the tables list them as the
wheel's licence texts do (``Name: License: Files:``).
"""

from __future__ import annotations

import re
import tempfile
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from tools.package.wheels import LOCK, ROOT, install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

DOCUMENT = ROOT / "docs" / "licences.md"
_BEGIN, _END = "<!-- begin: python -m tools.package.licences -->\n", "<!-- end -->"
_SOURCE = re.compile(r"Source code: (https://github\.com/[\w.-]+/[\w.-]+)/tree/([\w.-]+)")
_HASH = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{8})?(?=\.so)")  # auditwheel adds it to the names of libraries
_MAX_NAME = 60  # a longer field contains the whole text


def rewritten(document: str, site: Path) -> str:
    """Return the document with new tables.

    Args:
        document: Its text.
        site: A folder that the locked packages are installed in.
    """
    packages = sorted(distributions(path=[str(site)]), key=lambda each: each.name.lower())
    sources = sorted({url for each in packages for url in _sources(each)})
    lines = [
        "",
        "| package | version | licence |",
        "|---|---|---|",
        *(f"| {each.name} | {each.version} | {_licence(each)} |" for each in packages),
        "",
        "| library | in the wheel of | licence, as the wheel states it |",
        "|---|---|---|",
        *(f"| {name} | {each.name} | {licence} |" for each in packages for name, licence in _libraries(each)),
        "",
        "Sources of the copyleft libraries, where their wheel names them:",
        "",
        *(f"- <{url}>" for url in sources),
        "",
        "",
    ]
    before, rest = document.split(_BEGIN)
    return before + _BEGIN + "\n".join(lines) + _END + rest.partition(_END)[2]


def _licence(package: Distribution) -> str:
    fields = package.metadata
    stated = next((text for name in ("License-Expression", "License") for text in fields.get_all(name) or []), "")
    if stated and "\n" not in stated and len(stated) <= _MAX_NAME:
        return stated
    kinds = [kind for kind in fields.get_all("Classifier") or [] if kind.startswith("License ::")]
    return ", ".join(kind.rpartition(" :: ")[2] for kind in kinds) or stated.splitlines()[0]


def _libraries(package: Distribution) -> Iterator[tuple[str, str]]:
    """Yield name and licence of each library in a wheel, without its own extension modules."""
    stated = list(_stated_licences(package))
    for path in sorted(package.files or [], key=str):
        if ".so" in path.suffixes and any(part.endswith(".libs") for part in path.parts):
            licences = dict.fromkeys(licence for pattern, licence in stated if fnmatch(path.name, pattern))
            yield _HASH.sub("", path.name), " and ".join(licences) or f"in {package.name}'s own LICENSE"


def _stated_licences(package: Distribution) -> Iterator[tuple[str, str]]:
    """Yield file name patterns with their licence.

    The texts have patterns for people, such as ``numpy.libs/libgfortran*.so`` and ``libheif.[dylib|so|dll]``.
    """
    for text in _licence_texts(package):
        for block in re.split(r"(?m)^(?=Name: )", text):
            files, licence = re.search(r"(?m)^Files: (.+)", block), re.search(r"(?m)^License: (.+)", block)
            if files and licence and "Windows" not in block.splitlines()[0]:
                for name in files[1].split(", "):
                    yield name.rpartition("/")[2].partition(".")[0].rstrip("*") + "*.so*", licence[1]


def _sources(package: Distribution) -> Iterator[str]:
    for text in _licence_texts(package):
        for repository, tag in _SOURCE.findall(text):
            yield f"{repository}/archive/refs/tags/{tag}.tar.gz"


def _licence_texts(package: Distribution) -> Iterator[str]:
    for path in package.files or []:
        if "dist-info" in str(path) and "LICENSE" in path.name:
            yield path.read_text()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "site"
        install(LOCK, folder)
        DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8"), folder), encoding="utf-8")
