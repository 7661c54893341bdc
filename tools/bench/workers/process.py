"""Worker processes: no benchmark inherits another's heap, threads or settings, and only one works at a time.

``python -m tools.bench.workers.process NAME CACHE`` imports ``tools.bench.workers.NAME`` and calls its
``functions(cache)``. It reads one call per line from stdin as JSON, and answers each with one line on stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from inference.errors import ConfigurationError
from tools.bench.trials import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Functions = Mapping[str, Callable[..., Trial]]

_ROOT = Path(__file__).resolve().parents[3]


class WorkerProcess:
    """A running worker process, as its parent sees it."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.process_id = process.pid
        self._process = process

    def call(self, function: str, **arguments: Any) -> Trial:
        """Run one trial of a function and return its result.

        Raises:
            ConfigurationError: The process ended; its traceback is on stderr.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps([function, arguments]), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ConfigurationError(f"The worker process {self.name} ended at {function}; its error is above.")
        return Trial(**json.loads(line))


@contextmanager
def start_worker(
    name: str, cache: Path, *, python: str = sys.executable, environ: Mapping[str, str] | None = None
) -> Iterator[WorkerProcess]:
    """Run a worker process for the length of a ``with`` block.

    Args:
        name: A module of ``tools.bench.workers``.
        cache: The folder that holds rendered photos and built networks.
        python: The interpreter that runs it.
        environ: Environment variables besides the parent's; ``ImageStorage`` is the emulator.
    """
    process = subprocess.Popen(
        [python, "-m", "tools.bench.workers.process", name, str(cache)],
        cwd=_ROOT,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield WorkerProcess(name, process)
    finally:
        process.kill()
        process.communicate()


def _serve(name: str, cache: Path) -> None:
    answers = _private_stdout()
    functions: Functions = importlib.import_module(f"tools.bench.workers.{name}").functions(cache)
    for line in sys.stdin:
        function, arguments = json.loads(line)
        print(json.dumps(asdict(functions[function](**arguments))), file=answers, flush=True)


def _private_stdout() -> TextIO:
    """Return a stream to the original stdout, and send all other output on stdout to the null device."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return stream


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
