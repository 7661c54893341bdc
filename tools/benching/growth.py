"""How costs grow: an image's with the rows that are there already, planning's and reconciling's with the images.

    python -m tools.benching.growth rows   --sizes 1 1000 10000 100000    --into growth.json
    python -m tools.benching.growth images --sizes 500 1000 2000          --into growth.json
    python -m tools.benching.growth names  --sizes 10000 100000 1000000   --into growth.json
    python -m tools.benching.growth_plot growth.json docs/img/growth.svg

Nothing is inferred, and an image is a few bytes. CPU time of this process and of the emulator are told apart: Azurite
searches through its rows where Table Storage has an index.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.predictions import Classification, ImageInfo, ModelIdentity, Prediction
from storage.batch import BatchedResults
from storage.blobs import SourceBlobs
from storage.clients import Clients, connect
from storage.reconcile import Reconciliation
from storage.records import Image, Record, Status
from storage.results import Results
from storage.settings import Connection
from storage.settle import Desk, settle
from tools.azurite import running
from tools.backfilling.counts import Counts
from tools.backfilling.here import backfill_here
from tools.backfilling.line import Line
from tools.backfilling.selection import Selection
from tools.benching.growth_names import plan_in_memory
from tools.benching.machine import read
from tools.benching.requests_seen import requests_seen
from tools.terminal import hushed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tools.azurite import Azurite

Point = dict[str, Any]

_MODEL = ModelIdentity("growth", "0123456789ab")
_ROUNDS, _IMAGES = 5, 20
_FOLDERS = 100
_TRANSACTION = 100


class Constant:
    """Says the same of every image, at once."""

    model = _MODEL

    def classify(self, _content: bytes) -> Classification:
        """See ``Classifies``."""
        return Classification("cat", 0, 0.75, (Prediction("cat", 0, 0.75),), ImageInfo(8, 6, "png"), _MODEL)


@dataclass(frozen=True, slots=True)
class Place:
    """Containers and tables of their own in the emulator."""

    clients: Clients
    name: str

    @property
    def results(self) -> BatchedResults:
        """What stands there."""
        return BatchedResults(self.clients, table=self.name, container=f"{self.name}-results")

    @property
    def desk(self) -> Desk:
        """What settling there needs."""
        results = Results(self.clients, table=self.name, container=f"{self.name}-results")
        return Desk(SourceBlobs(self.clients.blobs, 2**20), results)

    def upload(self, names: Iterable[str]) -> list[Image]:
        """Put a few bytes under each name."""
        container = self.clients.blobs.get_container_client(self.name)
        if not container.exists():
            container.create_container()
        with ThreadPoolExecutor(4) as pool:
            done = pool.map(lambda name: (container.upload_blob(name, name.encode()), name), names)
        return [Image(self.name, name) for _, name in done]

    def fill(self, names: Iterable[str]) -> None:
        """Write the row and the index rows of each name, as if there were an image that has been classified."""
        rows: list[dict[str, Any]] = []
        index: list[dict[str, Any]] = []
        for name in names:
            record = Record(
                container=self.name,
                blob_name=name,
                status=Status.CLASSIFIED,
                etag="0x1",
                model=_MODEL.name,
                model_version=_MODEL.version,
                classified_at=datetime.now(UTC),
                sidecar=f"{self.name}-results/{name}.json",
                label="cat",
                label_index=0,
                score=0.75,
            )
            rows.append(record.to_entity())
            index += [
                {"PartitionKey": row.keys.partition_key, "RowKey": row.keys.row_key, **row.columns}
                for row in record.index_rows()
            ]
        for table, entities in ((self.name, rows), (f"{self.name}index", index)):
            client = self.clients.tables.create_table_if_not_exists(table)
            entities.sort(key=_partition)
            for _, of_one in groupby(entities, key=_partition):
                while together := list(islice(of_one, _TRANSACTION)):
                    client.submit_transaction([("upsert", entity) for entity in together])


def _partition(entity: dict[str, Any]) -> str:
    return str(entity["PartitionKey"])


def rows(azurite: Azurite, clients: Clients, sizes: list[int]) -> Iterator[Point]:
    """Settle fresh images beside ever more rows, in turns with fresh images beside next to none."""
    empty, full = Place(clients, "empty"), Place(clients, "full")
    present = 0
    for place in (empty, full):
        settle(place.desk, Constant(), place.upload(["first.jpg"])[0])  # makes the tables
    for size in sizes:
        if size > present:
            full.fill(_name(number) for number in range(present, size))
            present = size
        taken: dict[tuple[str, str], list[Point]] = {}
        for turn in range(_ROUNDS):
            for place in (empty, full):
                for folder in ("crowded", "spread"):
                    names = [_fresh(folder, size, turn, number) for number in range(_IMAGES)]
                    images, desk = place.upload(names), place.desk
                    point = _cost(azurite, _IMAGES, lambda: [settle(desk, Constant(), image) for image in images])  # noqa: B023
                    taken.setdefault((place.name, folder), []).append(point)
        for (place_name, folder), points in taken.items():
            middle = {name: round(statistics.median(point[name] for point in points), 3) for name in points[0]}
            yield {"rows": size, "beside": place_name, "folder": folder, **middle}


def _name(number: int) -> str:
    """Every other row is in one folder, the rest in a hundred."""
    return f"crowded/{number:07}.jpg" if number % 2 else f"spread {number // 2 % _FOLDERS:02}/{number:07}.jpg"


def _fresh(folder: str, size: int, turn: int, number: int) -> str:
    name = f"fresh-{size}-{turn}-{number}.jpg"
    return f"crowded/{name}" if folder == "crowded" else f"spread {number:02}/{name}"


def images(azurite: Azurite, clients: Clients, sizes: list[int]) -> Iterator[Point]:
    """Plan a backfill and reconcile, with ever more images that have their results."""
    place = Place(clients, "images")
    present = 0
    for size in sizes:
        place.upload(f"folder {number % 10}/{number:07}.jpg" for number in range(present, size))
        present = size
        selection = Selection(place.desk, place.name, _MODEL.version)
        backfill_here(selection, Line(place.desk, place.results, Constant(), 2), Counts())
        reconciliation = Reconciliation(place.desk, None, place.name)
        for name, work in (("plan", lambda: sum(1 for _ in selection)), ("reconcile", reconciliation.run)):  # noqa: B023
            points = [_cost(azurite, 1, work) for _ in range(3)]
            yield {"images": size, "work": name} | {
                key: round(statistics.median(point[key] for point in points), 3) for key in points[0]
            }


def names(_azurite: Azurite, _clients: Clients, sizes: list[int]) -> Iterator[Point]:
    """Plan over so many names, half of them done: listing and table are made up as they are read."""
    for size in sizes:
        yield plan_in_memory(size)


def _cost(azurite: Azurite, units: int, work: Callable[[], object]) -> Point:
    """What one unit takes: CPU milliseconds here and in the emulator, and requests."""
    ports = {port: service for service, port in azurite.ports._asdict().items()}
    with requests_seen(ports) as seen:
        before, ours = read([azurite.process_id]), time.process_time()
        work()
        ours, after = time.process_time() - ours, read([azurite.process_id])
    emulator = (after.ours - before.ours) if before and after else 0.0
    return {"cpu_ms": ours * 1000 / units, "azurite_ms": emulator * 1000 / units, "requests": len(seen) / units}


_PARTS = {"rows": rows, "images": images, "names": names}


def main() -> None:
    """Measure one part; what is measured is written down as it comes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=_PARTS)
    parser.add_argument("--sizes", type=int, nargs="+", required=True)
    parser.add_argument("--into", type=Path, required=True, metavar="FILE", help="JSON; other parts in it are kept")
    args = parser.parse_args()
    points: list[Point] = []
    with hushed("storage"), running(in_memory=True) as azurite:
        clients = connect(Connection("ImageStorage", azurite.connection_string))
        for point in _PARTS[args.part](azurite, clients, sorted(args.sizes)):
            print(json.dumps(point), flush=True)
            points.append(point)
            kept = json.loads(args.into.read_text(encoding="utf-8")) if args.into.is_file() else {}
            args.into.write_text(json.dumps(kept | {args.part: points}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
