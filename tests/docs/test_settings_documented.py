"""docs/settings.md and local.settings.example.json say what the code declares, and give a reason for host.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from storage.settings import Settings
from tests.docs import regenerate_settings
from tests.triggers import TRIGGERS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = regenerate_settings.DOCUMENT.read_text(encoding="utf-8")
EXAMPLE: dict[str, str] = json.loads(regenerate_settings.EXAMPLE.read_text())["Values"]
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text())


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


def test_the_document_and_the_example_say_what_the_code_declares() -> None:
    """If this fails: python -m tests.docs.regenerate_settings"""
    assert regenerate_settings.document() == DOCUMENT
    assert regenerate_settings.example() == regenerate_settings.EXAMPLE.read_text()


def test_the_example_is_accepted_and_holds_every_connection_of_the_triggers() -> None:
    Settings.from_environ(EXAMPLE)
    assert {str(trigger["connection"]) for trigger in TRIGGERS.values() if "connection" in trigger} <= EXAMPLE.keys()


def test_the_document_gives_a_reason_for_every_number_of_host_json() -> None:
    rows = {name.rpartition(".")[2]: row for row in table("host.json, number by number") for name in quoted(row[0])}
    numbers = {name: value for group in HOST["extensions"].values() for name, value in group.items()}
    for name in (*numbers, "functionTimeout", "extensionBundle"):
        assert name in rows, f"docs/settings.md says nothing of {name}"
        assert len(rows[name][-1]) > 20, f"docs/settings.md gives no reason for {name}"
    for name, value in numbers.items():
        if isinstance(value, int):
            assert re.search(rf"`[\w.]*{name}` {value}\b", rows[name][0]), f"the document does not state {name} {value}"
