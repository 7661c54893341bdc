"""Third-party packages as Azure runs them: Python 3.13 on manylinux x86_64, whatever Python and system this is.

``requirements.txt`` beside this module locks one wheel of each, by hash. Nothing is resolved here: pip would judge the
requirements' markers by the Python that runs it, not by the one asked for, and would leave the versions of what our
requirements bring along to the day. ``lock.py`` writes it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from inference.errors import ConfigurationError

PYTHON = "3.13"
_GLIBC_MINOR = 28  # of Azure's Python images (Debian 12 has 2.36); onnxruntime and cryptography ask for this much
_OLD_NAMES = ("manylinux2014", "manylinux2010", "manylinux1")

# Which wheels will do: pip takes a platform by its name and does not know that an older glibc's will do too.
TARGET = (
    "--only-binary=:all:",
    f"--python-version={PYTHON}",
    "--implementation=cp",
    *(f"--abi={abi}" for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none")),
    *(f"--platform=manylinux_2_{minor}_x86_64" for minor in range(_GLIBC_MINOR, 4, -1)),
    *(f"--platform={name}_x86_64" for name in _OLD_NAMES),
    "--platform=any",
)

# What wheels carry that nobody needs to run them. ``samples`` comes from azurefunctions-extensions-bindings-blob.
_LEFT_OUT = ("bin", "samples")
_LEFT_OUT_ANYWHERE = ("tests", "__pycache__")


def install(lock: Path, target: Path) -> None:
    """Put the locked packages into a new folder, without scripts, tests and compiled files.

    Raises:
        ConfigurationError: pip could not; its own words are passed on.
    """
    # The lock is for another Python than this one, so pip must not measure it by this one.
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-compile", "--ignore-requires-python"]
    options = ["--require-hashes", f"--requirement={lock}", f"--target={target}"]
    done = subprocess.run([*command, *TARGET, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise ConfigurationError("The packages could not be fetched: " + "\n".join(said[-12:]))
    _leave_out(target)


def remove(site: Path, name: str) -> None:
    """Take one installed package out again, and nothing that others share with it."""
    (package,) = distributions(path=[str(site)], name=name)
    for file in package.files or []:
        Path(str(file.locate())).unlink(missing_ok=True)


def _leave_out(site: Path) -> None:
    for name in _LEFT_OUT:
        shutil.rmtree(site / name, ignore_errors=True)
    for name in _LEFT_OUT_ANYWHERE:
        for folder in [path for path in site.rglob(name) if path.is_dir()]:
            shutil.rmtree(folder)
    # pip's record must tell the truth, and scripts are written for this machine's Python: their hashes differ.
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if (site / line.rsplit(",", 2)[0].strip('"')).is_file()]
        record.write_text("".join(kept), encoding="utf-8")
