"""Reads the tensors of a PyTorch checkpoint without PyTorch, and without running any code of the file.

A checkpoint is a pickle, and a pickle may name any function to call. This reader knows four names: an ordered
dictionary, the call that makes a tensor of a storage, and two types of numbers. Every other name is refused.

The format is the one before PyTorch 1.6 (``torch.serialization._legacy_load``): five pickles, which are a magic number,
the protocol's version, facts of the machine, the object and the keys of its storages; then for each storage its number
of elements (int64) and its bytes, little-endian.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inference.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
_PROTOCOL = 1001
_COUNT_BYTES = 8


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    length: int


class _View(NamedTuple):
    """A tensor as the pickle describes it: a window onto a storage. Offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(content: bytes) -> dict[str, NDArray[np.generic]]:
    """Return the tensors of a state dictionary by name.

    Args:
        content: The whole file.

    Raises:
        ModelError: It is no checkpoint of this format, it is damaged, or it names anything but tensors.
    """
    stream = io.BytesIO(content)
    try:
        if (_load(stream), _load(stream)) != (_MAGIC, _PROTOCOL):
            raise ModelError("The file is not a PyTorch checkpoint of the format before PyTorch 1.6.")
        if not _load(stream)["little_endian"]:
            raise ModelError("The checkpoint was written by a big-endian machine.")
        views = _load(stream)
        storages = _read_storages(content, stream, _load(stream), views)
        return {_text(name): _tensor(view, storages) for name, view in views.items()}
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError,
        RecursionError, ImportError,
    ) as error:  # fmt: skip
        raise ModelError(f"The checkpoint is damaged or holds more than tensors ({error}).") from error


class _Unpickler(pickle.Unpickler):
    """Knows tensors and ordered dictionaries; see the module."""

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _view,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not loaded")
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, count, *_view_of_another = pid
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError("it refers to something else than a storage")
        return _Storage(_text(key), dtype, count)


def _load(stream: io.BytesIO) -> Any:
    return _Unpickler(stream).load()


def _view(storage: object, offset: object, shape: object, strides: object, *_of_training: object) -> _View:
    """Stand in for ``torch._utils._rebuild_tensor_v2``; every argument comes from the file."""
    numbers = (offset, *shape, *strides) if isinstance(shape, tuple) and isinstance(strides, tuple) else ()
    if not isinstance(storage, _Storage) or not numbers or len(shape) != len(strides):  # type: ignore[arg-type] # tuples
        raise pickle.UnpicklingError("it describes a tensor without a storage or shape")
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("it describes a tensor with a negative size")
    return _View(storage, offset, shape, strides)  # type: ignore[arg-type] # checked above


def _read_storages(
    content: bytes, stream: io.BytesIO, keys: list[str], views: dict[str, _View]
) -> dict[str, NDArray[np.generic]]:
    declared = {view.storage.key: view.storage for view in views.values()}
    found: dict[str, NDArray[np.generic]] = {}
    at = stream.tell()
    for key in keys:
        storage = declared[key]
        count = int.from_bytes(content[at : at + _COUNT_BYTES], "little")
        if count != storage.length:
            raise ValueError(f"storage {key!r:.20} has {count} numbers instead of {storage.length}")
        at += _COUNT_BYTES
        found[key] = np.frombuffer(content, storage.dtype, count, at)  # raises ValueError beyond the file's end
        at += count * storage.dtype.itemsize
    return found


def _tensor(view: _View, storages: dict[str, NDArray[np.generic]]) -> NDArray[np.generic]:
    numbers = storages[view.storage.key]
    last = view.offset + sum((size - 1) * stride for size, stride in zip(view.shape, view.strides, strict=True))
    if 0 in view.shape or last >= numbers.size or math.prod(view.shape) > numbers.size:
        raise ValueError(f"a tensor of shape {view.shape!r:.60} is larger than its storage")
    size = numbers.dtype.itemsize
    window = np.lib.stride_tricks.as_strided(
        numbers[view.offset :], view.shape, [stride * size for stride in view.strides], writeable=False
    )
    return np.ascontiguousarray(window)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise pickle.UnpicklingError(f"it has {value!r:.40} where a name should be")
    return value
