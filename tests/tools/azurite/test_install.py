"""The installation of Azurite into the project."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from inference.errors import ConfigurationError
from tools.azurite import install


def test_the_lock_file_pins_every_package_by_hash_without_a_registry() -> None:
    lock = (install.HERE / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert f'"azurite": "{install.VERSION}"' in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')


# A stand-in for npm, which is slow and needs a network; it logs its working folder.
FAKE_NPM = """#!/bin/sh
echo "$PWD" >> {log}
mkdir -p node_modules/azurite/dist/src
{action}
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install, "HOME", tmp_path / ".azurite")
    return tmp_path


def fake_npm(folder: Path, action: str) -> list[str]:
    script = folder / "npm"
    script.write_text(FAKE_NPM.format(log=folder / "log", action=action))
    script.chmod(0o755)
    return [str(script)]


@pytest.mark.skipif(os.name == "nt" or not shutil.which("node"), reason="the stand-in is a shell script")
class TestInstall:
    succeed = "touch node_modules/azurite/dist/src/azurite.js"

    def _npm(self, folder: Path, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
        npm = fake_npm(folder, action)
        monkeypatch.setattr(install, "node_and_npm", lambda: ("node", npm))

    def test_a_second_call_installs_nothing(self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._npm(elsewhere, monkeypatch, self.succeed)
        assert install.ensure_installed() == install.ensure_installed()
        assert len((elsewhere / "log").read_text().splitlines()) == 1

    def test_a_person_sees_that_it_installs_before_it_does(
        self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._npm(elsewhere, monkeypatch, self.succeed)
        before: list[str] = []
        run = install._run

        def observed(*given: Any, **named: Any) -> None:
            before.append(capsys.readouterr().err)
            run(*given, **named)

        monkeypatch.setattr(install, "_run", observed)
        install.ensure_installed()
        install.ensure_installed()
        assert before == [f"Installing Azurite {install.VERSION} into .azurite/ (once) ...\n"]
        assert capsys.readouterr().err == ""

    def test_a_failure_reports_the_last_line_of_npm_and_leaves_no_files(
        self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._npm(elsewhere, monkeypatch, "echo first >&2; echo 'no network' >&2; exit 1")
        with pytest.raises(ConfigurationError, match=r"^npm could not install Azurite: no network$"):
            install.ensure_installed()
        assert list(install.HOME.iterdir()) == []

    def test_an_interrupted_or_damaged_install_is_repaired(
        self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._npm(elsewhere, monkeypatch, self.succeed)
        abandoned = install.HOME / "installing-killed"
        (abandoned / "package").mkdir(parents=True)
        os.utime(abandoned, (0, 0))
        (install.HOME / f"azurite-{install.VERSION}" / "node_modules").mkdir(parents=True)
        script = Path(install.ensure_installed()[-1])
        assert script.is_file()
        assert [entry.name for entry in install.HOME.iterdir()] == [f"azurite-{install.VERSION}"]

    def test_two_processes_at_once_leave_one_complete_install(
        self, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The other process finishes during our install.
        rival = elsewhere / ".azurite" / f"azurite-{install.VERSION}" / install.SCRIPT.parent
        self._npm(elsewhere, monkeypatch, f"{self.succeed}; mkdir -p {rival}; echo rival > {rival}/azurite.js")
        script = Path(install.ensure_installed()[-1])
        assert script.read_text() == "rival\n"
        assert [entry.name for entry in install.HOME.iterdir()] == [f"azurite-{install.VERSION}"]
