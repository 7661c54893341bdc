"""The files of the package: those of the app that git tracks, and those of a model that the app reads.

Folders are never copied as a whole: a stray photo, key or notebook beside a module must not reach Azure.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from inference.model.folder import load_model
from inference.predictions import DECISION_FILE
from tools.model.folders import checked_name, weight_files, write_model_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inference.predictions import ModelIdentity

ROOT = Path(__file__).resolve().parents[2]
APP = ("function_app.py", "host.json", "inference", "storage")
SITE_PACKAGES = ".python_packages/lib/site-packages"
"""Where the Functions host looks for the packages of a Python app."""
_DOCUMENTS = (".md",)


def app_files(root: Path = ROOT) -> dict[str, Path]:
    """Return the app's own files with their current content: path in the package to file.

    Raises:
        ConfigurationError: git fails, or a tracked file is missing.
    """
    names = [name for name in _git_files(root) if not name.endswith(_DOCUMENTS)]
    missing = [name for name in names if not (root / name).is_file()] or sorted(set(APP[:2]) - set(names))
    if missing:
        raise ConfigurationError(f"{', '.join(missing)} is not in this checkout: restore it with git restore.")
    return {name: root / name for name in names}


def untracked_files(root: Path = ROOT) -> list[str]:
    """Return the files in the app's folders that git neither tracks nor ignores; one may be a new module."""
    return _git_files(root, "--others", "--exclude-standard")


def _git_files(root: Path, *options: str) -> list[str]:
    command = ["git", "-C", str(root), "ls-files", "-z", *options, "--", *APP]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError as error:
        raise ConfigurationError("The package contains the files that git tracks: install git.") from error
    if done.returncode:
        raise ConfigurationError(
            f"The package contains the files that git tracks, and git failed: {done.stderr.strip()}"
        )
    return [name for name in done.stdout.split("\0") if name]


def model_files(folder: Path, place: Path) -> tuple[str, ModelIdentity]:
    """Copy a model to ``place/models/<name>``: graph, weights, labels, decision, a ``model.json`` with every value.

    Other files of the folder, also an exporter's, are left out.

    Returns:
        The folder's path in the package, for ``MODEL_DIR``, and the model's identity.

    Raises:
        ModelError: The app would refuse the model.
        ConfigurationError: Another model has the same folder name, or the package cannot have a folder of that name.
    """
    spec = load_model(folder).spec
    name = checked_name(folder.resolve().name)
    target = place / "models" / name
    if target.exists():
        raise ConfigurationError(f"Two model folders are named {name}: rename one.")
    labels = spec.values["labels"].value
    files = [
        *weight_files(spec),
        *([folder / labels] if isinstance(labels, str) and (folder / labels).is_file() else []),
        *([folder / DECISION_FILE] if (folder / DECISION_FILE).is_file() else []),
    ]
    for file in files:
        copy = target / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    write_model_json(target, spec, spec.identity.name)
    return f"models/{name}", spec.identity


def files_below(folder: Path, at: str) -> Iterable[tuple[str, Path]]:
    """Yield every file below a folder with its path in the package."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"{at}/{path.relative_to(folder).as_posix()}", path
