"""Cuts the notes of one version out of CHANGELOG.md: ``python -m tools.package.release_notes v1.2.3``.

Standard library only: the release asks before anything is installed. Refuses a version that the changelog or
``pyproject.toml`` does not know, so that a mistyped tag makes no release.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def notes(changelog: str, tag: str, project_version: str) -> str:
    """Return what the changelog says of a version.

    Args:
        changelog: In the layout of Keep a Changelog: ``## 1.2.3 - 2026-12-01``, brackets around the version or not.
        tag: ``v1.2.3``.
        project_version: What ``pyproject.toml`` states.

    Raises:
        ValueError: The tag is no version, another than the project's, or the changelog says nothing of it.
    """
    version = tag.removeprefix("v")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version) or not tag.startswith("v"):
        raise ValueError(f"{tag!r} is no version: v1.2.3 is.")
    if version != project_version:
        raise ValueError(f"The tag says {version}, pyproject.toml says {project_version}.")
    section = rf"^## \[?{re.escape(version)}\]?(?: - \d{{4}}-\d\d-\d\d)?\n(.*?)(?=^## |\Z)"
    found = re.search(section, changelog, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ValueError(f'CHANGELOG.md says nothing of {version}: give what is "Unreleased" that heading.')
    return found[1].strip() + "\n"


def main(tag: str) -> int:
    """Print the notes of a tag of this checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        said = notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), tag, project["version"])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(said, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
