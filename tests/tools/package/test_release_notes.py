"""The notes of a release are its section of the changelog; a wrong tag is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.package.release_notes import notes

ROOT = Path(__file__).resolve().parents[3]
CHANGELOG = """\
# Changelog

## Unreleased

### Added
- Not out yet.

## [1.10.0] - 2026-12-24

### Added
- A thing.

### Fixed
- A [link](docs/x.md).

## 1.1.0 - 2026-01-01
- Old.

## 1.0.0
"""


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("v1.10.0", "### Added\n- A thing.\n\n### Fixed\n- A [link](docs/x.md).\n"),
        ("v1.1.0", "- Old.\n"),
    ],
    ids=["in brackets, in the middle", "without brackets"],
)
def test_notes_are_the_section_of_the_version(tag: str, expected: str) -> None:
    assert notes(CHANGELOG, tag, tag[1:]) == expected


@pytest.mark.parametrize(
    ("tag", "project", "error"),
    [
        ("v1.0.0", "1.0.0", "no notes of 1.0.0"),
        ("v1.2.0", "1.2.0", "no notes of 1.2.0"),
        ("v1.1.0", "1.10.0", "pyproject.toml has 1.10.0"),
        ("1.1.0", "1.1.0", "not a version"),
        ("vUnreleased", "Unreleased", "not a version"),
        ("v1.1.0\n", "1.1.0", "not a version"),
    ],
    ids=["empty section", "no section", "another version than the project", "no v", "a word", "a line break"],
)
def test_a_wrong_tag_is_refused(tag: str, project: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        notes(CHANGELOG, tag, project)


def test_it_needs_no_packages_and_prints_one_sentence() -> None:
    bare = [sys.executable, "-S", "-m", "tools.package.release_notes", "v99.0.0"]
    done = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("The tag has version 99.0.0, pyproject.toml has ")
