"""Writes the lock of the package: ``python3.13 -m tools.package.lock``, after ``requirements.txt`` has changed.

Needs Python 3.13 and pip, and nothing installed. pip chooses as it would on Azure; one wheel of each is written down by
its hash, and the file's name beside it tells a reader what was chosen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path, PurePosixPath

from tools.package.wheels import PYTHON, TARGET

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("requirements.txt")

_HEAD = """\
# What `make package` and the container install: one wheel of each for Python 3.13 on manylinux x86_64.
# Written by `python3.13 -m tools.package.lock` from /requirements.txt.
"""


def locked() -> str:
    """Ask pip what it would install, and return the lock's text."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed", "--report=-"]
    options = [*TARGET, "--target=nowhere", f"--requirement={ROOT / 'requirements.txt'}"]
    report = json.loads(subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True).stdout)
    wheels = {}
    for chosen in report["install"]:
        name, version = chosen["metadata"]["name"].lower().replace("_", "-"), chosen["metadata"]["version"]
        sha256 = chosen["download_info"]["archive_info"]["hashes"]["sha256"]
        wheel = PurePosixPath(chosen["download_info"]["url"]).name
        wheels[name] = f"# {wheel}\n{name}=={version} --hash=sha256:{sha256}\n"
    return _HEAD + "".join(wheels[name] for name in sorted(wheels))


if __name__ == "__main__":
    if sys.version_info[:2] != tuple(map(int, PYTHON.split("."))):
        sys.exit(f"Run this with Python {PYTHON}: pip judges markers by the Python that runs it.")
    LOCK.write_text(locked(), encoding="utf-8")
