"""Files and folders that appear under their name only when they are complete.

An export is written into a hidden folder beside its name, ``.NAME.partial``, and moved at the end. A run that is
killed leaves that folder; the next run to the same name removes it. Two runs cannot write to the same name.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from storage.models.file_lock import locked_if_free
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LOCK = "lock"
_REPLACED = "replaced"
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def complete_file(target: Path) -> Iterator[Path]:
    """Yield the path of a file to write, and move that file to the target if the block succeeds.

    An earlier file of that name is replaced, at once.

    Raises:
        ConfigurationError: The target cannot be written; raised before the block runs where that is known.
    """
    if target.is_dir():
        raise ConfigurationError(f"{target} is a folder: give the name of a file.")
    with _workspace(target) as workspace:
        path = workspace / target.name
        yield path
        _flush(path)
        path.replace(target)


@contextmanager
def complete_folder(target: Path, contents: Sequence[str]) -> Iterator[Path]:
    """Yield an empty folder to fill, and move it to the target if the block succeeds.

    An earlier export of that name is replaced; for a moment there is then no folder of that name.

    Args:
        target: The final path.
        contents: Patterns of the names that such an export has. A folder that holds another file is refused.

    Raises:
        ConfigurationError: The target is no earlier export, or cannot be written; raised before the block runs.
    """
    if target.exists():
        _refuse_other_contents(target, contents)
    with _workspace(target) as workspace:
        path = workspace / target.name
        path.mkdir()
        yield path
        for each in path.rglob("*"):
            if each.is_file():
                _flush(each)
        if target.exists():
            target.replace(workspace / _REPLACED)
        path.replace(target)


@contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    """Yield an empty folder on the target's file system, for this run alone; it is removed at the end."""
    workspace = target.with_name(f".{target.name}.partial")
    is_own = False
    try:
        workspace.mkdir(exist_ok=True)
        with locked_if_free(workspace / _LOCK) as is_own:
            if not is_own:
                raise ConfigurationError(f"Another export is writing {target}: wait for its end, or give another name.")
            _remove_contents(workspace)
            yield workspace
    except OSError as error:
        if error.errno in _DISK_FULL or str(error.filename or "").startswith(str(workspace)):
            raise ConfigurationError(f"{target} cannot be written: {error.strerror}.") from error
        raise
    finally:
        if is_own:
            shutil.rmtree(workspace, ignore_errors=True)


def _remove_contents(workspace: Path) -> None:
    for each in workspace.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        elif each.name != _LOCK:
            each.unlink()


def _refuse_other_contents(target: Path, contents: Sequence[str]) -> None:
    if not target.is_dir():
        raise ConfigurationError(f"{target} is a file: this format writes a folder.")
    for each in target.iterdir():
        if each.is_dir() or not any(fnmatchcase(each.name, pattern) for pattern in contents):
            raise ConfigurationError(
                f"{target} holds {printable(each.name)}, which no such export has: give a new folder."
            )


def _flush(path: Path) -> None:
    """Let the disk hold the content before its name does."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
