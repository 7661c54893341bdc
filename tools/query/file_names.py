r"""File names for blobs: safe on every common system, readable, and different for different blobs.

Blob names are untrusted: ``../../etc/passwd``, ``CON.jpg``, ``a?b.jpg``, 1,024 characters. Each part of a name becomes
one part of a path. Characters that a file system would refuse or interpret are escaped as in a URL, ``%3F``; a part
that is too long is cut and ends in a hash.

    why?.jpg -> why%3F.jpg      100%.jpg -> 100%.jpg      a%20b.jpg -> a%2520b.jpg      ../x.jpg -> %2E%2E/x.jpg
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

PARTIAL = ".partial"
"""The folder of unfinished downloads; no part of a path has this name."""

# learn.microsoft.com/windows/win32/fileio/naming-a-file; a % only where it would look like an escape.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\/\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})|[. ]+\Z')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)", re.IGNORECASE)
_EMPTY = "%2F"  # between two slashes; a part that really is %2F becomes %252F
_MAX_BYTES = 255  # of UTF-8 on Linux; elsewhere 255 UTF-16 units, which are never more
_EXTENSION = re.compile(r"\.(?=[0-9]*[a-z])[a-z0-9]{1,10}\Z", re.IGNORECASE | re.ASCII)  # 2024.05.01 has none
_HASHED = re.compile(r"~[0-9a-f]{12}(\.|\Z)", re.IGNORECASE)


def file_path(blob_name: str, colliding_below: Callable[[str], Container[str] | None]) -> PurePosixPath:
    """The relative path for a blob. Different blobs get different paths, also where case does not count.

    A part of the path is plain, ``IMG_1.JPG``, or marked with a hash of the name, ``IMG_1~5ce2a9e84952.JPG``. It is
    marked where its folder in the container holds another name that would be the same file or folder on some system,
    and so is the other one. Where the names of a folder are unknown, it is marked if such a name could exist: if it has
    capitals or decomposed accents, or is a file without an extension, or a folder with one.

    Args:
        blob_name: The name, with folders.
        colliding_below: Returns what ``colliding`` returned for the names directly below a folder of the container,
            or ``None`` where they are unknown. The folder ends with a slash; it is empty for the top.
    """
    parts = []
    *folders, name = blob_name.split("/")
    above = ""
    for folder in folders:
        below = f"{above}{folder}/"
        parts.append(_part(folder, below, colliding_below(above), is_folder=True))
        above = below
    return PurePosixPath(*parts, _part(name, blob_name, colliding_below(above), is_folder=False))


def colliding(names: Iterable[str]) -> frozenset[str]:
    """The names that more than one file or folder would have on some system, as that system compares them.

    Args:
        names: The names directly below one folder, without it; those of its subfolders end with a slash.
    """
    seen: set[str] = set()
    twice: set[str] = set()
    for name in names:
        part = _as_seen(_safe(name.removesuffix("/")))
        (twice if part in seen else seen).add(part)
    return frozenset(twice)


def _part(name: str, whole_name: str, collisions: Container[str] | None, *, is_folder: bool) -> str:
    part = _safe(name)
    seen = _as_seen(part)
    if collisions is None:
        plain = part == seen and bool(_EXTENSION.search(part)) != is_folder
    else:
        plain = seen not in collisions
    # A name that looks marked is marked too, so that no plain part is another blob's marked one.
    plain = plain and len(part.encode()) <= _MAX_BYTES and not _HASHED.search(seen) and seen != PARTIAL
    return part if plain else _with_hash(part, whole_name)


def _as_seen(name: str) -> str:
    """The name as a file system compares it that ignores case, accent composition and invisible marks."""
    if name.isascii():
        return name.lower()
    visible = "".join(each for each in name if unicodedata.category(each) != "Cf")
    folded = unicodedata.normalize("NFC", visible).upper().casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", folded).casefold())


class FileNames:
    """Gives each name a unique part of a path. Keeps about 200 bytes per name; not thread-safe.

    Args:
        reserved: A part that no name gets.
    """

    def __init__(self, reserved: str) -> None:
        self._owners: dict[bytes, bytes] = {}
        self._owner(reserved, "\0")

    def part(self, name: str) -> str:
        """One part of a path for a name, whose slashes are escaped; the same name always gets the same part."""
        part = safe_part(name)
        if self._owner(part, name) != _digest(name):
            part = _with_hash(part, name)
            self._owner(part, name)
        return part

    def _owner(self, part: str, raw: str) -> bytes:
        """A hash of the name that owns this part; a free part becomes the caller's."""
        seen_alike = unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())
        return self._owners.setdefault(_digest(seen_alike), _digest(raw))


def safe_part(name: str) -> str:
    """The path part for one part of a blob's name; different names give different parts."""
    part = _safe(name)
    return part if len(part.encode()) <= _MAX_BYTES else _with_hash(part, name)


def flat_name(blob_name: str, extension: str = "") -> str:
    """A file name for a blob in a folder of blobs from anywhere: the folders joined by ``__``, and a hash of the name.

    It depends on nothing but the arguments, so no record of the names is kept, and a later run finds the same file.

    Args:
        blob_name: Different names give different file names, also where case does not count.
        extension: Is added to the name; with the dot.
    """
    return _with_hash(_safe(f"{blob_name.replace('/', '__')}{extension}"), blob_name)


def _safe(name: str) -> str:
    part = _UNSAFE.sub(lambda match: _escaped(match[0]), name) or _EMPTY
    return _escaped(part[0]) + part[1:] if _RESERVED.match(part) else part


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _with_hash(part: str, raw: str) -> str:
    """The part with a hash before its extension, cut to the length that a file system allows."""
    stem, dot, extension = part.rpartition(".")
    if not stem or not _EXTENSION.search(part):
        stem, dot, extension = part, "", ""
    suffix = f"~{hashlib.sha256(raw.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}{dot}{extension}"
    stem = unicodedata.normalize("NFC", stem)  # as it comes back from every file system
    kept = stem.encode()[: _MAX_BYTES - len(suffix.encode())].decode("utf-8", "ignore")
    return f"{kept}{suffix}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:12]
