"""``.ci/run`` on machines without some programs: what is installed, required and reported?

The script runs in a temporary folder with stand-ins for ``make``, ``apt-get`` and the tests' own search.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs

RUN = Path(__file__).resolve().parents[2] / ".ci" / "run"
STAND_INS = {
    "make": 'echo "$("${WEBJOBS_HOST:-true}")make $1 CI_REQUIRE=${CI_REQUIRE-}" >> "$DONE"',
    "id": 'echo "$USER_ID"',
    "sudo": "exit 1",
    "apt-get": '[ "$1" = update ] || echo "apt-get $*" >> "$DONE"; exit "$APT_EXIT"',
    "apt-cache": 'case " $HAS " in *" $2 "*) ;; *) exit 100 ;; esac',
}


class Machine:
    """A checkout with the script, and a choice of programs."""

    def __init__(self, folder: Path) -> None:
        self._bin, self._done = folder / "bin", folder / "done"
        self._run = folder / "checkout" / ".ci" / "run"
        self._run.parent.mkdir(parents=True)
        self._run.write_text(RUN.read_text())
        self._run.chmod(0o755)
        for name, body in STAND_INS.items():
            self._program(self._bin / name, body)
        python = 'case "$*" in *host_names) echo "$UNRESOLVED" ;; *) echo "$THERE" ;; esac'
        self._program(folder / "checkout" / ".venv" / "bin" / "python", python)
        self.hosts_file = folder / "hosts"
        self.hosts_file.write_text("127.0.0.1 localhost\n")
        self.shared = folder / "shared" / "webjobs-host" / "webjobs-host"

    @staticmethod
    def _program(path: Path, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def without(self, name: str) -> None:
        (self._bin / name).unlink()

    def ci(
        self, there: str = "", *, has: str = "", user: int = 0, apt_exit: int = 0, unresolved: str = ""
    ) -> tuple[int, str, list[str]]:
        """Run the script; return its exit code, its output, and the calls of make and apt-get."""
        for tool in ("bash", "env", "dirname", "mktemp", "cp", "chmod"):
            path = self._bin / tool
            if not path.exists():
                path.symlink_to(Path("/usr/bin") / tool)
        environ = {"DONE": str(self._done), "THERE": there, "HAS": has, "USER_ID": str(user), "APT_EXIT": str(apt_exit)}
        environ |= {"UNRESOLVED": unresolved, "HOSTS_FILE": str(self.hosts_file)}
        done = subprocess.run(
            [self._run], env={"PATH": str(self._bin), **environ}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr, self._done.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


pytestmark = pytest.mark.skipif(os.name == "nt", reason="the script needs bash")


def test_programs_of_the_machine_are_required_and_not_installed(machine: Machine) -> None:
    code, _, done = machine.ci("chromium python3.13 webjobs-host")
    assert code == 0
    assert [line.split(" CI_REQUIRE=")[0] for line in done] == ["make lint", "make types", "make test"]
    assert done[-1].split("=")[1].split() == ["chromium", "python3.13", "webjobs-host"]


def test_missing_programs_are_installed_and_required(machine: Machine) -> None:
    code, _, done = machine.ci("", has="chromium python3.13")
    assert code == 0
    installed = [line.split()[-1] for line in done if line.startswith("apt-get")]
    assert installed == ["chromium", "python3.13-venv"]
    assert done[-1].split("=")[1].split() == ["chromium", "python3.13", "webjobs-host"]


def test_a_program_without_a_package_is_reported(machine: Machine) -> None:
    code, output, done = machine.ci("", has="chromium")
    assert code == 0
    assert "no package of it: python3.13" in output
    assert done[-1].split("=")[1].split() == ["chromium", "webjobs-host"]


@pytest.mark.parametrize("way", ["no right", "no apt-get"])
def test_a_program_is_reported_if_installing_is_not_allowed(machine: Machine, way: str) -> None:
    if way == "no apt-get":
        machine.without("apt-get")
    code, output, done = machine.ci("python3.13", has="chromium", user=1000 if way == "no right" else 0)
    assert code == 0
    assert "for want of apt-get or of the right to use it: chromium" in output
    assert done[-1].split("=")[1].split() == ["python3.13", "webjobs-host"]


def test_a_failed_installation_ends_the_run(machine: Machine) -> None:
    code, _, done = machine.ci("python3.13", has="chromium", apt_exit=100)
    assert code != 0
    assert not any(line.startswith("make test") for line in done)


def test_the_trigger_extensions_are_required_even_if_they_are_missing(machine: Machine) -> None:
    _, _, done = machine.ci("chromium python3.13")
    assert done[-1].split("=")[1].split() == ["chromium", "python3.13", "webjobs-host"]


def test_the_trigger_extensions_beside_the_checkout_need_no_execute_bit(machine: Machine) -> None:
    machine.shared.parent.mkdir(parents=True)
    machine.shared.write_text("#!/bin/sh\nprintf 'started by '\n")
    machine.shared.chmod(0o444)
    code, _, done = machine.ci("webjobs-host")
    assert code == 0
    assert done[-1].startswith("started by make test")


@pytest.mark.parametrize(("user", "line"), [(0, "127.0.0.1 a.blob.localhost\n"), (1000, "")])
def test_missing_host_names_are_added_by_root_only(machine: Machine, user: int, line: str) -> None:
    machine.ci("webjobs-host", user=user, unresolved="a.blob.localhost")
    assert machine.hosts_file.read_text() == f"127.0.0.1 localhost\n{line}"


def test_no_line_is_added_if_every_host_name_is_known(machine: Machine) -> None:
    machine.ci("webjobs-host")
    assert machine.hosts_file.read_text() == "127.0.0.1 localhost\n"


@pytest.mark.parametrize(("required", "outcome"), [("chromium", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_program_fails_tests_only_if_it_is_required(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI_REQUIRE", f"python3.13 {required}")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(outcome, match="No Chromium"):
        programs.needed("chromium")


def test_shellcheck_finds_nothing() -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([checker, RUN], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
