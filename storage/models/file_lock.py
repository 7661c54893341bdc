"""A lock on a file that excludes threads and processes alike. The system frees it when its holder dies."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError:  # it tries for ten seconds and then gives up
                continue
            return

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        # Closing the file frees the lock too, but Windows does not promise when.
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is created if it is missing, for the length of the ``with`` block.

    Raises:
        OSError: The file cannot be opened.
    """
    with path.open("wb") as file:  # at position 0, where msvcrt locks one byte; the file stays empty
        _lock(file.fileno())
        try:
            yield
        finally:
            _unlock(file.fileno())


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock as ``locked`` does and yield true; yield false at once where another holds it.

    Raises:
        OSError: The file cannot be opened.
    """
    with path.open("wb") as file:
        is_free = _try_lock(file.fileno())
        try:
            yield is_free
        finally:
            if is_free:
                _unlock(file.fileno())
