"""The results of an account: rows and index rows in tables, sidecars in a blob container.

Each public method of ``Results`` is one conditional, idempotent I/O step of the commit protocol (``commit``), and one
storage request when nothing goes wrong. The first write creates the tables and the container.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import UpdateMode
from azure.storage.blob import ContainerClient, ContentSettings

from inference.errors import printable
from storage import keys
from storage.errors import ConflictError, ProtectedSidecarError, error_code, translate_errors
from storage.listing import list_pages
from storage.refusals import ARCHIVED_CODES
from storage.results import sidecar_digest
from storage.results.record import IndexRow
from storage.results.serialization import from_any_entity, from_sidecar, to_entity, to_sidecar
from storage.tables import TableReader, entity_etag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from azure.data.tables import TableClient
    from azure.storage.blob import BlobClient

    from storage.clients import Clients
    from storage.listing import Listed
    from storage.results.record import Image, Record

_T = TypeVar("_T")
_CONDITIONAL = frozenset({404, 409, 412})
# The codes of a request whose condition does not hold; others say that the blob cannot be written at all.
_LOST_RACE = frozenset(
    {
        "",
        "BlobAlreadyExists",
        "BlobNotFound",
        "ConditionNotMet",
        "ContainerNotFound",
        "TargetConditionNotMet",
        *ARCHIVED_CODES,
    }
)
_JSON = ContentSettings(content_type="application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as read from a row or a sidecar.

    Attributes:
        record: ``None`` where a row or a sidecar cannot be read, as after a person edited it.
        etag: Of the row or the sidecar itself; a write that replaces it is conditional on this.
        is_archived: The sidecar is in the archive tier, so that its record is not known.
    """

    record: Record | None
    etag: str
    is_archived: bool = False


