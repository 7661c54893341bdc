"""docs/security.md and docs/reliability.md: every threat and every fault names a test, and every named test exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = {"security.md": "| threat | protection | test |", "reliability.md": "| fault | what happens | test |"}
DOCUMENTS = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in TABLES}
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", "".join(DOCUMENTS.values()))


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)), ids=lambda value: value)
def test_every_named_test_exists(file: str, name: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^ *def {name}\(", source, re.MULTILINE), f"{file} has no {name}"


@pytest.mark.parametrize(("document", "header"), TABLES.items(), ids=TABLES)
def test_every_row_of_the_table_names_a_test(document: str, header: str) -> None:
    lines = DOCUMENTS[document].partition(f"{header}\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(lines) >= 15
    assert [line for line in lines if "::test_" not in line.rsplit("|", 2)[1]] == []
