"""Knows which names in the folders of a container would be one file on some system.

The name of a downloaded file depends on them, and so on nothing but the container: neither on the images selected,
nor on what the disk holds already.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from inference.errors import ConfigurationError
from tools.query.file_names import colliding
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_NAMES = 100_000  # about 20 MB while a folder is read, and 20 requests


class Siblings:
    """Lists each folder once, when it is first asked for. Keeps about 200 bytes for each folder; not thread-safe.

    Args:
        pages: Yields the names directly below a folder of a container, as ``storage.listing.folder_pages`` does.
        report: Called with a sentence for each cause for which the names of a folder stay unknown.
    """

    def __init__(self, pages: Callable[[str, str], Iterable[list[str]]], report: Callable[[str], object]) -> None:
        self._pages = pages
        self._report = report
        self._causes: set[str] = set()
        self._known: dict[tuple[str, str], frozenset[str] | None] = {}

    def colliding_below(self, container: str, folder: str) -> frozenset[str] | None:
        """What ``colliding`` returns for the names in a folder; ``None`` where they cannot be listed or are too many.

        Args:
            container: Its name.
            folder: Ends with a slash; empty for the top of the container.

        Raises:
            TransientError: Storage failed for now.
        """
        if (container, folder) not in self._known:
            self._known[container, folder] = self._read(container, folder)
        return self._known[container, folder]

    def _read(self, container: str, folder: str) -> frozenset[str] | None:
        try:
            return colliding(self._names(container, folder))
        except ConfigurationError as error:
            cause = str(error)  # the same for each folder of a container that may not be listed
        except _TooManyError:
            cause = f"{printable(folder) or 'the top of the container'} holds more than {MAX_NAMES:,} names."
        if cause not in self._causes:
            self._causes.add(cause)
            self._report(f"Names that might collide are marked with a hash, because {cause}")
        return None

    def _names(self, container: str, folder: str) -> Iterator[str]:
        for count, name in enumerate(chain.from_iterable(self._pages(container, folder)), 1):
            if count > MAX_NAMES:
                raise _TooManyError
            yield name.removeprefix(folder)


class _TooManyError(Exception):
    """A folder holds more names than are compared."""
