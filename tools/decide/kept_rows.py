"""Keeps the rows of a run between its two passes, in a temporary file without a name."""

from __future__ import annotations

import pickle
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Self

from inference.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from tools.decide.decisions import Change


class KeptRows:
    """Rows with their sidecars, written once and read once. A row takes about 2 KB, and 2 KB more for 1,000 labels.

    A context manager: the file disappears at its end, also when the process is killed. Not thread-safe.
    """

    def __init__(self) -> None:
        with _one_sentence():
            self._file: IO[bytes] = tempfile.TemporaryFile(prefix="decide-")  # noqa: SIM115 - closed by ``__exit__``

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, change: Change) -> None:
        """Write one row.

        Raises:
            ConfigurationError: The temporary folder cannot be written.
        """
        with _one_sentence():
            pickle.dump(change, self._file)

    def __iter__(self) -> Iterator[Change]:
        """Yield the rows in their order."""
        with _one_sentence():
            self._file.seek(0)
        while True:
            try:
                change: Change = pickle.load(self._file)  # noqa: S301 - this process wrote the file, which has no name
            except EOFError:
                return
            yield change


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"The temporary folder {tempfile.gettempdir()} cannot be written ({error.strerror or error}): free its"
            " disk, set TMPDIR to another folder, or decide a part of the rows by --folder or another filter."
        ) from error
