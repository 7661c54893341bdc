"""Which models the settings name: folders or blob storage, one or several, never both."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.blob_folder import BlobFolder
from storage.connection import DEVELOPMENT_STORAGE
from storage.errors import SettingsError
from storage.settings import APP_ROOT, Settings


def settings(**environ: str) -> Settings:
    return Settings.from_environ({"ImageStorage": DEVELOPMENT_STORAGE, **environ})


def test_the_model_that_ships_is_the_default() -> None:
    made = settings()
    assert (made.model_dirs, made.model_blobs) == ((APP_ROOT / "models" / "shapes",), ())
    assert (made.model_cache_dir, made.model_refresh_seconds) == (None, 300)


@pytest.mark.parametrize(
    ("value", "folders"),
    [
        ("/models/birds", ["/models/birds"]),
        ("/models/birds;/models/bats", ["/models/birds", "/models/bats"]),
        (" models/a ; models/b ;", [str(APP_ROOT / "models/a"), str(APP_ROOT / "models/b")]),
    ],
)
def test_semicolons_separate_folders(value: str, folders: list[str]) -> None:
    assert settings(MODEL_DIR=value).model_dirs == tuple(Path(folder).resolve() for folder in folders)


def test_blob_storage_wins_over_the_default_folder() -> None:
    """The example settings state the default, so stating it is no choice."""
    for environ in ({}, {"MODEL_DIR": "models/shapes"}, {"MODEL_DIR": ""}):
        made = settings(MODEL_BLOB="models/birds; models/bats/v2", **environ)
        assert made.model_blobs == (BlobFolder("models", "birds"), BlobFolder("models", "bats/v2"))
        assert made.model_dirs == ()


def test_two_places_for_the_model_are_one_too_many() -> None:
    with pytest.raises(SettingsError, match="MODEL_DIR and MODEL_BLOB both name a model"):
        settings(MODEL_DIR="models/mine", MODEL_BLOB="models/birds")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL_DIR", ";"),
        ("MODEL_BLOB", ";"),
        ("MODEL_BLOB", "Models/birds"),
        ("MODEL_BLOB", "https://photos.blob.core.windows.net/models/birds?sig=hunter2"),
        ("MODEL_BLOB", "models/birds;/bats"),
        ("MODEL_REFRESH_SECONDS", "-1"),
        ("MODEL_REFRESH_SECONDS", "soon"),
        ("MODEL_REFRESH_SECONDS", "604801"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must be ") as raised:
        settings(**{name: value})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("container", ["incoming", "results"])
def test_a_model_among_images_or_results_is_refused(container: str) -> None:
    with pytest.raises(SettingsError, match="MODEL_BLOB lies in INCOMING_CONTAINER or RESULTS_CONTAINER"):
        settings(MODEL_BLOB=f"{container}/model")
