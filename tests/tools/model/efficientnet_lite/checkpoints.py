"""Writes checkpoints as PyTorch before 1.6 did, without PyTorch."""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Storage(NamedTuple):
    """Numbers that tensors look at; they are float32 or int64."""

    key: str
    numbers: NDArray[np.generic]


class Tensor:
    """A window onto a storage, which pickles as a tensor of PyTorch does."""

    def __init__(self, storage: Storage, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> None:
        self._arguments: tuple[Any, ...] = (storage, offset, tuple(shape), tuple(strides), False, OrderedDict())

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self._arguments


def whole(key: str, array: NDArray[np.generic]) -> Tensor:
    """Return a tensor that has a storage of its own."""
    strides = [stride // array.itemsize for stride in array.strides]
    return Tensor(Storage(key, array.reshape(-1)), array.shape, strides)


def checkpoint(tensors: Mapping[str, object], *, magic: int = MAGIC, little_endian: bool = True) -> bytes:
    """Return the file of a state dictionary; values that are no tensors are pickled as they are."""
    stream = io.BytesIO()
    storages: dict[str, Storage] = {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> Any:
            if not isinstance(value, Storage):
                return None
            storages[value.key] = value
            kind = "FloatStorage" if value.numbers.dtype == np.float32 else "LongStorage"
            return "storage", getattr(sys.modules["torch"], kind), value.key, "cpu", value.numbers.size, None

    with _stand_in_for_torch():
        state = OrderedDict(tensors)
        state._metadata = OrderedDict({"": {"version": 1}})  # type: ignore[attr-defined] # as PyTorch's dictionaries have
        for part in (magic, PROTOCOL, {"little_endian": little_endian}, state):
            Pickler(stream, protocol=2).dump(part)
    pickle.dump(list(storages), stream, protocol=2)
    for storage in storages.values():
        stream.write(storage.numbers.size.to_bytes(8, "little") + storage.numbers.tobytes())
    return stream.getvalue()


class _stand_in_for_torch:  # noqa: N801 - used as a context manager
    """Modules with the names that a checkpoint refers to; pickle looks them up when it writes."""

    def __enter__(self) -> None:
        torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
        for module, name in ((torch, "FloatStorage"), (torch, "LongStorage"), (utils, "_rebuild_tensor_v2")):
            setattr(module, name, type(name, (), {"__module__": module.__name__, "__qualname__": name}))
        torch._utils = utils  # type: ignore[attr-defined]
        self._before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
        sys.modules.update({"torch": torch, "torch._utils": utils})

    def __exit__(self, *_: object) -> None:
        for name, module in self._before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
