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
        ("SHADOW_MODEL_BLOB", "https://photos.blob.core.windows.net/models/birds?sig=hunter2"),
        ("SHADOW_SHARE", "1.1"),
        ("SHADOW_SHARE", "-0.1"),
        ("SHADOW_SHARE", "nan"),
        ("SHADOW_SHARE", "half"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must be ") as raised:
        settings(**{name: value})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("container", ["incoming", "results"])
def test_a_model_among_images_or_results_is_refused(container: str) -> None:
    for name in ("MODEL_BLOB", "SHADOW_MODEL_BLOB"):
        with pytest.raises(SettingsError, match=f"^{name} lies in INCOMING_CONTAINER or RESULTS_CONTAINER"):
            settings(**{name: f"{container}/model"})


def test_a_candidate_takes_the_place_of_the_model() -> None:
    assert settings().with_candidate() is None
    assert settings(SHADOW_SHARE="1").with_candidate() is None
    assert settings(SHADOW_MODEL_DIR="/models/new", SHADOW_SHARE="0").with_candidate() is None
    trial = settings(SHADOW_MODEL_DIR="/models/new", MODEL_BLOB="models/birds", DECISION_BLOB="rules/decision.json")
    assert trial.shadow_share == 0.1
    made = trial.with_candidate()
    assert made is not None
    assert (made.model_dirs, made.model_blobs) == ((Path("/models/new").resolve(),), ())
    assert made.decision_blob == trial.decision_blob
    made = settings(SHADOW_MODEL_BLOB="models/new").with_candidate()
    assert made is not None
    assert (made.model_dirs, made.model_blobs) == ((), (BlobFolder("models", "new"),))
    with pytest.raises(SettingsError, match="SHADOW_MODEL_DIR and SHADOW_MODEL_BLOB both name a candidate"):
        settings(SHADOW_MODEL_DIR="/models/new", SHADOW_MODEL_BLOB="models/new")
