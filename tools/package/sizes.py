"""What weighs what in a package: one line for each third-party package, one for the app, one for each model."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.package.contents import SITE_PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NEGLIGIBLE_BYTES = 100_000  # zipped; below it lines are summed up
OURS = "the app"


@dataclass(frozen=True, slots=True)
class Weight:
    """One line of the table; sizes in bytes."""

    name: str
    unpacked: int
    zipped: int


def weights(package: Path) -> list[Weight]:
    """Return what each part of a package weighs, the heaviest first."""
    with zipfile.ZipFile(package) as archive:
        owners = dict(_owners(archive))
        sums: dict[str, tuple[int, int]] = {}
        for entry in archive.infolist():
            owner = owners.get(entry.filename) or _owner(entry.filename)
            unpacked, zipped = sums.get(owner, (0, 0))
            sums[owner] = unpacked + entry.file_size, zipped + entry.compress_size
    return sorted(
        (Weight(name, *both) for name, both in sums.items()), key=lambda weight: (-weight.zipped, weight.name)
    )


def table(parts: Sequence[Weight]) -> Iterator[str]:
    """Yield the table's lines; what is negligible is one line."""
    small = [part for part in parts if part.zipped < _NEGLIGIBLE_BYTES]
    lines = [part for part in parts if part.zipped >= _NEGLIGIBLE_BYTES]
    if small:
        lines.append(_sum(f"{len(small)} smaller packages", small))
    yield f"{'':<44} {'unpacked':>10} {'zipped':>10}"
    for line in [*lines, _sum("sum", parts)]:
        yield f"{line.name:<44} {line.unpacked / 1e6:>7.2f} MB {line.zipped / 1e6:>7.2f} MB"


def _sum(name: str, parts: Sequence[Weight]) -> Weight:
    return Weight(name, sum(part.unpacked for part in parts), sum(part.zipped for part in parts))


def _owners(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield each third-party file and the package whose record names it."""
    for record in archive.namelist():
        if record.startswith(f"{SITE_PACKAGES}/") and record.endswith(".dist-info/RECORD"):
            name, _, version = record.split("/")[-2].removesuffix(".dist-info").partition("-")
            for line in archive.read(record).decode().splitlines():
                path = line.rsplit(",", 2)[0].strip('"')
                yield f"{SITE_PACKAGES}/{path}", f"{name.replace('_', '-')} {version}"


def _owner(path: str) -> str:
    if path.startswith(f"{SITE_PACKAGES}/"):
        return "no package's"
    return "/".join(path.split("/")[:2]) if path.startswith("models/") else OURS
