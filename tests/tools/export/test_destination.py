"""An export appears under its name when it is complete, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError
from tools.export.destination import complete_file, complete_folder

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFile:
    def test_replaces_the_earlier_one_at_the_end(self, tmp_path: Path) -> None:
        target = tmp_path / "a.csv"
        target.write_text("earlier")
        with complete_file(target) as path:
            path.write_text("new")
            assert target.read_text() == "earlier"
        assert target.read_text() == "new"
        assert names(tmp_path) == ["a.csv"]

    def test_leaves_nothing_after_an_error(self, tmp_path: Path) -> None:
        def fail() -> None:
            with complete_file(tmp_path / "a.csv") as path:
                path.write_text("half")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert names(tmp_path) == []

    def test_removes_the_rest_of_a_run_that_was_killed(self, tmp_path: Path) -> None:
        rest = tmp_path / ".a.csv.partial"
        (rest / "folder").mkdir(parents=True)
        (rest / "folder" / "temporary").write_text("half")
        (rest / "a.csv").write_text("half")
        with complete_file(tmp_path / "a.csv") as path:
            assert not path.exists()
            path.write_text("new")
        assert names(tmp_path) == ["a.csv"]

    def test_has_one_writer(self, tmp_path: Path) -> None:
        with complete_file(tmp_path / "a.csv") as path:
            path.write_text("first")
            with (
                pytest.raises(ConfigurationError, match="Another export is writing"),
                complete_file(tmp_path / "a.csv"),
            ):
                pass
        assert (tmp_path / "a.csv").read_text() == "first"

    def test_is_refused_where_it_cannot_be(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="is a folder"), complete_file(tmp_path):
            pass
        with pytest.raises(ConfigurationError, match="No such file"), complete_file(tmp_path / "no" / "a.csv"):
            pass


class TestFolder:
    def test_replaces_an_earlier_export(self, tmp_path: Path) -> None:
        target = tmp_path / "package"
        for text in ("earlier", "new"):
            with complete_folder(target, ["*.csv"]) as path:
                (path / f"{text}.csv").write_text(text)
        assert names(tmp_path) == ["package"]
        assert names(target) == ["new.csv"]

    def test_with_other_files_is_refused(self, tmp_path: Path) -> None:
        target = tmp_path / "thesis"
        target.mkdir()
        (target / "chapter.txt").write_text("mine")
        with pytest.raises(ConfigurationError, match=r"holds chapter\.txt"), complete_folder(target, ["*.csv"]):
            pass
        assert names(target) == ["chapter.txt"]
        with pytest.raises(ConfigurationError, match="is a file"), complete_folder(target / "chapter.txt", ["*.csv"]):
            pass

    def test_stays_as_it_was_after_an_error(self, tmp_path: Path) -> None:
        with complete_folder(tmp_path / "package", ["*.csv"]) as path:
            (path / "a.csv").write_text("earlier")

        def fail() -> None:
            with complete_folder(tmp_path / "package", ["*.csv"]) as path:
                (path / "a.csv").write_text("half")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert (tmp_path / "package" / "a.csv").read_text() == "earlier"
        assert names(tmp_path) == ["package"]
