"""The label of an upload is the decision about its scores and its name; the predictions stay those of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from inference.predictions import Decided
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.outcome import Outcome
from storage.pipeline.stores import Stores
from storage.results.record import Image
from tests.storage.fakes import MemoryAccount, MemoryResults, MemorySource
from tests.storage.samples import SCORES, FixedClassifier


@dataclass
class ByFolder:
    """Rules that name the folder."""

    version: str

    def decide(self, scores: bytes, blob_name: str) -> Decided:
        assert scores == SCORES
        return Decided(f"{blob_name.partition('/')[0]} {self.version}", None, 0.5)


@pytest.mark.parametrize("keep_scores", [True, False])
def test_an_upload_is_decided_and_a_duplicate_changes_nothing(*, keep_scores: bool) -> None:
    account = MemoryAccount()
    results = MemoryResults(account)
    stores = Stores(cast(Any, MemorySource(account)), cast(Any, results), keep_scores=keep_scores)
    image = Image("incoming", "site/a.jpg")
    account.upload(image, b"photo")
    for version, outcome in (("1", Outcome.COMMITTED), ("2", Outcome.DUPLICATE)):
        assert classify_blob(stores, FixedClassifier(decision=ByFolder(version)), image).outcome is outcome
        row, sidecar = results.read_row(image), results.read_sidecar(image)
        assert row
        assert row.record
        assert sidecar
        assert sidecar.record == row.record
        decided = (row.record.label, row.record.label_index, row.record.score, row.record.decision_version)
        assert decided == ("site 1", None, 0.5, "1")
        assert [prediction.label for prediction in row.record.predictions] == ["cat"]
        assert sidecar.record.scores == (SCORES if keep_scores else None)
