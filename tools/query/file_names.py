r"""File names for blobs: safe on every common system, readable, and different for different blobs.

Blob names are untrusted: ``../../etc/passwd``, ``CON.jpg``, ``a?b.jpg``, 1,024 characters. Each part of a name becomes
one part of a path. Characters that a file system would refuse or interpret are escaped as in a URL, ``%3F``; a part
that is too long is cut and ends in a hash. Two names that only a case-sensitive system distinguishes (``a.jpg`` and
``A.JPG``, composed and decomposed accents), or a file and a folder of the same name, cannot both keep it: the second
gets a hash.

    why?.jpg -> why%3F.jpg      100%.jpg -> 100%.jpg      a%20b.jpg -> a%2520b.jpg      ../x -> %2E%2E/x
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

# learn.microsoft.com/windows/win32/fileio/naming-a-file; a % only where it would look like an escape.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\/\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})|[. ]+\Z')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)", re.IGNORECASE)
_EMPTY = "%2F"  # between two slashes; a part that really is %2F becomes %252F
_MAX_BYTES = 255  # of UTF-8 on Linux; elsewhere 255 UTF-16 units, which are never more bytes than that


class FileNames:
    """Gives each blob a unique path. Keeps about 200 bytes per blob; not thread-safe.

    Args:
        reserved: A name in the top folder that no blob gets.
    """

    def __init__(self, reserved: str) -> None:
        self._owners: dict[bytes, bytes] = {}
        self._owner((reserved,), "\0")

    def path(self, blob_name: str) -> PurePosixPath:
        """The relative path for a blob; the same blob always gets the same path."""
        return self._path(blob_name.split("/"))

    def part(self, name: str) -> str:
        """One part of a path for a name, whose slashes are escaped; the same name always gets the same part."""
        return str(self._path([name]))

    def _path(self, names: list[str]) -> PurePosixPath:
        parts: list[str] = []
        for depth, name in enumerate(names, start=1):
            raw = "/".join(names[:depth]) + ("" if depth == len(names) else "/")
            part = safe_part(name)
            if self._owner((*parts, part), raw) != _digest(raw):
                part = _with_hash(part, raw)
                self._owner((*parts, part), raw)
            parts.append(part)
        return PurePosixPath(*parts)

    def _owner(self, parts: tuple[str, ...], raw: str) -> bytes:
        """A hash of the blob that owns this path; a free path becomes the caller's."""
        seen_alike = unicodedata.normalize("NFC", unicodedata.normalize("NFC", "/".join(parts)).casefold())
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
    if not stem or len(extension) > 10:  # longer is no extension
        stem, dot, extension = part, "", ""
    suffix = f"~{hashlib.sha256(raw.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}{dot}{extension}"
    kept = stem.encode()[: _MAX_BYTES - len(suffix.encode())].decode("utf-8", "ignore")
    return f"{kept}{suffix}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:12]
