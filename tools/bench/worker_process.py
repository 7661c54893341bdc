"""A lane: a process of its own in which contestants run, so that none inherits another's heap, threads or settings.

``python -m tools.bench.worker_process NAME`` reads its facts, then one command per line from stdin, and
answers each with one line on stdout. Lanes take turns: one works, the others wait for their next line.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from inference.errors import ConfigurationError
from tools.bench.trials import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Contestants = Mapping[str, Callable[..., Trial]]

ROOT = Path(__file__).resolve().parents[2]

LANES = {
    "ours": "tools.bench.app",
    "peer": "tools.bench.baselines",
    "torch": "tools.bench.pytorch",
    "app": "tools.bench.function_path",
    "sdk": "tools.bench.bare_sdk",
    "backfill": "tools.bench.backfills",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What every lane is told.

    Attributes:
        cache: Where photos and networks are kept.
        cpus: How many CPUs may be used.
        connection_string: Of the emulator; empty where there is none.
        uploads: How many blobs of each kind of photo lie in the incoming container.
    """

    cache: str
    cpus: int
    connection_string: str = ""
    uploads: dict[str, int] = field(default_factory=dict)


class Lane:
    """The near end of a lane."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.process_id = process.pid
        self._process = process

    def ask(self, contestant: str, **arguments: Any) -> Trial:
        """Run one trial and return what it saw.

        Raises:
            ConfigurationError: The lane ended; what it said is on stderr.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps([contestant, arguments]), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ConfigurationError(f"The bench's process for {self.name} ended at {contestant}: see above.")
        return Trial(**json.loads(line))


@contextmanager
def opened(
    name: str, facts: Facts, *, python: str = sys.executable, environ: Mapping[str, str] | None = None
) -> Iterator[Lane]:
    """Start a lane for the length of a ``with`` block."""
    process = subprocess.Popen(
        [python, "-m", "tools.bench.worker_process", name],
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        print(json.dumps(asdict(facts)), file=process.stdin, flush=True)
        yield Lane(name, process)
    finally:
        process.kill()
        process.communicate()


def main(name: str) -> None:
    """Be the far end."""
    answers = _private_stdout()
    facts = Facts(**json.loads(sys.stdin.readline()))
    contestants: Contestants = importlib.import_module(LANES[name]).contestants(facts)
    for line in sys.stdin:
        contestant, arguments = json.loads(line)
        trial = contestants[contestant](**arguments)
        print(json.dumps(trial.to_json()), file=answers, flush=True)


def _private_stdout() -> TextIO:
    """Keep stdout for answers; what anybody prints goes nowhere."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return channel


if __name__ == "__main__":
    main(sys.argv[1])
