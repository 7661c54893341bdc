"""Bare SDK calls: the same kinds and number of storage requests as the app sends, with nothing around them.

Written as the SDK's users write them: one client per service, made once, every option at its default. Which calls they
are is not decided here: the app's own requests are looked at, and each has its counterpart.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from inference.errors import ConfigurationError
from tools.bench.storage_names import INCOMING, blob_names
from tools.bench.trials import Trial, counted

if TYPE_CHECKING:
    from tools.bench.worker_process import Contestants, Facts

_TABLE = "barecalls"
_CONTAINER = "bare-calls"
# As large as the app's own: a row of twenty columns, an index row of ten, a sidecar.
_ROW = {f"column_{number:02}": "x" * 24 for number in range(20)}
_INDEX_ROW = {f"column_{number:02}": "x" * 24 for number in range(10)}
_SIDECAR = b"x" * 1400


def contestants(facts: Facts) -> Contestants:
    """``calls``."""
    bare = _Bare(facts.connection_string)

    def calls(photo: str, images: int, threads: int, requests: list[str]) -> Trial:
        sequence = [bare.kinds[_kind(request, bare.kinds)] for request in requests]

        def one(name: str) -> None:
            key = bare.new_key()
            for call in sequence:
                call(name, key)

        def work() -> int:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, blob_names(photo, images)))
            return images

        return counted(work)

    return {"calls": calls}


class _Bare:
    """One bare call for each kind of request; each takes the image's name and a key that was never used."""

    def __init__(self, connection_string: str) -> None:
        self._blobs = BlobServiceClient.from_connection_string(connection_string)
        self._rows = TableServiceClient.from_connection_string(connection_string).get_table_client(_TABLE)
        with suppress(ResourceExistsError):
            self._rows.create_table()
        with suppress(ResourceExistsError):
            self._blobs.create_container(_CONTAINER)
        self._serial = itertools.count()
        self.kinds = {
            ("table", "GET"): self._get_row,
            ("table", "PUT"): self._upsert,
            ("table", "PATCH"): self._upsert,
            ("table", "POST"): self._insert,
            ("table", "BATCH"): self._transaction,
            ("blob", "GET"): self._read_image,
            ("blob", "PUT"): self._write_sidecar,
        }

    def new_key(self) -> str:
        return f"{next(self._serial):08}"

    def _get_row(self, _name: str, key: str) -> None:
        with suppress(ResourceNotFoundError):
            self._rows.get_entity("bare", key)

    def _read_image(self, name: str, _key: str) -> None:
        self._blobs.get_blob_client(INCOMING, name).download_blob().readall()

    def _write_sidecar(self, _name: str, key: str) -> None:
        self._blobs.get_blob_client(_CONTAINER, key).upload_blob(_SIDECAR)

    def _upsert(self, _name: str, key: str) -> None:
        self._rows.upsert_entity(self._index_row(key))

    def _insert(self, _name: str, key: str) -> None:
        self._rows.create_entity({"PartitionKey": "bare", "RowKey": key, **_ROW})

    def _transaction(self, _name: str, key: str) -> None:
        self._rows.submit_transaction([("upsert", self._index_row(key)) for _ in range(2)])

    def _index_row(self, key: str) -> dict[str, str]:
        return {"PartitionKey": "index", "RowKey": f"{key}-{self.new_key()}", **_INDEX_ROW}


def _kind(request: str, known: dict[tuple[str, str], Any]) -> tuple[str, str]:
    """Service and method of a request as ``requests_seen`` writes it; a transaction is a method of its own."""
    service, method, place = request.split(" ", 2)
    kind = (service, "BATCH" if place.endswith("$batch") else method)
    if kind not in known:
        raise ConfigurationError(f"The app sends {request!r}, and the bench has no bare call like it: add one.")
    return kind
