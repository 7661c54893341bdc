"""The results of an account: rows and index rows in tables, sidecars in a blob container.

Each public method of ``Results`` is one guarded, idempotent I/O step of the commit protocol (``commit``), and one
storage request when nothing goes wrong. Tables and the container appear on first use.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import UpdateMode
from azure.storage.blob import ContainerClient, ContentSettings

from storage import keys
from storage.errors import ConflictError, translated
from storage.listing import Listed, list_pages
from storage.results.record import Image, Record
from storage.tables import TableRanges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from azure.data.tables import TableClient

    from storage.clients import Clients
    from storage.results.record import IndexRow

_T = TypeVar("_T")
_JSON = ContentSettings(content_type="application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it stands in storage, and the ETag that guards its replacement.

    Attributes:
        record: ``None`` where something stands that is not ours to read: a sidecar that a person edited.
        token: The ETag.
    """

    record: Record | None
    token: str


class Results:
    """Rows, index rows and sidecars of one account. Thread-safe.

    Args:
        clients: Pooled clients of the account.
        table: Name of the results table; the index table is the same name and ``index``.
        container: Name of the container for sidecars.
    """

    def __init__(self, clients: Clients, *, table: str, container: str) -> None:
        self._clients = clients
        self._rows = clients.tables.get_table_client(table)
        self._index = clients.tables.get_table_client(f"{table}index")
        self._sidecars = clients.blobs.get_container_client(container)
        self.container = container

    def sidecar_path(self, image: Image) -> str:
        """``container/name`` of an image's sidecar, whether it exists or not."""
        return f"{self.container}/{keys.sidecar_name(image.blob_name)}"

    def read_row(self, image: Image) -> Stored | None:
        """The committed outcome, or ``None``."""
        address = keys.image_keys(image.container, image.blob_name)
        with translated(f"reading the row of {image}"):
            try:
                entity = self._rows.get_entity(address.partition_key, address.row_key)
            except ResourceNotFoundError:
                return None
        return Stored(Record.from_entity(entity), str(entity.metadata["etag"]))

    def write_row(self, record: Record, replaced: Stored | None) -> None:
        """Commit: insert the row, or replace exactly the one that was read.

        Raises:
            ConflictError: Somebody else committed first.
        """
        entity = record.to_entity()
        with translated(f"writing the row of {record.image}"):
            try:
                if replaced is None:
                    _making(self._rows, lambda: self._rows.create_entity(entity))
                else:
                    self._rows.update_entity(
                        entity,
                        mode=UpdateMode.REPLACE,
                        etag=replaced.token,
                        match_condition=MatchConditions.IfNotModified,
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
                raise ConflictError(str(record.image)) from error

    def read_sidecar(self, image: Image) -> Stored | None:
        """What the sidecar says, committed or not; ``None`` when there is none."""
        return self.sidecar_at(keys.sidecar_name(image.blob_name))

    def sidecar_at(self, name: str) -> Stored | None:
        """What the blob of this name in the results container says; ``None`` when there is none."""
        blob = self._sidecars.get_blob_client(name)
        with translated(f"reading {self.container}/{name}"):
            try:
                download = blob.download_blob()
                content = download.readall()
            except ResourceNotFoundError:
                return None
        try:
            record = Record.from_sidecar(content)
        except ValueError:
            record = None
        return Stored(record, str(download.properties.etag))

    def write_sidecar(self, record: Record, replaced: Stored | None) -> None:
        """Write the sidecar where there is none, or replace exactly the one that was read.

        Raises:
            ConflictError: Somebody else wrote first.
        """
        blob = self._sidecars.get_blob_client(keys.sidecar_name(record.blob_name))
        content = record.to_sidecar()
        with translated(f"writing the sidecar of {record.image}"):
            try:
                if replaced is None:
                    _making(self._sidecars, lambda: blob.upload_blob(content, content_settings=_JSON))
                else:
                    blob.upload_blob(
                        content,
                        overwrite=True,
                        etag=replaced.token,
                        match_condition=MatchConditions.IfNotModified,
                        content_settings=_JSON,
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
                raise ConflictError(str(record.image)) from error

    def write_index_row(self, row: IndexRow) -> None:
        """Upsert one index row; writing it twice changes nothing."""
        entity = {"PartitionKey": row.keys.partition_key, "RowKey": row.keys.row_key, **row.columns}
        with translated("writing an index row"):
            _making(self._index, lambda: self._index.upsert_entity(entity, mode=UpdateMode.REPLACE))

    def delete_index_row(self, address: keys.RowKeys) -> None:
        """Remove one index row; one that is not there is no error."""
        with translated("removing an index row"):
            try:
                self._index.delete_entity(address.partition_key, address.row_key)
            except ResourceNotFoundError:
                return

    def delete_sidecar(self, image: Image, token: str) -> None:
        """Remove exactly the sidecar that was read; one that is gone already is no error.

        Raises:
            ConflictError: Somebody else wrote meanwhile.
        """
        blob = self._sidecars.get_blob_client(keys.sidecar_name(image.blob_name))
        with translated(f"removing the sidecar of {image}"):
            try:
                blob.delete_blob(etag=token, match_condition=MatchConditions.IfNotModified)
            except ResourceNotFoundError:
                return
            except ResourceModifiedError as error:
                if blob.exists():  # else it was us: the answer was lost, the request repeated, its ETag found no match
                    raise ConflictError(str(image)) from error

    def delete_row(self, image: Image, token: str) -> None:
        """Remove exactly the row that was read; one that is gone already is no error.

        Raises:
            ConflictError: Somebody else committed meanwhile.
        """
        address = keys.image_keys(image.container, image.blob_name)
        with translated(f"removing the row of {image}"):
            try:
                self._rows.delete_entity(
                    address.partition_key, address.row_key, etag=token, match_condition=MatchConditions.IfNotModified
                )
            except ResourceNotFoundError:
                return
            except ResourceModifiedError as error:
                raise ConflictError(str(image)) from error

    def row_ranges(self, select: Sequence[str] | None = None) -> TableRanges:
        """The results table, for reading in bulk; all columns where ``select`` is ``None``."""
        return TableRanges(self._rows, select)

    def index_ranges(self) -> TableRanges:
        """The index table, for reading in bulk."""
        return TableRanges(self._index)

    def sidecar_pages(self) -> Iterator[list[Listed]]:
        """Yield what the results container holds; see ``list_pages``."""
        return list_pages(self._sidecars)


def _making(home: TableClient | ContainerClient, write: Callable[[], _T]) -> _T:
    """Run a write; where its table or container is missing, make that and write again."""
    try:
        return write()
    except ResourceNotFoundError:
        pass  # an insert, an upsert or a first upload can miss nothing else
    with suppress(ResourceExistsError):
        if isinstance(home, ContainerClient):
            home.create_container()
        else:
            home.create_table()
    return write()
