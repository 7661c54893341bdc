"""What of ours goes into the package: the app's files that git tracks, and of each model what the app reads.

Never a folder as it lies there: a stray photo, key or notebook beside a module must not reach Azure.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from inference.model.folder import load_model
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
    """Return the app's own files, as they are now: path in the package to file.

    Raises:
        ConfigurationError: git does not answer, or a file that it tracks is gone.
    """
    names = [name for name in _listed(root) if not name.endswith(_DOCUMENTS)]
    gone = [name for name in names if not (root / name).is_file()]
    if gone or not set(APP[:2]) <= set(names):
        lacking = gone or sorted(set(APP[:2]) - set(names))
        raise ConfigurationError(f"{', '.join(lacking)} is not in this checkout: git restore brings it back.")
    return {name: root / name for name in names}


def left_behind(root: Path = ROOT) -> list[str]:
    """Return the files beside the app's own that git neither tracks nor ignores: a new module is among them, too."""
    return _listed(root, "--others", "--exclude-standard")


def _listed(root: Path, *options: str) -> list[str]:
    command = ["git", "-C", str(root), "ls-files", "-z", *options, "--", *APP]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ConfigurationError("The package holds what git tracks, and there is no git here: install it.") from error
    if done.returncode:
        raise ConfigurationError(f"The package holds what git tracks, and git says: {done.stderr.strip()}")
    return [name for name in done.stdout.split("\0") if name]


def model_files(folder: Path, place: Path) -> tuple[str, ModelIdentity]:
    """Copy what the app reads of a model to ``place/models/<name>``, with a ``model.json`` that states every fact.

    Graph, weights and labels only: what else lies in the folder stays behind, an exporter's files and notes too.

    Returns:
        The folder's path in the package, which ``MODEL_DIR`` names, and the model's identity.

    Raises:
        ModelError: The app would refuse the model.
        ConfigurationError: The folder's name is taken, or is none that a folder in the package can have.
    """
    spec = load_model(folder).spec
    name = checked_name(folder.resolve().name)
    target = place / "models" / name
    if target.exists():
        raise ConfigurationError(f"Two models lie in folders named {name}: rename one.")
    labels = spec.values["labels"].value
    files = [
        *weight_files(spec),
        *([folder / labels] if isinstance(labels, str) and (folder / labels).is_file() else []),
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
