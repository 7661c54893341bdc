"""Says whether every image ended in exactly one truthful row: from what is in storage, and nobody's word.

Independent on purpose: it asks the container what the blobs' bytes are now, classifies them itself, derives keys from
the documented rules by code of its own, and reads rows, sidecars and index rows as plain documents. Nothing of
``storage`` is imported here.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from inference.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from inference.predictions import ImageClassifier

    Document = Mapping[str, Any]

_THREADS = 4
_SCORE_TOLERANCE = 1e-6
_INDEX_COLUMNS = ("container", "blob_name", "status", "label", "score", "etag", "classified_at")
_OWN_COLUMNS = {"PartitionKey", "RowKey"}  # a row has them, a sidecar does not
_SIDECAR_ONLY = {"schema_version", "predictions"}
_RACES = {"superseded", "shared"}  # memory of attempts that raced; no part of the verdict


class Wrong(NamedTuple):
    """One thing that is not as it should be."""

    kind: str
    image: str
    detail: str = ""


@dataclass
class Verdict:
    """What the checker found.

    Attributes:
        images: Blobs that are there and have to have a row.
        statuses: How many rows of them say what.
        wrong: Everything that breaks the promise.
        remains: What is left of deleted blobs, which only ``reconcile --prune`` removes: kind to count.
    """

    images: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[Wrong] = field(default_factory=list)
    remains: Counter[str] = field(default_factory=Counter)

    @property
    def kinds(self) -> Counter[str]:
        """How often each kind of wrong occurs."""
        return Counter(wrong.kind for wrong in self.wrong)


class Truth(NamedTuple):
    """What a row has to say about the bytes that are there now."""

    etag: str
    content_length: int
    says: Document


class Checker:
    """Compares what is in storage with what the blobs' bytes give.

    Args:
        connection_string: Straight to storage.
        incoming: The container of the images.
        table: The results table; the index table is the same name and ``index``.
        results: The container of the sidecars.
        classifier: Judges the bytes again.
        max_bytes: Blobs of more bytes are to be rejected.
        passed_over: Prefix of blobs that are to have no row.
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
        passed_over: str,
    ) -> None:
        blobs = BlobServiceClient.from_connection_string(connection_string)
        self._tables = TableServiceClient.from_connection_string(connection_string)
        self._incoming = blobs.get_container_client(incoming)
        self._sidecars = blobs.get_container_client(results)
        self._container, self._results = incoming, results
        self._table = table
        self._classifier = classifier
        self._max_bytes = max_bytes
        self._passed_over = passed_over
        self._known: dict[str, Truth] = {}

    def check(self, ever: Collection[str]) -> Verdict:
        """Look at everything; ``ever`` are the names that blobs have had, so that what never was is told apart."""
        verdict = Verdict()
        truths = self._truths()
        rows = _by_name(self._entities(self._table))
        index = _by_name(self._entities(f"{self._table}index"))
        sidecars = self._read_sidecars()
        verdict.images = len(truths)
        for name, truth in truths.items():
            found = rows.pop(name, [])
            beside, claims = sidecars.pop(name, None), index.pop(name, [])
            if len(found) != 1:
                verdict.wrong.append(Wrong("doubled row" if found else "missing row", name))
                verdict.wrong += [Wrong("index row without a row", name) for _ in claims]
                continue
            verdict.statuses[found[0]["status"]] += 1
            verdict.wrong += self._judged(name, truth, found[0], beside, claims)
        self._judge_remains(verdict, ever, rows, sidecars, index)
        return verdict

    def _truths(self) -> dict[str, Truth]:
        """What is to be said of each blob; a content that was judged before is not judged again."""
        listed = {
            blob.name: str(blob.etag).strip('"')
            for blob in self._incoming.list_blobs()
            if not blob.name.startswith(self._passed_over)
        }
        self._known = {name: truth for name, truth in self._known.items() if listed.get(name) == truth.etag}
        with ThreadPoolExecutor(_THREADS) as pool:
            self._known.update(pool.map(self._truth, listed.keys() - self._known.keys()))
        return self._known

    def _truth(self, name: str) -> tuple[str, Truth]:
        download = self._incoming.get_blob_client(name).download_blob()
        content = download.readall()
        etag = str(download.properties.etag).strip('"')
        if len(content) > self._max_bytes:
            return name, Truth(etag, len(content), {"status": "rejected", "reason": "too_many_bytes"})
        try:
            answer = self._classifier.classify(content)
        except PermanentError as error:
            return name, Truth(etag, len(content), {"status": "rejected", "reason": str(error.reason)})
        says = {
            "status": "classified",
            "label": answer.label,
            "label_index": answer.label_index,
            "score": answer.score,
            "width": answer.image.width,
            "height": answer.image.height,
            "format": answer.image.format,
        }
        return name, Truth(etag, len(content), says)

    def _judged(
        self, name: str, truth: Truth, row: Document, beside: Document | None, claims: Iterable[Document]
    ) -> Iterable[Wrong]:
        """Everything that is wrong with one image."""
        wanted = {
            **dict(zip(("PartitionKey", "RowKey"), _row_keys(self._container, name), strict=True)),
            "container": self._container,
            "content_length": truth.content_length,
            "model": self._classifier.model.name,
            "model_version": self._classifier.model.version,
            "sidecar": f"{self._results}/{name}.json",
            "label": None,
            "label_index": None,
            "score": None,
            "reason": None,
            **truth.says,
        }
        if row["etag"].strip('"') != truth.etag:
            yield Wrong("stale row", name, f"{row['status']} {row['etag']}, the blob has {truth.etag}")
        elif row["status"] == "failed":
            yield Wrong("failed row", name, str(row.get("detail")))
        else:
            yield from (
                Wrong("wrong row", name, f"{column} is {row.get(column)!r}, not {value!r}")
                for column, value in wanted.items()
                if not _equal(row.get(column), value)
            )
        yield from self._at_odds(name, row, beside, claims)

    def _at_odds(
        self, name: str, row: Document, beside: Document | None, claims: Iterable[Document]
    ) -> Iterable[Wrong]:
        """Where sidecar and index rows do not say what the row says."""
        if beside is None:
            yield Wrong("missing sidecar", name)
        else:
            for column in (row.keys() | beside.keys()) - _OWN_COLUMNS - _SIDECAR_ONLY - _RACES:
                if not _equal(row.get(column), _timed(column, beside.get(column))):
                    told = f"{column}: row {row.get(column)!r}, sidecar {beside.get(column)!r}"
                    yield Wrong("sidecar at odds", name, told)
            if beside.get("predictions") != json.loads(row.get("top_k", "[]")):
                yield Wrong("sidecar at odds", name, "predictions")
        wanted = set(_index_keys(row))
        for claim in claims:
            keys = claim["PartitionKey"], claim["RowKey"]
            if keys not in wanted:
                yield Wrong("index row that lies", name, f"{keys[0]} {claim['etag']}")
            elif any(not _equal(claim.get(column), row.get(column)) for column in _INDEX_COLUMNS):
                yield Wrong("index row at odds", name, keys[0])
            wanted.discard(keys)
        yield from (Wrong("missing index row", name, keys[0]) for keys in wanted)

    def _judge_remains(
        self,
        verdict: Verdict,
        ever: Collection[str],
        rows: Mapping[str, list[Document]],
        sidecars: Mapping[str, Document],
        index: Mapping[str, list[Document]],
    ) -> None:
        """What is left when the existing images are taken away: of deleted blobs, or it should not be there."""
        for name in rows.keys() | sidecars.keys() | index.keys():
            found, beside, claims = rows.get(name, []), sidecars.get(name), index.get(name, [])
            if name not in ever:
                verdict.wrong.append(Wrong("results of nothing", name))
            elif len(found) > 1:
                verdict.wrong.append(Wrong("doubled row", name))
            elif found:
                odds = list(self._at_odds(name, found[0], beside, claims))
                verdict.remains["deleted, with row" if not odds else "deleted, row at odds"] += 1
            else:
                verdict.remains["deleted, half-written"] += 1

    def _entities(self, table: str) -> list[Document]:
        try:
            return list(self._tables.get_table_client(table).list_entities())
        except ResourceNotFoundError:
            return []

    def _read_sidecars(self) -> dict[str, Document]:
        """Every blob of the results container by the name of its image."""

        def read(name: str) -> tuple[str, Document]:
            return name.removesuffix(".json"), json.loads(self._sidecars.download_blob(name).readall())

        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(pool.map(read, list(self._sidecars.list_blob_names())))


