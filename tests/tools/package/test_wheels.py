"""The lock of the third-party packages, their installation, and the document of their licences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from inference.errors import ConfigurationError
from tools.package import licences, wheels

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]


def test_the_lock_is_current() -> None:
    """If this fails: python3.13 -m tools.package.wheels"""
    wheels.check_lock()


def test_the_lock_has_a_hash_for_every_package_and_the_required_versions() -> None:
    text = wheels.LOCK.read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE))
    assert len(locked) == len([line for line in text.splitlines() if not line.startswith("#")])
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    for requirement in map(Requirement, filter(None, lines)):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": wheels.PYTHON}):
            assert requirement.specifier.contains(locked[requirement.name])


@pytest.mark.parametrize(
    ("change", "is_current"),
    [("# a new comment\n", True), ("another-package==1.0\n", False)],
    ids=["a comment", "a requirement"],
)
def test_a_lock_of_other_requirements_is_refused(
    change: str,
    is_current: bool,  # noqa: FBT001 - a case
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "requirements.txt").write_text(change + (ROOT / "requirements.txt").read_text())
    monkeypatch.setattr(wheels, "ROOT", tmp_path)
    if is_current:
        wheels.check_lock()
    else:
        with pytest.raises(ConfigurationError, match=r"tools\.package\.wheels"):
            wheels.check_lock()


def test_the_licences_are_those_of_the_locked_versions() -> None:
    """If this fails: python -m tools.package.licences"""
    listed = re.findall(r"^\| ([\w.-]+) \| (\d[\w.]*) \|", licences.DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    locked = re.findall(r"^([\w.-]+)==(\S+) ", wheels.LOCK.read_text(), re.MULTILINE)
    assert [(canonicalize_name(name), version) for name, version in listed] == locked


def test_removing_a_package_keeps_the_files_of_others(tmp_path: Path, installed: Callable[..., None]) -> None:
    installed(tmp_path, "pillow-heif", "1.0", files=("shared/heif.py",))
    installed(tmp_path, "other", "1.0", files=("shared/other.py",))
    wheels.remove(tmp_path, "pillow-heif")
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["other-1.0.dist-info/METADATA", "other-1.0.dist-info/RECORD", "shared/other.py"]


def test_an_error_contains_pips_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only pip knows whether a hash, a name or the network was wrong."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "lock.txt").write_text(f"no-such-kit==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ConfigurationError, match=r"could not get the packages:(?s:.*)no-such-kit"):
        wheels.install(tmp_path / "lock.txt", tmp_path / "site")
