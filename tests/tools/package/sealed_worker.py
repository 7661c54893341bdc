"""Starts ``worker_driver`` in an unpacked package, and prevents it from opening files of this checkout.

    python sealed_worker.py PACKAGE ALLOWED python worker_driver.py

``ALLOWED`` is the environment that holds the worker library. The interpreter that follows is this one.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


def seal(allowed: list[Path]) -> None:
    """Make every access to the checkout an error of this process, except for the allowed paths."""

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event not in {"open", "os.listdir", "os.scandir"} or not isinstance(args[0], (str, bytes, os.PathLike)):
            return
        path = Path(os.path.abspath(os.fsdecode(args[0])))  # noqa: PTH100 - resolving would access the path, and the hook would see it
        if path.is_relative_to(CHECKOUT) and not any(path.is_relative_to(each) for each in allowed):
            raise PermissionError(f"the package reached into the checkout for {path}")

    sys.addaudithook(watch)


if __name__ == "__main__":
    package, environment, _, driver = map(Path, sys.argv[1:])
    os.chdir(package)
    # As the Functions host does it: the app's packages before the worker's own.
    sys.path[0] = str(package / ".python_packages" / "lib" / "site-packages")
    sys.argv = [str(driver)]
    seal([environment, driver])
    runpy.run_path(str(driver), run_name="__main__")
