"""A folder for each label with its images, as torchvision, Keras, fastai and Hugging Face read them for training.

The images lie directly in the label's folder, because some of those readers take the last folder for the label. A file
is named for its blob, folders included, and ends in a hash of that name and an image's extension. A later run copies
only the missing images, and moves those whose label has changed.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tools.query.download import DownloadResult
from tools.query.file_names import PARTIAL, FileNames, flat_name
from tools.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from storage.results.record import Record
    from storage.reviews.join import ReviewedRow
    from tools.query.download import Downloads

# Extensions by which the readers recognise images; another name gets the extension of its content's format.
_EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".ico"}
)
_OF_FORMAT = {"jpeg": "jpg", "mpo": "jpg", "tiff": "tif", "jpeg2000": "jp2", "heif": "heic"}
_MAX_PENDING_LINES = 10_000


def copy(
    rows: Iterable[ReviewedRow], folder: Path, label_of: Callable[[ReviewedRow], str | None], downloads: Downloads
) -> dict[str, int]:
    """Download the image of each row that has a label, and return the numbers by result.

    Args:
        rows: The rows.
        folder: The folder of ``downloads``.
        label_of: The label of a row; ``None`` leaves it out.
        downloads: Copies a blob unless its content is there already.

    Raises:
        ConfigurationError: Storage refused a request.
        TransientError: The disk is full.
    """
    labels = FileNames(reserved=PARTIAL)
    used: set[str] = set()
    moved = left_out = 0
    with downloads:
        earlier = {each.name for each in folder.iterdir() if each.is_dir() and each.name != PARTIAL}
        for row in rows:
            name = label_of(row)
            if name is None:
                left_out += 1
                continue
            label = labels.part(name)
            used.add(label)
            path = PurePosixPath(label, file_name(row.record))
            moved += _move_from_other_label(folder, path, earlier)
            downloads.add(row.record, path)
    results = {
        "copied": downloads.counts[DownloadResult.DOWNLOADED],
        "present": downloads.counts[DownloadResult.PRESENT],
        "gone": downloads.counts[DownloadResult.GONE],
        "failed": downloads.counts[DownloadResult.FAILED],
    }
    return {**results, "moved": moved, "labels": len(used), "left_out": left_out}


def write_lists(
    rows: Iterable[ReviewedRow],
    folder: Path,
    label_of: Callable[[ReviewedRow], str | None],
    report: Callable[[str], object],
) -> dict[str, int]:
    """Write ``LABEL.txt`` with the blob names of each label, a line each, for ``azcopy copy --list-of-files``.

    Args:
        rows: The rows; a name that no line can hold is left out.
        folder: An empty folder.
        label_of: The label of a row; ``None`` leaves it out.
        report: Called with a sentence for a name that is left out.
    """
    labels = FileNames(reserved=PARTIAL)
    pending: defaultdict[str, list[str]] = defaultdict(list)
    lines = left_out = 0
    found: set[str] = set()
    for row in rows:
        name, label = row.record.blob_name, label_of(row)
        if label is None:
            left_out += 1
        elif len(name.splitlines()) > 1 or name.endswith("\n"):
            report(f"{printable(name)} is left out: its name is more than one line.")
            left_out += 1
        else:
            pending[labels.part(label)].append(name)
            lines += 1
            if lines % _MAX_PENDING_LINES == 0:
                found |= pending.keys()
                _append(folder, pending)
    found |= pending.keys()
    _append(folder, pending)
    return {"images": lines, "labels": len(found), "left_out": left_out}


def file_name(record: Record) -> str:
    """The name of an image's file, in any label's folder."""
    if PurePosixPath(record.blob_name).suffix.lower() in _EXTENSIONS or record.format is None:
        return flat_name(record.blob_name)
    return flat_name(record.blob_name, f".{_OF_FORMAT.get(record.format, record.format)}")


def _move_from_other_label(folder: Path, path: PurePosixPath, earlier: set[str]) -> bool:
    """Move an image that an earlier run put into another label's folder; true if there was one."""
    target = folder / path
    if target.exists():
        return False
    for label in earlier:
        before = folder / label / path.name
        if before.is_file():
            target.parent.mkdir(exist_ok=True)
            before.replace(target)
            return True
    return False


def _append(folder: Path, pending: defaultdict[str, list[str]]) -> None:
    for label, blob_names in pending.items():
        with (folder / f"{label}.txt").open("a", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{name}\n" for name in blob_names)
    pending.clear()
