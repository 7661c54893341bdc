"""The zip: the same bytes for the same files, a limit of its size, and the sizes of its parts."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError
from tools.package import archive, contents
from tools.package.sizes import sizes, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(1000))
    (folder / "small").write_text("pass")
    return {"b/large.bin": folder / "large", "a.py": folder / "small"}


def test_the_same_files_give_the_same_bytes(files: dict[str, Path], tmp_path: Path) -> None:
    first = archive.write(tmp_path / "first.zip", files)
    for path in files.values():
        os.utime(path, (0, 1_700_000_000))
        path.chmod(0o600)
    second = archive.write(tmp_path / "second.zip", dict(reversed(files.items())))
    assert first == second
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.zip") as opened:
        assert opened.namelist() == ["a.py", "b/large.bin"]
        assert {oct(entry.external_attr >> 16) for entry in opened.infolist()} == {"0o100644"}


def test_a_package_that_is_too_large_does_not_replace_the_existing_one(files: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "package.zip"
    target.write_bytes(b"existing")
    with pytest.raises(ConfigurationError, match=r"b/large\.bin.*model publish, and MODEL_BLOB"):
        archive.write(target, files, max_bytes=900)
    assert target.read_bytes() == b"existing"
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_sizes_are_those_of_packages_models_and_the_app(tmp_path: Path, installed: Callable[..., None]) -> None:
    site = tmp_path / "site"
    installed(site, "two-words", "1.5", files=("two/__init__.py",))
    (site / "two" / "__init__.py").write_bytes(os.urandom(300_000))
    (site / "stray.py").write_text("")
    (tmp_path / "model.onnx").write_bytes(os.urandom(200_000))
    files = dict(contents.files_below(site, contents.SITE_PACKAGES)) | {
        "function_app.py": site / "stray.py",
        "models/mine/model.onnx": tmp_path / "model.onnx",
    }
    archive.write(tmp_path / "package.zip", files)
    parts = sizes(tmp_path / "package.zip")
    assert [part.name for part in parts] == ["two-words 1.5", "models/mine", "files of no package", "the app"]
    assert parts[0].unpacked > 300_000
    assert sum(part.zipped for part in parts) < (tmp_path / "package.zip").stat().st_size
    lines = list(table(parts))
    assert [line.split("  ")[0] for line in lines] == ["", "two-words 1.5", "models/mine", "2 smaller packages", "sum"]
