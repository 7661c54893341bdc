"""The dev host as a child process: its environment, its start and its stop, on POSIX and on Windows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import IO

from storage.settings import APP_ROOT, DEFAULTS, SETTINGS

# Windows has no SIGTERM for other processes. Ctrl+Break takes its place, and reaches only process groups.
if sys.platform == "win32":
    _STOP_SIGNAL = signal.CTRL_BREAK_EVENT
    _CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _STOP_SIGNAL = signal.SIGTERM
    _CREATION_FLAGS = 0


def environment(connection_string: str, **settings: str) -> dict[str, str]:
    """Return this process's environment with the app's default settings on one storage account.

    Args:
        connection_string: The account of host and images.
        settings: What differs from the defaults.
    """
    accounts = dict.fromkeys(("AzureWebJobsStorage", "ImageStorage"), connection_string)
    changed = {**DEFAULTS, **accounts, **settings}
    # Compared in upper case: Windows has one variable for all spellings of a name.
    replaced = {name.upper() for name in (*changed, *(setting.name for setting in SETTINGS))}
    return {name: value for name, value in os.environ.items() if name.upper() not in replaced} | changed


def start(environ: dict[str, str], output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start ``python -m tools host`` for this app.

    Args:
        environ: As ``environment`` returns it.
        output: The file for everything that the host prints.
    """
    command = [sys.executable, "-m", "tools", "host"]
    return subprocess.Popen(
        command, cwd=APP_ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT, creationflags=_CREATION_FLAGS
    )


def stop(process: subprocess.Popen[bytes], seconds: float = 30.0) -> int:
    """Ask the host to finish, kill it if it takes longer than ``seconds``, and return its exit code."""
    if process.poll() is None:
        process.send_signal(_STOP_SIGNAL)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
