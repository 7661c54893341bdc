"""Programs that some tests need beside Python packages, and what happens without them: the tests are skipped, or fail.

``CI_REQUIRE`` names, separated by spaces, the programs that must be there: their tests fail without them.
``python -m tests.programs`` prints the names of those that are there.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tools.webjobs.program import MISSING, find_program
from tools.webjobs.worker import find_python

if TYPE_CHECKING:
    from collections.abc import Callable

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def _on_path(names: tuple[str, ...]) -> Path | None:
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


class Program(NamedTuple):
    """How a program is found, and the sentence for its absence."""

    find: Callable[[], Path | None]
    missing: str


PROGRAMS = {
    "chromium": Program(partial(_on_path, _CHROMIUM), "No Chromium is on this machine to open the report in."),
    "python3.13": Program(find_python, "Azure's worker library needs a Python 3.13, and none is on this machine."),
    "pwsh": Program(partial(_on_path, ("pwsh",)), "No PowerShell (pwsh) is on this machine to run subscribe.ps1 with."),
    "webjobs-host": Program(find_program, MISSING),
}


def needed(name: str) -> Path:
    """Return a program's path. Without it, skip the calling test, or fail it when ``CI_REQUIRE`` names the program."""
    program = PROGRAMS[name]
    found = program.find()
    if found is None and name in os.environ.get("CI_REQUIRE", "").split():
        pytest.fail(f"{program.missing} CI_REQUIRE names {name}.")
    if found is None:
        pytest.skip(program.missing)
    return found


if __name__ == "__main__":
    sys.stdout.write(" ".join(name for name, program in PROGRAMS.items() if program.find()) + "\n")
