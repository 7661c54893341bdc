r"""File names for blobs: safe on every common system, readable, and different for different blobs.

Blob names are untrusted: ``../../etc/passwd``, ``CON.jpg``, ``a?b.jpg``, 1,024 characters. Each part of a name becomes
one part of a path. Characters that a file system would refuse or interpret are escaped as in a URL, ``%3F``; a part
that is too long is cut and ends in a hash.

    why?.jpg -> why%3F.jpg      100%.jpg -> 100%.jpg      a%20b.jpg -> a%2520b.jpg      ../x.jpg -> %2E%2E/x.jpg
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path, PurePosixPath

# learn.microsoft.com/windows/win32/fileio/naming-a-file; a % only where it would look like an escape.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\/\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})|[. ]+\Z')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)", re.IGNORECASE)
_EMPTY = "%2F"  # between two slashes; a part that really is %2F becomes %252F
_MAX_BYTES = 255  # of UTF-8 on Linux; elsewhere 255 UTF-16 units, which are never more
_EXTENSION = re.compile(r"\.(?=[0-9]*[a-z])[a-z0-9]{1,10}\Z", re.IGNORECASE | re.ASCII)  # 2024.05.01 has none
_HASHED = re.compile(r"~[0-9a-f]{12}(\.|\Z)", re.IGNORECASE)


class FilePaths:
    """Gives each blob a path in a folder, the same one in every run and for any order of the blobs.

    A part of a path is plain, ``IMG_1.JPG``, or marked with a hash of the blob's name, ``IMG_1~5ce2a9e84952.JPG``. It
    is marked where the folder holds another name that some system takes for the same (it differs in case, or in the
    composition of accents), and where a file has the name of a folder. Different blobs have different plain parts, so
    an entry that is spelled as a plain part belongs to that blob. Thus the folder itself records which name is whose,
    and a run that is killed leaves nothing to repair.

    Keeps about 250 bytes for each file in the folders that it has looked into. Not thread-safe.

    Args:
        folder: The folder of the files; it need not exist.
        reserved: A part that no path begins with.
    """

    def __init__(self, folder: Path, reserved: str) -> None:
        self._folder = folder
        self._reserved = reserved
        self._entries: dict[PurePosixPath, _Entries] = {}

    def path(self, blob_name: str) -> PurePosixPath:
        """The relative path for a blob. It is the blob's own from now on, also if no file is written."""
        *folders, name = blob_name.split("/")
        path = PurePosixPath()
        for end, part in enumerate(folders, 1):
            path /= self._part(path, part, "/".join(folders[:end]) + "/", is_folder=True)
        return path / self._part(path, name, blob_name, is_folder=False)

    def _part(self, parent: PurePosixPath, name: str, whole_name: str, *, is_folder: bool) -> str:
        entries = self._entries.get(parent)
        if entries is None:
            entries = self._entries[parent] = self._read(parent)
        plain, marked = _plain_part(name), _with_hash(_safe(name), whole_name)
        for part in (plain, marked):
            if part is not None and part in (entries.folders if is_folder else entries.files):
                return part
        part = marked if plain is None or _as_seen(plain) in entries.seen else plain
        entries.add(part, is_folder=is_folder)
        return part

    def _read(self, parent: PurePosixPath) -> _Entries:
        entries = _Entries()
        if not parent.parts:
            entries.seen.add(_as_seen(self._reserved))
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._folder / parent) as found:
            for each in found:
                if parent.parts or each.name != self._reserved:
                    # A link to nothing, or to itself, is no folder; `is_dir` alone raises for the latter.
                    is_folder = each.is_dir(follow_symlinks=False) or (each.is_symlink() and Path(each).is_dir())
                    # Some file systems give accents back in another composition than they got.
                    entries.add(unicodedata.normalize("NFC", each.name), is_folder=is_folder)
        return entries


class _Entries:
    """The files and folders of one folder.

    Attributes:
        files: Names of files as they are spelled.
        folders: Likewise of folders.
        seen: All names as file systems compare them.
    """

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.folders: set[str] = set()
        self.seen: set[str] = set()

    def add(self, name: str, *, is_folder: bool) -> None:
        (self.folders if is_folder else self.files).add(name)
        self.seen.add(_as_seen(name))


def _plain_part(name: str) -> str | None:
    """The part without a mark; ``None`` where it would be too long, look marked, or come back in another spelling."""
    part = _safe(name)
    is_stable = unicodedata.is_normalized("NFC", part) and len(part.encode()) <= _MAX_BYTES
    return part if is_stable and not _HASHED.search(part) else None


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
