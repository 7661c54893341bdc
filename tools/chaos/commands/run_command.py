"""Runs a command of ``python -m tools`` until it succeeds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from storage.settings import APP_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

_ATTEMPTS = 5


def command_line(*arguments: str) -> list[str]:
    """Return the command line of a command, with JSON lines as output."""
    return [sys.executable, "-m", "tools", *arguments, "--json"]


def run_command(environ: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    """Run a command through the proxy, and return its summary."""
    done = None
    for _ in range(_ATTEMPTS):  # it may fail under the faults; an operator or the timer would run it again
        done = subprocess.run(
            command_line(*arguments), cwd=APP_ROOT, env=environ, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode == 0:
            summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return summary
    raise SystemExit(f"{arguments[0]} failed: {done.stderr if done else ''}")
