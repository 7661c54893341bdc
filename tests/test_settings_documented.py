"""What the app reads, what docs/settings.md says of it and what the example sets are one list, kept in three places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from storage.errors import SettingsError
from storage.settings import DEFAULTS, DEVELOPMENT_STORAGE, Settings
from tests.triggers import TRIGGERS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
EXAMPLE: dict[str, str] = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text())

# Read by the host, the worker, or the tools: not by the app.
OTHERS = {
    "AzureWebJobsStorage",
    "FUNCTIONS_WORKER_RUNTIME",
    "DEV_HOST_VISIBILITY_SECONDS",
    "AzureFunctionsWebHost__hostid",
    *(f"AZURITE_{service}_PORT" for service in ("BLOB", "QUEUE", "TABLE")),
}


class Listening(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return default

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.fixture(scope="module")
def read_by_the_app() -> set[str]:
    environ = Listening()
    with pytest.raises(SettingsError):  # there is no storage account in it
        Settings.from_environ(environ)
    # Where no URI is set the account's name is asked for: the host's own short form, which we take and do not teach.
    return environ.asked - {"ImageStorage__accountName"} | {"ImageStorage__credential", "ImageStorage__clientId"}


def section(heading: str) -> str:
    """The document from one heading to the next."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/settings.md has no section {heading!r}"
    return found[1]


def table(heading: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    rows = [line.strip().strip("|").split("|") for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def documented() -> set[str]:
    names = set()
    for row in table("Settings"):
        names |= set(quoted(row[0]))
        names |= {word.partition("=")[0] for word in quoted(row[-1]) if re.match(r"ImageStorage__\w", word)}
    return names


def test_the_document_lists_every_setting_and_no_other(read_by_the_app: set[str]) -> None:
    assert read_by_the_app - documented() == set()
    assert documented() - read_by_the_app - OTHERS == set()


def test_the_document_states_the_defaults_that_hold() -> None:
    stated = {row[0].strip("`"): row[1].strip("`") for row in table("Settings") if len(quoted(row[0])) == 1}
    assert {name: stated[name] for name in DEFAULTS} == DEFAULTS
    assert {name for name, default in stated.items() if default} - DEFAULTS.keys() <= OTHERS


def test_the_example_sets_only_what_somebody_reads(read_by_the_app: set[str]) -> None:
    assert EXAMPLE.keys() - read_by_the_app - OTHERS == set()


def test_the_example_states_the_defaults_and_the_emulator() -> None:
    assert {name: EXAMPLE[name] for name in EXAMPLE.keys() & DEFAULTS.keys()} == {
        name: DEFAULTS[name] for name in EXAMPLE.keys() & DEFAULTS.keys()
    }
    assert EXAMPLE["ImageStorage"] == DEVELOPMENT_STORAGE
    settings = Settings.from_environ(EXAMPLE)
    assert settings.incoming_container == "incoming"


def test_the_example_sets_what_the_host_itself_must_resolve() -> None:
    """The Functions host replaces ``%NAME%`` in a binding and knows none of our defaults."""
    needed = set(re.findall(r"%(\w+)%", json.dumps(TRIGGERS)))
    needed |= {str(trigger["connection"]) for trigger in TRIGGERS.values() if "connection" in trigger}
    assert needed
    assert needed - EXAMPLE.keys() == set()


def test_the_document_gives_a_reason_for_every_number_of_host_json() -> None:
    told = {name.rpartition(".")[2]: row for row in table("host.json, number by number") for name in quoted(row[0])}
    numbers = {name: value for group in HOST["extensions"].values() for name, value in group.items()}
    for name in (*numbers, "functionTimeout", "extensionBundle"):
        assert name in told, f"docs/settings.md says nothing of {name}"
        assert len(told[name][-1]) > 20, f"docs/settings.md gives no reason for {name}"
    for name, value in numbers.items():
        if isinstance(value, int):
            assert re.search(rf"`[\w.]*{name}` {value}\b", told[name][0]), f"the document does not state {name} {value}"