def _by_name(entities: Iterable[Document]) -> dict[str, list[Document]]:
    named: dict[str, list[Document]] = defaultdict(list)
    for entity in entities:
        named[entity["blob_name"]].append(entity)
    return named


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _SCORE_TOLERANCE
    return bool(one == other)


def _timed(column: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if column in ("classified_at", "blob_last_modified") and value else value


def _row_keys(container: str, name: str) -> tuple[str, str]:
    """PartitionKey is container and folder, RowKey the file name; slashes become bars."""
    parts = [_escaped(part) for part in f"{container}/{name}".split("/")]
    return "|".join(parts[:-1]), parts[-1]


def _index_keys(row: Document) -> Iterable[tuple[str, str]]:
    """By status, and by label where there is one; newest day first, newest moment first."""
    moment: datetime = row["classified_at"].astimezone(UTC)
    microseconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    image = hashlib.sha256(f"{row['container']}/{row['blob_name']}".encode()).hexdigest()[:32]
    row_key = f"{10**18 - 1 - microseconds:018}|{image}"
    for kind in ("status", "label"):
        if row.get(kind) is not None:
            yield f"{kind}|{_escaped(row[kind])}|{99_999_999 - int(f'{moment:%Y%m%d}'):08}", row_key


def _escaped(text: str) -> str:
    """What a key may not hold, as ``=`` and two hexadecimal digits for each byte of UTF-8."""
    return "".join(
        "".join(f"={byte:02X}" for byte in letter.encode())
        if letter in "/\\#?%|='" or ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0
        else letter
        for letter in text
    )