class Results:
    """Rows, index rows and sidecars of one account. Thread-safe.

    Args:
        clients: Pooled clients of the account.
        table: Name of the results table; the index table is the same name and ``index``.
        container: Name of the container for sidecars.
    """

    def __init__(self, clients: Clients, *, table: str, container: str) -> None:
        self._rows = clients.tables.get_table_client(table)
        self._index = clients.tables.get_table_client(f"{table}index")
        self._sidecars = clients.blobs.get_container_client(container)
        self.container = container

    def sidecar_path(self, image: Image) -> str:
        """``container/name`` of an image's sidecar, whether it exists or not."""
        return f"{self.container}/{keys.sidecar_name(image.blob_name)}"

    def read_row(self, image: Image) -> Stored | None:
        """The committed outcome; ``None`` when there is none."""
        address = keys.image_keys(image.container, image.blob_name)
        with translate_errors(f"reading the row of {image}"):
            try:
                entity = self._rows.get_entity(address.partition_key, address.row_key)
            except ResourceNotFoundError:
                return None
        return Stored(from_any_entity(entity), entity_etag(entity))

    def write_row(self, record: Record, replaced: Stored | None) -> None:
        """Commit: insert the row, or replace exactly the one that was read.

        Raises:
            ConflictError: Another attempt committed first.
        """
        entity = to_entity(record)
        with translate_errors(f"writing the row of {record.image}"):
            try:
                if replaced is None:
                    _create_if_missing(self._rows, lambda: self._rows.create_entity(entity))
                else:
                    self._rows.update_entity(
                        entity,
                        mode=UpdateMode.REPLACE,
                        etag=replaced.etag,
                        match_condition=MatchConditions.IfNotModified,
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
                raise ConflictError(str(record.image)) from error

    def read_sidecar(self, image: Image) -> Stored | None:
        """The sidecar, committed or not; ``None`` when there is none."""
        return self.sidecar_at(keys.sidecar_name(image.blob_name))

    def sidecar_at(self, name: str) -> Stored | None:
        """The blob of this name in the results container; ``None`` when there is none."""
        blob = self._sidecars.get_blob_client(name)
        with translate_errors(f"reading {self.container}/{name}"):
            try:
                download = blob.download_blob()
                content = download.readall()
            except ResourceNotFoundError:
                return None
            except ResourceExistsError as error:  # the SDK's class for every 409
                if error_code(error) not in ARCHIVED_CODES:
                    raise
                return self._archived_sidecar(blob)
        record: Record | None
        try:
            record = from_sidecar(content)
        except ValueError:
            record = None
        return Stored(record, str(download.properties.etag))

    def _archived_sidecar(self, blob: BlobClient) -> Stored | None:
        try:
            return Stored(None, str(blob.get_blob_properties().etag), is_archived=True)
        except ResourceNotFoundError:
            return None

    def write_sidecar(self, record: Record, replaced: Stored | None) -> None:
        """Create the sidecar, or replace exactly the one that was read. One in the archive tier is deleted before.

        Raises:
            ConflictError: Another attempt wrote first.
            ProtectedSidecarError: A lease, a legal hold or an immutability policy keeps the one that was read.
        """
        if replaced is not None and replaced.is_archived:  # storage does not let a write replace it
            self.delete_sidecar(record.image, replaced.etag)
            replaced = None
        blob = self._sidecars.get_blob_client(keys.sidecar_name(record.blob_name))
        content = to_sidecar(record)
        metadata = sidecar_digest.metadata(record, content)
        with translate_errors(f"writing the sidecar of {record.image}"):
            try:
                if replaced is None:
                    _create_if_missing(
                        self._sidecars, lambda: blob.upload_blob(content, content_settings=_JSON, metadata=metadata)
                    )
                else:
                    blob.upload_blob(
                        content,
                        overwrite=True,
                        etag=replaced.etag,
                        match_condition=MatchConditions.IfNotModified,
                        content_settings=_JSON,
                        metadata=metadata,
                    )
            except HttpResponseError as error:
                raise self._conflict(error, record.image) from None

    def _conflict(self, error: HttpResponseError, image: Image) -> Exception:
        """The error of a conditional request for a sidecar: another attempt was first, or storage protects the blob."""
        code = error_code(error)
        if error.status_code not in _CONDITIONAL:
            return error
        if code in _LOST_RACE:
            return ConflictError(str(image))
        return ProtectedSidecarError(
            f"Storage does not let the sidecar {printable(self.sidecar_path(image))} be replaced or removed "
            f"({error.status_code} {code}): end the lease, the legal hold or the immutability policy that keeps it."
        )

    def read_index_row(self, address: keys.RowKeys) -> IndexRow | None:
        """One index row; ``None`` when there is none."""
        entity = self.index_reader().point(address)
        return IndexRow.from_entity(entity) if entity is not None else None

    def write_index_row(self, row: IndexRow) -> None:
        """Upsert one index row. Idempotent."""
        with translate_errors("writing an index row"):
            _create_if_missing(self._index, lambda: self._index.upsert_entity(row.to_entity(), mode=UpdateMode.REPLACE))

    def delete_index_row(self, address: keys.RowKeys) -> None:
        """Delete one index row. Idempotent."""
        with translate_errors("removing an index row"):
            try:
                self._index.delete_entity(address.partition_key, address.row_key)
            except ResourceNotFoundError:
                return

    def delete_sidecar(self, image: Image, etag: str) -> None:
        """Delete exactly the sidecar that was read. Idempotent.

        Raises:
            ConflictError: Another attempt wrote meanwhile.
            ProtectedSidecarError: A lease, a legal hold or an immutability policy keeps it.
        """
        blob = self._sidecars.get_blob_client(keys.sidecar_name(image.blob_name))
        with translate_errors(f"removing the sidecar of {image}"):
            try:
                blob.delete_blob(etag=etag, match_condition=MatchConditions.IfNotModified)
            except ResourceNotFoundError:
                return
            except HttpResponseError as error:
                # Otherwise our first delete succeeded and only its response was lost.
                if error.status_code not in _CONDITIONAL or blob.exists():
                    raise self._conflict(error, image) from None

    def delete_row(self, image: Image, etag: str) -> None:
        """Delete exactly the row that was read. Idempotent.

        Raises:
            ConflictError: Another attempt committed meanwhile.
        """
        address = keys.image_keys(image.container, image.blob_name)
        with translate_errors(f"removing the row of {image}"):
            try:
                self._rows.delete_entity(
                    address.partition_key, address.row_key, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except ResourceNotFoundError:
                return
            except ResourceModifiedError as error:
                raise ConflictError(str(image)) from error

    def row_reader(self, select: Sequence[str] | None = None) -> TableReader:
        """A reader of the results table; ``None`` selects every column."""
        return TableReader(self._rows, select)

    def index_reader(self) -> TableReader:
        """A reader of the index table."""
        return TableReader(self._index)

    def sidecar_pages(self) -> Iterator[list[Listed]]:
        """Yield the blobs of the results container; see ``list_pages``."""
        return list_pages(self._sidecars, with_metadata=True)


def _create_if_missing(parent: TableClient | ContainerClient, write: Callable[[], _T]) -> _T:
    """Run a write; where its table or container does not exist, create that and write again."""
    try:
        return write()
    except ResourceNotFoundError:
        pass  # for an insert, an upsert or a first upload nothing else can be missing
    with suppress(ResourceExistsError):
        if isinstance(parent, ContainerClient):
            parent.create_container()
        else:
            parent.create_table()
    return write()
