"""Results of the sample model with scores of a test's choice, written without a photo or a run of the model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from inference import classifier
from inference.postprocess import top_predictions
from inference.scores import pack_scores
from storage.results.index_rows import index_rows
from storage.results.transactions import BatchedResults
from tests.storage.samples import record
from tools import account as account_module
from tools.failures.first_request import FirstRequestSession

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.results.record import Record
    from tools.account import Account

SHAPES = Path(__file__).parents[3] / "models" / "shapes"
SPEC = classifier.load(SHAPES).spec


def result(account: Account, name: str, scores: Iterable[float], **changes: Any) -> Record:
    """A classified record with these scores of the ten labels, as an upload without rules writes it."""
    values = np.array(list(scores))
    predictions = top_predictions(SPEC.labels, values, 5)
    settings = account.settings
    fields: dict[str, Any] = {
        **predictions[0]._asdict(),
        "container": settings.incoming_container,
        "sidecar": f"{settings.results_container}/{name}.json",
        "model": SPEC.identity.name,
        "model_version": SPEC.identity.version,
        "predictions": predictions,
        "scores": pack_scores(values),
    }
    return record(name, **fields | changes)


def write(account: Account, *records: Record) -> None:
    """Write results whole: sidecar, index rows and row of each."""
    settings = account.settings
    results = BatchedResults(account.clients, table=settings.results_table, container=settings.results_container)

    def write_one(each: Record) -> None:
        with results.participating():
            results.write_sidecar(each, None)
            for row in index_rows(each):
                results.write_index_row(row)
            results.write_row(each, None)

    write_one(records[0])  # it creates the tables and the container
    with ThreadPoolExecutor(100) as pool:
        list(pool.map(write_one, records[1:]))


@contextmanager
def counted_requests() -> Iterator[list[str]]:
    """Every request of commands that run meanwhile, as ``METHOD url``."""
    seen: list[str] = []

    class Counting(FirstRequestSession):
        def request(self, method: str, url: str, **options: Any) -> Any:  # type: ignore[override]
            seen.append(f"{method} {url}")
            return super().request(method, url, **options)

    with patch.object(account_module, "FirstRequestSession", Counting):
        yield seen
