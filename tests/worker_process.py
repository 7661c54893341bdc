"""The worker library in a process of its own, for the tests that speak with it and the soaks that load it.

``azure-functions-runtime`` needs Python 3.13: its environment is built once under ``.cache``, from
``requirements.txt`` and the pin in ``requirements-dev.txt``. ``worker_driver`` is what runs in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
DRIVER = ROOT / "tests" / "worker_driver.py"
WANTED = (3, 13)


def find_python() -> Path | None:
    """A working Python 3.13: on PATH, or one of pyenv's."""
    candidates = [shutil.which("python3.13")]
    if pyenv := shutil.which("pyenv"):
        versions = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=False).stdout
        for version in versions.split():
            if version.startswith("3.13."):
                prefix = subprocess.run([pyenv, "prefix", version], capture_output=True, text=True, check=False).stdout
                candidates.append(f"{prefix.strip()}/bin/python3.13")
    for candidate in filter(None, candidates):
        # A shim of pyenv is on PATH also when the version it stands for is not chosen: ask it.
        told = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if told.stdout.split() == [str(number) for number in WANTED]:
            return Path(candidate)
    return None


def environment_of(base: Path, requirements: Path | None = ROOT / "requirements.txt") -> Path:
    """Build a virtual environment with the worker library and ``requirements``, once per set of them; its Python.

    It is complete or not there: it is built beside its place and renamed. Without a network this fails, and should.
    """
    pin = re.search(r"^azure-functions-runtime==[^;\s]+", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    assert pin, "requirements-dev.txt pins no azure-functions-runtime"
    wanted = (requirements.read_bytes() if requirements else b"") + pin[0].encode()
    home = ROOT / ".cache" / f"worker-{hashlib.sha256(wanted).hexdigest()[:16]}"
    if not home.is_dir():
        home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="worker-building-", dir=home.parent) as scratch:
            built = Path(scratch) / "venv"
            subprocess.run([base, "-m", "venv", built], check=True)
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", pin[0]]
            install += ["-r", str(requirements)] if requirements else []
            subprocess.run([built / "bin" / "python", *install], cwd=ROOT, check=True)
            if not home.is_dir():  # nobody was quicker
                built.rename(home)
    return home / "bin" / "python"


class Worker:
    """The library in a process of its own, spoken to in JSON lines."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process_id = process.pid
        self._process = process
        self._log = log
        self.capabilities: dict[str, str] = {}

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def send(self, do: str, **command: object) -> None:
        assert self._process.stdin is not None
        print(json.dumps({"do": do, **command}), file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the worker ended:\n{self.log}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **command: object) -> dict[str, Any]:
        self.send(do, **command)
        return self.answer()

    def ids(self) -> dict[str, str]:
        return {name: function["id"] for name, function in self.ask("index")["functions"].items()}


@contextmanager
def running(python: Path, environ: dict[str, str], log: Path, *, before: Sequence[str] = ()) -> Iterator[Worker]:
    """Start a worker, end it with the block; ``before`` is a command that starts the command that follows it."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*before, str(python), str(DRIVER)],
            cwd=ROOT,
            env=inherited | environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            yield Worker(process, log)
        finally:
            process.kill()
            process.communicate()
