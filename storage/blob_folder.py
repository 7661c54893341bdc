"""A folder in blob storage, as ``MODEL_BLOB`` names it: ``container/prefix``."""

from __future__ import annotations

import re
from dataclasses import dataclass

CONTAINER = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
"""A container's name: 3 to 63 lower-case letters, digits and single dashes, none at the ends."""
_MAX_PREFIX = 512  # of the 1,024 characters of a blob's name; the rest is for the files below it


@dataclass(frozen=True, slots=True)
class BlobFolder:
    """A container, and a prefix without slashes at its ends; an empty one is the whole container."""

    container: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.container}/{self.prefix}" if self.prefix else self.container

    def blob(self, name: str) -> str:
        """The full name of a blob in this folder; of ``""``, what all their names begin with."""
        return f"{self.prefix}/{name}" if self.prefix else name

    @classmethod
    def parse(cls, text: str) -> BlobFolder:
        """Read ``container/prefix``.

        Raises:
            ValueError: It is something else.
        """
        container, _, prefix = text.strip().partition("/")
        prefix = prefix.strip("/")
        if not CONTAINER.fullmatch(container) or len(prefix) > _MAX_PREFIX or "//" in prefix or "\\" in prefix:
            raise ValueError("not of the form container/prefix")
        return cls(container, prefix)
