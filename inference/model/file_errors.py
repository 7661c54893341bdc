"""Decides whose fault it is that a file of a model cannot be read: the folder's, or a passing state of the machine."""

from __future__ import annotations

import errno
import re

from inference.errors import ClassificationError, ModelFileError, TransientError

_THE_FOLDERS = frozenset(
    {
        errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG,
        errno.EINVAL, errno.ENXIO,
    }
)  # fmt: skip
"""The file is missing, is not a file, or may not be read: a person must act. Every other error may pass: too many open
files, memory or a disk that is full, a network drive that does not answer."""

_OUT_OF_MEMORY = re.compile(r"bad.?alloc|(failed|unable|not) (to )?allocate", re.IGNORECASE)
_SYSTEM_ERROR = re.compile(r"(?:system error number|errcode =|errno[ :=]+)\s*(\d+)")


def cannot_read(what: str, error: OSError, way_out: str = "") -> ClassificationError:
    """Return the error to raise for a file that cannot be read.

    Args:
        what: The subject of the sentence, which names the file.
        error: The error of the system.
        way_out: The end of the sentence, where a person must act.

    Returns:
        ``ModelFileError`` if the folder is at fault, ``TransientError`` if the same file may be read later.
    """
    reason = error.strerror or str(error)
    if error.errno in _THE_FOLDERS:
        return ModelFileError(f"{what} cannot be read ({reason}){way_out}.")
    return TransientError(f"{what} cannot be read for now ({reason}).")


def is_passing(text: str) -> bool:
    """Whether an error text of ONNX Runtime reports a state of the machine, not a fault of the model.

    It reports an exhausted memory as ``std::bad_alloc`` or as a failed allocation, and the system's errors by number.
    """
    numbers = [int(number) for number in _SYSTEM_ERROR.findall(text)]
    return bool(_OUT_OF_MEMORY.search(text)) or any(number not in _THE_FOLDERS for number in numbers)
