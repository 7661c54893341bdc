"""Prints the notes of one version from CHANGELOG.md: ``python -m tools.package.release_notes v1.2.3``.

Uses the standard library only, because the release runs it before it installs packages. A version that the changelog or
``pyproject.toml`` does not have is refused, so that a mistyped tag makes no release.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def notes(changelog: str, tag: str, project_version: str) -> str:
    """Return the section of a version.

    Args:
        changelog: In the layout of Keep a Changelog: ``## 1.2.3 - 2026-12-01``, brackets around the version or not.
        tag: ``v1.2.3``.
        project_version: The version in ``pyproject.toml``.

    Raises:
        ValueError: The tag is not a version, not the project's, or has no section.
    """
    version = tag.removeprefix("v")
    if not re.fullmatch(r"v\d+\.\d+\.\d+", tag):
        raise ValueError(f"{tag!r} is not a version, such as v1.2.3.")
    if version != project_version:
        raise ValueError(f"The tag has version {version}, pyproject.toml has {project_version}.")
    section = rf"^## \[?{re.escape(version)}\]?(?: - \d{{4}}-\d\d-\d\d)?\n(.*?)(?=^## |\Z)"
    found = re.search(section, changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ValueError(f'CHANGELOG.md has no notes of {version}: make that the heading of "Unreleased".')
    return found[1].strip() + "\n"


def main(tag: str) -> int:
    """Print the notes of a tag of this checkout; exit code 2 if it is refused."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        print(notes((_ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tag, project["version"]), end="")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
