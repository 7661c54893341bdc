"""Third-party packages for Azure: Python 3.13 on manylinux x86_64, installed from a lock of wheels by their hashes.

pip evaluates the markers of requirements for the Python that runs it, not for the one asked for, and takes the newest
versions of indirect dependencies. So ``python3.13 -m tools.package.wheels`` resolves ``requirements.txt`` once, and
writes the lock: the ``requirements.txt`` beside this module. It needs pip, and no other package. The build installs the
lock and resolves nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath

from inference.errors import ConfigurationError

PYTHON = "3.13"
ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("requirements.txt")

_GLIBC_MINOR = 28  # Azure's Python images have 2.36 (Debian 12); onnxruntime and cryptography need 2.28
_OLD_NAMES = ("manylinux2014", "manylinux2010", "manylinux1")
# pip compares platforms by name and does not know that wheels for an older glibc fit, too.
TARGET = (
    "--only-binary=:all:",
    f"--python-version={PYTHON}",
    "--implementation=cp",
    *(f"--abi={abi}" for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none")),
    *(f"--platform=manylinux_2_{minor}_x86_64" for minor in range(_GLIBC_MINOR, 4, -1)),
    *(f"--platform={name}_x86_64" for name in _OLD_NAMES),
    "--platform=any",
)
# Files that no app needs at run time. azurefunctions-extensions-bindings-blob brings `samples`.
_LEFT_OUT = ("bin", "samples")
_LEFT_OUT_ANYWHERE = ("tests", "__pycache__")
_ERROR_LINES = 12


def check_lock() -> None:
    """Check that the lock was written from the current requirements.

    Raises:
        ConfigurationError: It was written from others.
    """
    if _head() not in LOCK.read_text(encoding="utf-8"):
        raise ConfigurationError(
            "The lock of the package was written from another requirements.txt. Write it again:"
            f" python{PYTHON} -m tools.package.wheels"
        )


def install(lock: Path, target: Path) -> None:
    """Install the locked packages into a new folder, without scripts, tests and compiled files.

    Raises:
        ConfigurationError: pip failed; the message contains its own.
    """
    # The lock is for another Python than this one, so pip must not compare it with this one.
    options = ("--no-deps", "--no-compile", "--ignore-requires-python", "--require-hashes")
    _pip_install(*options, f"--requirement={lock}", f"--target={target}")
    for name in _LEFT_OUT:
        shutil.rmtree(target / name, ignore_errors=True)
    for name in _LEFT_OUT_ANYWHERE:
        for folder in [path for path in target.rglob(name) if path.is_dir()]:
            shutil.rmtree(folder)
    # Without the deleted files in pip's records. Scripts contain this machine's Python, so their hashes vary, too.
    for record in target.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if (target / line.rsplit(",", 2)[0].strip('"')).is_file()]
        record.write_text("".join(kept), encoding="utf-8", newline="\n")


def remove(site: Path, name: str) -> None:
    """Delete the files of one installed package; files of others in the same folders stay."""
    (package,) = distributions(path=[str(site)], name=name)
    for file in package.files or []:
        Path(str(file.locate())).unlink(missing_ok=True)


def locked() -> str:
    """Return the text of a new lock: one wheel of each package, chosen by pip for Azure.

    Raises:
        ConfigurationError: pip failed; the message contains its own.
    """
    options = ("--dry-run", "--ignore-installed", "--report=-", "--target=unused")
    report = json.loads(_pip_install(*options, f"--requirement={ROOT / 'requirements.txt'}"))
    wheels = {}
    for chosen in report["install"]:
        name, version = chosen["metadata"]["name"].lower().replace("_", "-"), chosen["metadata"]["version"]
        sha256 = chosen["download_info"]["archive_info"]["hashes"]["sha256"]
        wheel = PurePosixPath(chosen["download_info"]["url"]).name
        wheels[name] = f"# {wheel}\n{name}=={version} --hash=sha256:{sha256}\n"
    return _head() + "".join(wheels[name] for name in sorted(wheels))


def _head() -> str:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = "\n".join(filter(None, (line.partition("#")[0].strip() for line in lines)))
    return (
        f"# One wheel of each package for Python {PYTHON} on manylinux x86_64, for `make package` and the container.\n"
        f"# Written by `python{PYTHON} -m tools.package.wheels`. SHA-256 of /requirements.txt without its comments:\n"
        f"# {hashlib.sha256(requirements.encode()).hexdigest()}\n"
    )


def _pip_install(*options: str) -> str:
    command = [sys.executable, "-m", "pip", "install", "-qq", *TARGET, *options]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        message = done.stderr.strip().splitlines() or ["pip failed without a message."]
        raise ConfigurationError("pip could not get the packages: " + "\n".join(message[-_ERROR_LINES:]))
    return done.stdout


if __name__ == "__main__":
    if sys.version_info[:2] != tuple(map(int, PYTHON.split("."))):
        sys.exit(f"Run this with Python {PYTHON}: pip evaluates markers for the Python that runs it.")
    LOCK.write_text(locked(), encoding="utf-8")
