"""An account in memory: the public methods of ``Results`` and ``SourceBlobs``, and a state that can be restored.

``test_storage_contract.py`` runs one suite on this and on Azurite, and compares the signatures. ETags count up per
place and are never reused, so equal final states have equal ETags.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from storage import keys
from storage.blobs import SourceBlob, SourceInfo, TooLargeError
from storage.errors import ConflictError
from storage.etags import same_etag
from storage.results.record import IndexRow
from storage.results.serialization import from_entity, from_sidecar, to_entity, to_sidecar
from storage.results.store import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from storage.results.record import Image, Record

UPLOADED = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
Snapshot = tuple[frozenset[Any], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """Something stored, and its ETag without quotes."""

    value: Any
    etag: str


class MemoryAccount:
    """The content of an account. Not thread-safe."""

    def __init__(self) -> None:
        self.blobs: dict[Hashable, Kept] = {}  # Image: bytes
        self.rows: dict[Hashable, Kept] = {}  # RowKeys: Record, as read back from an entity
        self.sidecars: dict[Hashable, Kept] = {}  # blob name: bytes
        self.index: dict[Hashable, tuple[tuple[str, Any], ...]] = {}
        self._versions: dict[Hashable, int] = {}
        self.models: dict[Hashable, str] = {}  # place: the version of the model that it names

    def publish(self, model_version: str) -> None:
        """Let the one place of models name this version."""
        self.models["place"] = model_version

    def is_current_model(self, model_version: str) -> bool | None:
        """``HotSwapModel.is_current``, for a process that has served this version; ``None`` without a place."""
        return self.models["place"] == model_version if self.models else None

    def upload(self, image: Image, content: bytes) -> str:
        """Put a source blob; returns its new ETag."""
        return self.put(self.blobs, image, content)

    def delete(self, image: Image) -> None:
        """Delete a source blob."""
        del self.blobs[image]

    def put(self, place: dict[Hashable, Kept], key: Hashable, value: Any) -> str:
        """Store something under a new ETag."""
        version = self._versions.get(key, 0) + 1
        self._versions[key] = version
        place[key] = Kept(value, f"0x{version:X}")
        return place[key].etag

    def guarded_put(self, place: dict[Hashable, Kept], key: Hashable, value: Any, replaced: Stored | None) -> None:
        """Store a value where there is none, or replace exactly the version that was read."""
        existing = place.get(key)
        if (existing and existing.etag) != (replaced and replaced.etag):
            raise ConflictError(str(key))
        self.put(place, key, value)

    def guarded_delete(self, place: dict[Hashable, Kept], key: Hashable, etag: str) -> None:
        """Delete exactly the version that was read; a value that is gone already is no conflict."""
        existing = place.get(key)
        if existing is not None and existing.etag != etag:
            raise ConflictError(str(key))
        place.pop(key, None)

    def snapshot(self) -> Snapshot:
        """Everything, as a value that can be compared and hashed."""
        return tuple(frozenset(part.items()) for part in self._parts())

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot."""
        for part, saved in zip(self._parts(), snapshot, strict=True):
            part.clear()
            part.update(saved)

    def _parts(self) -> tuple[dict[Hashable, Any], ...]:
        return self.blobs, self.rows, self.sidecars, self.index, self._versions, self.models


class _Columns(dict[str, Any]):
    """Columns that can be compared and hashed as an answer of storage; they never change."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


class MemoryResults:
    """``Results`` in memory."""

    def __init__(self, account: MemoryAccount, container: str = "results") -> None:
        self._account = account
        self.container = container

    def sidecar_path(self, image: Image) -> str:
        return f"{self.container}/{keys.sidecar_name(image.blob_name)}"

    def read_row(self, image: Image) -> Stored | None:
        kept = self._account.rows.get(keys.image_keys(image.container, image.blob_name))
        return Stored(kept.value, kept.etag) if kept else None

    def write_row(self, record: Record, replaced: Stored | None) -> None:
        address = keys.image_keys(record.container, record.blob_name)
        self._account.guarded_put(self._account.rows, address, _as_row(record), replaced)

    def read_sidecar(self, image: Image) -> Stored | None:
        kept = self._account.sidecars.get(keys.sidecar_name(image.blob_name))
        return Stored(_parsed(kept.value), kept.etag) if kept else None

    def write_sidecar(self, record: Record, replaced: Stored | None) -> None:
        name = keys.sidecar_name(record.blob_name)
        self._account.guarded_put(self._account.sidecars, name, _as_sidecar(record), replaced)

    def write_index_row(self, row: IndexRow) -> None:
        self._account.index[row.keys] = tuple(row.columns.items())

    def read_index_row(self, address: keys.RowKeys) -> IndexRow | None:
        columns = self._account.index.get(address)
        return IndexRow(address, _Columns(columns)) if columns is not None else None

    def delete_index_row(self, address: keys.RowKeys) -> None:
        self._account.index.pop(address, None)

    def delete_sidecar(self, image: Image, etag: str) -> None:
        self._account.guarded_delete(self._account.sidecars, keys.sidecar_name(image.blob_name), etag)

    def delete_row(self, image: Image, etag: str) -> None:
        self._account.guarded_delete(self._account.rows, keys.image_keys(image.container, image.blob_name), etag)


class MemorySource:
    """``SourceBlobs`` in memory."""

    def __init__(self, account: MemoryAccount, max_bytes: int = 1000) -> None:
        self._account = account
        self._max_bytes = max_bytes

    def read(
        self, image: Image, *, unless_etag: str | None = None, on_length: Callable[[int], object] = lambda _: None
    ) -> SourceBlob | None:
        info = self.info(image)
        if info is None:
            raise FileNotFoundError(str(image))
        if same_etag(info.etag, unless_etag):
            return None
        if info.content_length > self._max_bytes:
            raise TooLargeError(info, self._max_bytes)
        on_length(info.content_length)
        return SourceBlob(info, self._account.blobs[image].value)

    def is_current(self, image: Image, etag: str) -> bool:
        info = self.info(image)
        return info is not None and same_etag(info.etag, etag)

    def info(self, image: Image) -> SourceInfo | None:
        kept = self._account.blobs.get(image)
        return SourceInfo(kept.etag, UPLOADED, len(kept.value)) if kept else None


# Values pass through their written form, so that a value that storage would lose is lost here too.
@lru_cache(10_000)
def _as_row(record: Record) -> Record:
    return from_entity(to_entity(record))


@lru_cache(10_000)
def _as_sidecar(record: Record) -> bytes:
    return to_sidecar(record)


@lru_cache(10_000)
def _parsed(content: bytes) -> Record | None:
    try:
        return from_sidecar(content)
    except ValueError:
        return None
