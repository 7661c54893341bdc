"""Sizes of the parts of a package: each third-party package, the app, each model."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, NamedTuple

from tools.package.contents import SITE_PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SMALL_BYTES = 100_000  # zipped; smaller third-party packages share a row


class Size(NamedTuple):
    """One row of the table; sizes in bytes."""

    name: str
    unpacked: int
    zipped: int


def sizes(package: Path) -> list[Size]:
    """Return the sizes of the parts of a package, the largest first."""
    totals: dict[str, Size] = {}
    with zipfile.ZipFile(package) as archive:
        owners = dict(_owners(archive))
        for entry in archive.infolist():
            name = owners.get(entry.filename) or _part(entry.filename)
            _, unpacked, zipped = totals.get(name, (name, 0, 0))
            totals[name] = Size(name, unpacked + entry.file_size, zipped + entry.compress_size)
    return sorted(totals.values(), key=lambda size: (-size.zipped, size.name))


def table(parts: Sequence[Size]) -> Iterator[str]:
    """Yield the lines of a table with a sum."""
    small = [part for part in parts if part.zipped < _SMALL_BYTES]
    rows = [part for part in parts if part.zipped >= _SMALL_BYTES]
    if small:
        rows.append(_sum(f"{len(small)} smaller packages", small))
    yield f"{'':<44} {'unpacked':>10} {'zipped':>10}"
    for row in [*rows, _sum("sum", parts)]:
        yield f"{row.name:<44} {row.unpacked / 1e6:>7.2f} MB {row.zipped / 1e6:>7.2f} MB"


def _sum(name: str, parts: Sequence[Size]) -> Size:
    return Size(name, sum(part.unpacked for part in parts), sum(part.zipped for part in parts))


def _owners(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield each third-party file with the package whose record lists it."""
    for record in archive.namelist():
        if record.startswith(f"{SITE_PACKAGES}/") and record.endswith(".dist-info/RECORD"):
            name, _, version = record.split("/")[-2].removesuffix(".dist-info").partition("-")
            for line in archive.read(record).decode().splitlines():
                path = line.rsplit(",", 2)[0].strip('"')
                yield f"{SITE_PACKAGES}/{path}", f"{name.replace('_', '-')} {version}"


def _part(path: str) -> str:
    if path.startswith(f"{SITE_PACKAGES}/"):
        return "files of no package"
    return "/".join(path.split("/")[:2]) if path.startswith("models/") else "the app"
