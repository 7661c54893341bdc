from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from inference.errors import ConfigurationError
from tools.devhost.settings import host_id, load_settings, resolve

if TYPE_CHECKING:
    from pathlib import Path


def write_local(folder: Path, **values: object) -> None:
    (folder / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))


def test_the_environment_wins_over_local_settings_which_win_over_the_defaults(tmp_path: Path) -> None:
    write_local(tmp_path, INCOMING_CONTAINER="local", RESULTS_CONTAINER="local", TOP_K=3)
    settings = load_settings(tmp_path, {"INCOMING_CONTAINER": "environment"}, "")
    expected = {"INCOMING_CONTAINER": "environment", "RESULTS_CONTAINER": "local", "TOP_K": "3"}
    assert settings.items() >= expected.items()
    assert settings["BLOB_TRIGGER_SOURCE"] == "LogsAndContainerScan"


def test_the_short_form_of_the_emulators_connection_is_spelt_out(tmp_path: Path) -> None:
    write_local(tmp_path, AzureWebJobsStorage="UseDevelopmentStorage=true;")
    settings = load_settings(tmp_path, {"ImageStorage": "usedevelopmentstorage=TRUE"}, "spelt out")
    assert settings["AzureWebJobsStorage"] == settings["ImageStorage"] == "spelt out"


def test_encrypted_local_settings_are_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": true, "Values": {}}')
    with pytest.raises(ConfigurationError, match="func settings decrypt"):
        load_settings(tmp_path, {}, "")


def test_a_missing_setting_is_named_with_its_function() -> None:
    assert resolve("%A%/x-%B%/{name}", {"A": "a", "B": "b"}, "f") == "a/x-b/{name}"
    with pytest.raises(ConfigurationError, match=r"^f needs the setting C, which is not set"):
        resolve("%C%/{name}", {"A": "a"}, "f")


def test_the_host_id_is_stable_short_and_differs_between_folders(tmp_path: Path) -> None:
    mine, other = host_id(tmp_path / "a", {}), host_id(tmp_path / "b", {})
    assert mine == host_id(tmp_path / "a", {})
    assert mine != other
    assert mine == host_id(tmp_path / "a", {"INCOMING_CONTAINER": "incoming"})
    assert mine != host_id(tmp_path / "a", {"INCOMING_CONTAINER": "another-app"})
    assert len(mine) <= 32
    assert host_id(tmp_path, {"AzureFunctionsWebHost__hostid": "Chosen-1"}) == "chosen-1"
