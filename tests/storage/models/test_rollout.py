"""Two workers while a model is rolled out and rolled back, on a real Azurite: the model that is published now wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from inference.predictions import ModelIdentity
from storage.blob_folder import BlobFolder
from storage.models.blob_models import BlobModel
from storage.models.cache import ModelCache
from storage.models.hot_swap import HotSwapModel
from storage.models.publish import publish
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.outcome import Outcome
from storage.pipeline.stores import Stores
from tests.storage.samples import FixedClassifier
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from storage.pipeline.outcome import Finished
    from storage.results.record import Image
    from tests.conftest import Names
    from tests.storage.conftest import Account

NEVER_SECONDS = 10.0**9


@dataclass
class Place:
    """The place of the models, and the workers that follow it."""

    account: Account
    folder: BlobFolder
    local: Path

    def publish(self, version: str) -> None:
        file = self.local / f"{version}.onnx"
        file.write_text(version)
        publish(self.account.clients.blobs, self.folder, {"model.onnx": file})

    def worker(self) -> Worker:
        """A worker that has loaded the current model and would not look for another one by itself."""
        source = BlobModel(self.account.clients.blobs, self.folder, ModelCache(self.local / "cache"))
        models = HotSwapModel([source], _load, refresh_seconds=NEVER_SECONDS)
        models.current()
        stores = Stores(self.account.source, self.account.results, is_current_model=models.is_current)
        return Worker(models, stores)


@dataclass
class Worker:
    models: HotSwapModel[FixedClassifier]
    stores: Stores

    def deliver(self, image: Image) -> Finished:
        return classify_blob(self.stores, self.models.current(), image)

    def version(self) -> str:
        return self.models.current().model.version


def _load(folder: Path) -> FixedClassifier:
    version = (folder / "model.onnx").read_text()
    return FixedClassifier(f"label of {version}", ModelIdentity("birds", version))


@pytest.fixture
def place(account: Account, names: Names, tmp_path: Path) -> Place:
    return Place(account, BlobFolder(names.container("models"), "birds"), tmp_path)


@pytest.fixture
def image(account: Account) -> Image:
    account.upload("a.jpg", b"content")
    return account.image("a.jpg")


def model_of_row(place: Place, image: Image) -> str:
    row, sidecar = place.account.results.read_row(image), place.account.results.read_sidecar(image)
    assert row
    assert row.record
    assert sidecar
    assert sidecar.record
    assert row.record.model_version == sidecar.record.model_version
    assert row.record.label == f"label of {row.record.model_version}"
    return row.record.model_version


def test_a_worker_that_has_not_refreshed_keeps_the_new_result_and_refreshes(place: Place, image: Image) -> None:
    place.publish("v1")
    stale = place.worker()
    assert stale.deliver(image).outcome is Outcome.COMMITTED
    place.publish("v2")
    fresh = place.worker()
    assert fresh.deliver(image).outcome is Outcome.COMMITTED
    assert model_of_row(place, image) == "v2"
    late = stale.deliver(image)
    assert late.outcome is Outcome.DUPLICATE
    assert late.record is not None
    assert late.record.model_version == "v2"
    assert model_of_row(place, image) == "v2"
    until(lambda: stale.version() == "v2")
    assert stale.deliver(image).outcome is Outcome.DUPLICATE


def test_a_roll_back_wins_over_the_newer_model(place: Place, image: Image) -> None:
    place.publish("v1")
    place.publish("v2")
    stale = place.worker()
    stale.deliver(image)
    place.publish("v1")
    fresh = place.worker()
    assert fresh.deliver(image).outcome is Outcome.COMMITTED
    assert model_of_row(place, image) == "v1"
    stale.deliver(image)
    assert model_of_row(place, image) == "v1"


def test_new_content_is_classified_by_a_worker_that_has_not_refreshed(place: Place, image: Image) -> None:
    """A result of the old model is better than none; backfill classifies with the new one."""
    place.publish("v1")
    stale = place.worker()
    place.publish("v2")
    place.worker().deliver(image)
    place.account.upload(image.blob_name, b"new")
    assert stale.deliver(image).outcome is Outcome.COMMITTED
    assert model_of_row(place, image) == "v1"
