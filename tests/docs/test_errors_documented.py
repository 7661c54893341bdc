"""docs/errors.md lists every reason and every error code that the code knows, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from inference.errors import Reason
from storage.refusals import ACCOUNT_CODES, ARCHIVED_CODES, PASSING_CODES, FailureReason

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs/errors.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    section = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def reasons(heading: str) -> set[str]:
    for row in rows(heading):
        assert len(row) == 4
        assert all(row), f"an empty cell: {row}"
    return {row[0].strip("`") for row in rows(heading)}


def test_every_reason_is_documented_and_no_other() -> None:
    assert reasons("Reasons of `rejected`") == {str(reason) for reason in Reason}
    assert reasons("Reasons of `failed`") == {str(reason) for reason in FailureReason}


def test_every_code_is_documented_with_what_it_concerns() -> None:
    documented = {frozenset(re.findall(r"`([A-Z][A-Za-z]+)`", row[0])): row for row in rows("Answers of Azure Storage")}
    for codes, concern in (
        (frozenset(ARCHIVED_CODES), "this blob"),
        (PASSING_CODES, "the container"),
        (ACCOUNT_CODES, "the account"),
    ):
        assert concern in documented[codes][1]
