"""Results of many invented images, and their rows in the tables. The same numbers always give the same rows."""

from __future__ import annotations

import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from inference.predictions import Prediction
from storage.results.index_rows import index_rows
from storage.results.record import Record, Status
from storage.results.serialization import to_entity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from azure.data.tables import TableServiceClient

CONTAINER = "incoming"
START = datetime(2026, 10, 1, tzinfo=UTC)
"""When the first image was classified; the last one was 30 days later."""
_DAYS = 30
_FIRST_CAPTURE = datetime(2024, 10, 1, tzinfo=UTC)
_CAPTURE_DAYS = 730
_LABELS = ("fox", "deer", "boar", "hare", "owl", "badger", "marten", "wolf", "lynx", "empty")
_WEIGHTS = (5, 20, 15, 10, 2, 5, 2, 1, 1, 39)
_CAMERAS = (("RECONYX", "HYPERFIRE 2"), ("BUSHNELL", "Core DS"), ("Browning", "BTC-8E"), (None, None))
_TRANSACTION = 100  # the most entities that one takes
_THREADS = 4


def invented(images: int, folders: int, seed: int) -> Iterator[Record]:
    """Yield the results in the order of their classification; an image's folder has nothing to do with that order.

    Args:
        images: Their number.
        folders: Each has one camera.
        seed: Of the random choices.
    """
    choose = random.Random(seed)
    for number in range(images):
        folder = choose.randrange(folders)
        name = f"site {folder:04}/{number:07}.jpg"
        common: dict[str, Any] = {
            "container": CONTAINER,
            "blob_name": name,
            "etag": f"0x8DE{number:012X}",
            "model": "animals",
            "model_version": "5f0e5b0c2a11" if number < images * 0.6 else "9b6c1d7e4f20",
            "classified_at": START + timedelta(days=_DAYS) * number / images,
            "sidecar": f"results/{name}.json",
            "content_length": choose.randrange(500_000, 4_000_000),
            "blob_last_modified": START + timedelta(days=_DAYS) * number / images,
            "queue_delay_ms": 1000,
            "duration_ms": 60,
            "content_md5": f"{choose.getrandbits(128):032x}",
        }
        kind = choose.random()
        if kind < 0.01:
            yield Record(**common, status=Status.FAILED, reason="gave_up", detail="Reading the blob failed for now.")
        elif kind < 0.03:
            reason = choose.choice(["truncated", "damaged", "not_an_image"])
            yield Record(**common, status=Status.REJECTED, reason=reason, detail="The file cannot be decoded.")
        else:
            yield _classified(common, folder, number, choose)


def _classified(common: dict[str, Any], folder: int, number: int, choose: random.Random) -> Record:
    # Three images of the rarest label, however many images there are.
    label = "bear" if number % 40_000 == 7 else choose.choices(_LABELS, _WEIGHTS)[0]
    score = round(choose.uniform(0.4, 1), 4)
    make, model = _CAMERAS[folder % len(_CAMERAS)]
    taken = _FIRST_CAPTURE + timedelta(seconds=choose.randrange(_CAPTURE_DAYS * 86_400))
    return Record(
        **common,
        status=Status.CLASSIFIED,
        label=label,
        label_index=0,
        score=score,
        predictions=tuple(
            Prediction(each, place, score / (place + 1)) for place, each in enumerate((label, *_LABELS[:4]))
        ),
        width=3776,
        height=2124,
        format="jpeg",
        damaged=choose.random() < 0.005,
        taken_at=f"{taken:%Y-%m-%dT%H:%M:%S}" if model else None,
        taken_from="exif" if model else None,
        camera_make=make,
        camera_model=model,
        camera_serial=f"SN{folder:05}" if model else None,
        phash=f"{choose.getrandbits(64):016x}",
    )


def fill(tables: TableServiceClient, table: str, records: Iterable[Record]) -> int:
    """Write row and index rows of each result, in transactions of one partition; return the number of entities.

    Args:
        tables: The account.
        table: The name of the results table, which is created with its index.
        records: The results.
    """
    clients = {name: tables.create_table_if_not_exists(name) for name in (table, f"{table}index")}

    def send(place: tuple[str, str], entities: list[dict[str, Any]]) -> int:
        clients[place[0]].submit_transaction([("create", entity) for entity in entities])
        return len(entities)

    with ThreadPoolExecutor(_THREADS) as pool:
        return sum(pool.map(send, *zip(*_transactions(table, records), strict=True)))


def _transactions(table: str, records: Iterable[Record]) -> Iterator[tuple[tuple[str, str], list[dict[str, Any]]]]:
    """Yield the entities of each transaction, with their table and partition."""
    waiting: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        entities = [(table, to_entity(record)), *((f"{table}index", row.to_entity()) for row in index_rows(record))]
        for name, entity in entities:
            place = (name, str(entity["PartitionKey"]))
            waiting[place].append(entity)
            if len(waiting[place]) == _TRANSACTION:
                yield place, waiting.pop(place)
    yield from waiting.items()
