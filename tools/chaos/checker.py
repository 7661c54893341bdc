"""Checks from the contents of storage that every image has exactly one correct row.

The checker shares no code with ``storage``: it reads the current bytes of every blob, classifies them, derives the keys
from the documented rules, and compares rows, sidecars and index rows as plain documents.
"""

from __future__ import annotations

import json
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from inference.errors import PermanentError
from tools.chaos.check_result import CheckResult, Violation
from tools.chaos.keys import index_keys, row_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from inference.predictions import ImageClassifier
    from tools.chaos.check_result import Document

_THREADS = 4
_SCORE_TOLERANCE = 1e-6
_OWN_COLUMNS = {"PartitionKey", "RowKey"}  # a row has them, a sidecar does not
_SIDECAR_ONLY = {"schema_version", "predictions", "scores"}
_RACES = {"superseded", "shared"}  # traces of concurrent attempts, not part of the result


class Expected(NamedTuple):
    """What the row of a blob's current content must contain.

    Attributes:
        etag: Of the content, without quotes.
        content_length: In bytes.
        columns: Columns that depend on the content.
    """

    etag: str
    content_length: int
    columns: Document


class Checker:
    """Compares the results in storage with a classification of the blobs' current bytes.

    Args:
        connection_string: Of the account, without the proxy.
        incoming: Container of the images.
        results: Container of the sidecars.
        table: Results table; the index table has the suffix ``index``.
        classifier: Classifies the bytes again.
        max_bytes: Larger blobs must be rejected.
        ignored_prefix: Blobs with this prefix must not have a row; directory markers neither.
        refused: The reason of the ``failed`` row of each blob that cannot be read, by prefix of its name.
    """

    def __init__(  # noqa: PLR0913 - named at its calls
        self,
        connection_string: str,
        *,
        incoming: str,
        results: str,
        table: str = "classifications",
        classifier: ImageClassifier,
        max_bytes: int,
        ignored_prefix: str,
        refused: Mapping[str, str],
    ) -> None:
        blobs = BlobServiceClient.from_connection_string(connection_string)
        self._tables = TableServiceClient.from_connection_string(connection_string)
        self._incoming = blobs.get_container_client(incoming)
        self._sidecars = blobs.get_container_client(results)
        self._container, self._results = incoming, results
        self._table = table
        self._classifier = classifier
        self._max_bytes = max_bytes
        self._ignored_prefix = ignored_prefix
        self._refused = refused
        self._known: dict[str, Expected] = {}

    def check(self, uploaded: Collection[str]) -> CheckResult:
        """Check all blobs, rows, index rows and sidecars; ``uploaded`` holds every name a blob has had."""
        result = CheckResult()
        expected = self._expect_all()
        rows = _by_name(self._entities(self._table))
        index = _by_name(self._entities(f"{self._table}index"))
        sidecars = self._read_sidecars()
        result.images = len(expected)
        for name, row in expected.items():
            found, sidecar, index_rows = rows.pop(name, []), sidecars.pop(name, None), index.pop(name, [])
            if len(found) != 1:
                result.violations.append(Violation("duplicate row" if found else "missing row", name))
                result.violations += [Violation("index row without a row", name) for _ in index_rows]
                continue
            result.statuses[found[0]["status"]] += 1
            result.violations += self._compare(name, row, found[0], sidecar, index_rows)
        self._check_leftovers(result, uploaded, rows, sidecars, index)
        return result

    def _expect_all(self) -> dict[str, Expected]:
        """Classify every blob whose ETag is new since the last check."""
        listed = {
            blob.name: str(blob.etag).strip('"')
            for blob in self._incoming.list_blobs(include=["metadata"])
            if not blob.name.startswith(self._ignored_prefix) and "hdi_isfolder" not in (blob.metadata or {})
        }
        self._known = {name: row for name, row in self._known.items() if listed.get(name) == row.etag}
        with ThreadPoolExecutor(_THREADS) as pool:
            self._known.update(pool.map(self._expect, listed.keys() - self._known.keys()))
        return self._known

    def _expect(self, name: str) -> tuple[str, Expected]:
        blob = self._incoming.get_blob_client(name)
        for prefix, reason in self._refused.items():
            if name.startswith(prefix):
                properties = blob.get_blob_properties()
                failed = {"status": "failed", "reason": reason, "model": "", "model_version": ""}
                return name, Expected(str(properties.etag).strip('"'), properties.size, failed)
        download = blob.download_blob()
        content = download.readall()
        etag = str(download.properties.etag).strip('"')
        if len(content) > self._max_bytes:
            return name, Expected(etag, len(content), {"status": "rejected", "reason": "too_many_bytes"})
        try:
            answer = self._classifier.classify(content)
        except PermanentError as error:
            return name, Expected(etag, len(content), {"status": "rejected", "reason": str(error.reason)})
        decided = {"label": answer.label, "label_index": answer.label_index, "score": answer.score}
        if answer.decision and answer.scores:
            decided = {
                **answer.decision.decide(answer.scores, name)._asdict(),
                "decision_version": answer.decision.version,
            }
        columns = {
            "status": "classified",
            **decided,
            "width": answer.image.width,
            "height": answer.image.height,
            "format": answer.image.format,
        }
        return name, Expected(etag, len(content), columns)

    def _compare(
        self, name: str, expected: Expected, row: Document, sidecar: Document | None, index_rows: Iterable[Document]
    ) -> Iterable[Violation]:
        """Compare one image's row, sidecar and index rows with what its content requires."""
        columns = {
            **dict(zip(("PartitionKey", "RowKey"), row_keys(self._container, name), strict=True)),
            "container": self._container,
            "content_length": expected.content_length,
            "model": self._classifier.model.name,
            "model_version": self._classifier.model.version,
            "sidecar": f"{self._results}/{name}.json",
            "label": None,
            "label_index": None,
            "score": None,
            "decision_version": None,
            "reason": None,
            **expected.columns,
        }
        if row["etag"].strip('"') != expected.etag:
            yield Violation("stale row", name, f"{row['status']} {row['etag']}, the blob has {expected.etag}")
        elif row["status"] == "failed" != expected.columns["status"]:
            yield Violation("failed row", name, str(row.get("detail")))
        else:
            yield from (
                Violation("wrong row", name, f"{column} is {row.get(column)!r}, not {value!r}")
                for column, value in columns.items()
                if not _equal(row.get(column), value)
            )
        yield from self._differences(name, row, sidecar, index_rows)

    def _differences(
        self, name: str, row: Document, sidecar: Document | None, index_rows: Iterable[Document]
    ) -> Iterable[Violation]:
        """Compare sidecar and index rows with the row."""
        if not isinstance(row.get("classified_at"), datetime):
            yield Violation("unreadable row", name)
            return
        if sidecar is None:
            yield Violation("missing sidecar", name)
        else:
            for column in (row.keys() | sidecar.keys()) - _OWN_COLUMNS - _SIDECAR_ONLY - _RACES:
                if not _equal(row.get(column), _parse_time(column, sidecar.get(column))):
                    detail = f"{column}: row {row.get(column)!r}, sidecar {sidecar.get(column)!r}"
                    yield Violation("sidecar differs", name, detail)
            if sidecar.get("predictions") != _parsed(row.get("top_k", "[]")):
                yield Violation("sidecar differs", name, "predictions")
        missing = set(index_keys(row))
        for index_row in index_rows:
            keys = index_row["PartitionKey"], index_row["RowKey"]
            if keys not in missing:
                yield Violation("false index row", name, f"{keys[0]} {index_row['etag']}")
            elif any(
                not _equal(index_row.get(column), row.get(column))
                for column in (row.keys() | index_row.keys()) - _OWN_COLUMNS - _RACES
            ):
                yield Violation("index row differs", name, keys[0])
            missing.discard(keys)
        yield from (Violation("missing index row", name, keys[0]) for keys in missing)

    def _check_leftovers(
        self,
        result: CheckResult,
        uploaded: Collection[str],
        rows: Mapping[str, list[Document]],
        sidecars: Mapping[str, Document],
        index: Mapping[str, list[Document]],
    ) -> None:
        """Check the results without a blob: they must belong to a blob that was deleted."""
        for name in rows.keys() | sidecars.keys() | index.keys():
            found, sidecar, index_rows = rows.get(name, []), sidecars.get(name), index.get(name, [])
            if name not in uploaded:
                result.violations.append(Violation("results without a blob", name))
            elif len(found) > 1:
                result.violations.append(Violation("duplicate row", name))
            elif found:
                is_consistent = not any(self._differences(name, found[0], sidecar, index_rows))
                result.leftovers["deleted, with row" if is_consistent else "deleted, inconsistent"] += 1
            else:
                result.leftovers["deleted, without row"] += 1

    def _entities(self, table: str) -> list[Document]:
        try:
            return list(self._tables.get_table_client(table).list_entities())
        except ResourceNotFoundError:
            return []

    def _read_sidecars(self) -> dict[str, Document]:
        """Read every sidecar, by blob name of its image."""

        def read(name: str) -> tuple[str, Document]:
            return name.removesuffix(".json"), json.loads(self._sidecars.download_blob(name).readall())

        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(pool.map(read, list(self._sidecars.list_blob_names())))


def _by_name(entities: Iterable[Document]) -> dict[str, list[Document]]:
    by_name: dict[str, list[Document]] = defaultdict(list)
    for entity in entities:
        by_name[entity["blob_name"]].append(entity)
    return by_name


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _SCORE_TOLERANCE
    return bool(one == other)


def _parse_time(column: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if column in ("classified_at", "blob_last_modified") and value else value
