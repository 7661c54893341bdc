"""Asks questions about many invented results on an emulator, and prints what each answer costs.

    python -m tools.maintainer.query_costs.measure --images 100000 --folders 1000 --json benchmarks/query.json

The answers are compared with the invented results, one by one. Times depend on the emulator, which compares each row
of a table with the filter; the numbers of requests do not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from storage.clients import connect
from storage.connection import Connection
from storage.query.plan import Filter
from storage.query.query import Query
from tools.azurite.azurite import running
from tools.maintainer.query_costs.questions import questions
from tools.maintainer.query_costs.rows import CONTAINER, fill, invented

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from azure.data.tables import TableServiceClient

    from storage.results.record import Record
    from tools.maintainer.query_costs.questions import Question

_TABLE = "classifications"


class Cost(NamedTuple):
    """What one answer costs.

    Attributes:
        question: The options of ``python -m tools query``.
        kind: Point, range or scan.
        rows: In the answer.
        requests: Of the table service.
        most_requests: The goal, 3 + rows / 1,000; ``None`` for a question that has to read a whole table.
        first_row_seconds: Until the first row, or until the end of an empty answer.
        seconds: Until the last row.
    """

    question: str
    kind: str
    rows: int
    requests: int
    most_requests: int | None
    first_row_seconds: float
    seconds: float

    def line(self) -> str:
        """Return the line of the table."""
        counts = f"{self.rows:,} | {self.requests:,}"
        return f"| `{self.question or 'no filter'}` | {counts} | {self.first_row_seconds:.2f} | {self.seconds:.2f} |"


def costs(tables: TableServiceClient, table: str, records: Sequence[Record]) -> Iterator[Cost]:
    """Ask every question.

    Args:
        tables: The account.
        table: The name of the results table.
        records: The results that it holds.

    Raises:
        ValueError: An answer has other images than those that match, or takes too many requests.
    """
    for question in questions(records[len(records) // 2].blob_name):
        cost, names = _ask(tables, table, question)
        if names != sorted(each.blob_name for each in records if question.matches(each)):
            raise ValueError(f"{question.options}: the answer has other images than those that match")
        if cost.most_requests is not None and cost.requests > cost.most_requests:
            raise ValueError(f"{question.options}: {cost.requests} requests for {cost.rows} rows")
        yield cost


def _ask(tables: TableServiceClient, table: str, question: Question) -> tuple[Cost, list[str]]:
    started = time.perf_counter()
    first = None
    names = []
    query = Query(tables, table, Filter(CONTAINER, **question.parts))
    for record in query.records():
        first = first or time.perf_counter() - started
        names.append(record.blob_name)
    seconds = time.perf_counter() - started
    most = 3 + len(names) // 1000 if question.goal else None
    kind = str(query.kind)
    return (
        Cost(question.options, kind, len(names), query.requests, most, round(first or seconds, 3), round(seconds, 3)),
        sorted(names),
    )


def main() -> None:
    """Fill an emulator, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="invented images (default: 100000)")
    parser.add_argument("--folders", type=int, default=1000, help="their folders (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="of the invented images (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to FILE")
    options = parser.parse_args()
    records = list(invented(options.images, options.folders, options.seed))
    with running(in_memory=True) as emulator:
        clients = connect(Connection("ImageStorage", emulator.connection_string))
        started = time.perf_counter()
        entities = fill(clients.tables, _TABLE, records)
        print(f"{entities:,} entities written in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
        print("| question | rows | requests | first row, s | all rows, s |\n|---|--:|--:|--:|--:|", flush=True)
        found = []
        for cost in costs(clients.tables, _TABLE, records):
            found.append(cost)
            print(cost.line(), flush=True)
        clients.close()
    if options.json:
        document = {
            "images": options.images,
            "folders": options.folders,
            "seed": options.seed,
            "entities": entities,
            "costs": [cost._asdict() for cost in found],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
