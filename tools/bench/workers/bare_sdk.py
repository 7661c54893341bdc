"""Bare SDK calls: storage requests of the same kinds and number as the app sends, without any other work.

They are written as most users of the SDK write them: one client per service, created once, with default options. The
kinds are not fixed here: the app's own requests are recorded, and each has its counterpart below.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from inference.errors import ConfigurationError
from tools.bench.inputs.emulator import CONNECTION, INCOMING, blob_names
from tools.bench.trials import Trial, run_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tools.bench.workers.process import Functions

_TABLE, _CONTAINER = "barecalls", "bare-calls"
# The same sizes as the app's: a row of twenty columns, an index row of ten, a sidecar.
_ROW = {f"column_{number:02}": "x" * 24 for number in range(20)}
_INDEX_ROW = {f"column_{number:02}": "x" * 24 for number in range(10)}
_SIDECAR = b"x" * 1400


def functions(_cache: Path) -> Functions:
    """``calls``."""
    calls_by_kind = _calls(os.environ[CONNECTION])

    def calls(photo: str, images: int, threads: int, requests: list[str]) -> Trial:
        sequence = [calls_by_kind[kind(request, calls_by_kind)] for request in requests]

        def one(name: str) -> None:
            for call in sequence:
                call(name)

        def work() -> int:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(one, blob_names(photo, images)))
            return images

        return run_once(work)

    return {"calls": calls}


def _calls(connection_string: str) -> dict[str, Callable[[str], Any]]:
    """Return a bare call for each kind of request; each takes the name of the image's blob."""
    blobs = BlobServiceClient.from_connection_string(connection_string)
    rows = TableServiceClient.from_connection_string(connection_string).get_table_client(_TABLE)
    with suppress(ResourceExistsError):
        rows.create_table()
        blobs.create_container(_CONTAINER)
    serial = itertools.count()

    def unused_key() -> str:
        return f"{next(serial):08}"

    def row(columns: dict[str, str]) -> dict[str, str]:
        return {"PartitionKey": "bare", "RowKey": unused_key(), **columns}

    def read_missing_row(_name: str) -> None:
        with suppress(ResourceNotFoundError):
            rows.get_entity("bare", unused_key())

    return {
        "table GET": read_missing_row,
        "table PUT": lambda _name: rows.upsert_entity(row(_INDEX_ROW)),
        "table POST": lambda _name: rows.create_entity(row(_ROW)),
        "blob GET": lambda name: blobs.get_blob_client(INCOMING, name).download_blob().readall(),
        "blob PUT": lambda _name: blobs.get_blob_client(_CONTAINER, unused_key()).upload_blob(_SIDECAR),
    }


def kind(request: str, known: Iterable[str]) -> str:
    """Return service and method of a recorded request such as ``blob GET incoming/a.jpg``.

    Raises:
        ConfigurationError: It is not among the known kinds.
    """
    service, method, path = request.split(" ", 2)
    found = f"{service} {'transaction' if path.endswith('$batch') else method}"
    if found not in known:
        raise ConfigurationError(f"The app sends {request!r}, and the bench has no bare call for it: add one.")
    return found
