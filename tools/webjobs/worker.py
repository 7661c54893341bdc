"""The Azure Functions Python worker library in a process of its own: real indexing, real bindings, real invocations.

``azure-functions-runtime`` needs Python 3.13. Its environment is built once under ``.cache``, from ``requirements.txt``
and the pin in ``requirements-dev.txt``. ``worker_driver`` is what runs in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("worker_driver.py")
REQUIRED_PYTHON = (3, 13)
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


def find_python() -> Path | None:
    """Return a working Python 3.13: one on PATH, or one of pyenv's; None where there is neither."""
    candidates = [shutil.which("python3.13")]
    if pyenv := shutil.which("pyenv"):
        versions = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=False).stdout
        for version in versions.split():
            if version.startswith("3.13."):
                prefix = subprocess.run([pyenv, "prefix", version], capture_output=True, text=True, check=False).stdout
                candidates.append(f"{prefix.strip()}/bin/python3.13")
    for candidate in filter(None, candidates):
        # A shim of pyenv is on PATH even when its version is not selected, so the candidate is asked.
        reported = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if reported.stdout.split() == [str(number) for number in REQUIRED_PYTHON]:
            return Path(candidate)
    return None


def environment_of(base: Path, requirements: Path | None = ROOT / "requirements.txt") -> Path:
    """Build a virtual environment with the worker library and ``requirements``, once per set; return its Python.

    The environment is built beside its place and renamed, so it is complete or absent. It needs the package registry.

    Raises:
        ConfigurationError: ``requirements-dev.txt`` pins no worker library.
        subprocess.CalledProcessError: venv or pip failed.
    """
    pin = re.search(r"^azure-functions-runtime==[^;\s]+", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE)
    if pin is None:
        raise ConfigurationError("requirements-dev.txt pins no azure-functions-runtime.")
    content = (requirements.read_bytes() if requirements else b"") + pin[0].encode()
    home = ROOT / ".cache" / f"worker-{hashlib.sha256(content).hexdigest()[:16]}"
    if not home.is_dir():
        home.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="worker-building-", dir=home.parent) as scratch:
            built = Path(scratch) / "venv"
            subprocess.run([base, "-m", "venv", built], check=True)
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", pin[0]]
            install += ["-r", str(requirements)] if requirements else []
            subprocess.run([built / "bin" / "python", *install], cwd=ROOT, check=True)
            if not home.is_dir():  # another process may have built it meanwhile
                built.rename(home)
    return home / "bin" / "python"


class Worker:
    """The library in a process of its own, spoken to in JSON lines.

    Use either ``ask`` and ``answer`` (one command at a time) or ``send`` and ``answers`` (many at once); ``send`` may
    be called from any thread.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process_id = process.pid
        self._process = process
        self._log = log
        self._writing = threading.Lock()
        self.capabilities: dict[str, str] = {}

    @property
    def log(self) -> str:
        """What it wrote to stderr."""
        return self._log.read_text(encoding="utf-8")

    def send(self, do: str, **command: object) -> None:
        """Send a command.

        Raises:
            BrokenPipeError: The process is gone.
        """
        with self._writing:
            print(json.dumps({"do": do, **command}), file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            TransientError: The process ended; the sentence holds its log.
        """
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise TransientError(f"The worker ended:\n{self.log}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield answers until the process ends."""
        for line in self._process.stdout or ():
            yield json.loads(line)

    def ask(self, do: str, **command: object) -> dict[str, Any]:
        """Send a command and return its answer."""
        self.send(do, **command)
        return self.answer()

    def must(self, do: str, **command: object) -> dict[str, Any]:
        """Send a command that must succeed, and return its answer.

        Raises:
            TransientError: It did not; the sentence holds the worker's traceback.
        """
        answer = self.ask(do, **command)
        if answer["status"] != "Success":
            raise TransientError(f"The worker could not {do}: {answer['message']}\n{answer['trace']}")
        return answer

    def ids(self) -> dict[str, str]:
        """Index the app; return each function's id by its name."""
        return {name: function["id"] for name, function in self.ask("index")["functions"].items()}

    def kill(self) -> None:
        """End the process as a crash does."""
        self._process.kill()
        self._process.wait()


def start_worker(python: Path, environ: Mapping[str, str], log: Path, *, before: Sequence[str] = ()) -> Worker:
    """Start a worker; ``before`` is a command that starts the command that follows it. The log file is appended to."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*before, str(python), str(DRIVER)],
            cwd=ROOT,
            env={**inherited, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    return Worker(process, log)


@contextmanager
def running(python: Path, environ: dict[str, str], log: Path, *, before: Sequence[str] = ()) -> Iterator[Worker]:
    """Start a worker and end it with the block."""
    worker = start_worker(python, environ, log, before=before)
    try:
        yield worker
    finally:
        worker.kill()
