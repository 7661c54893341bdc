"""Names as people paste them, and what an answer without rows says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.storage.samples import record
from tools.__main__ import main
from tools.query.names import inside_container

if TYPE_CHECKING:
    from pathlib import Path

    from tools.account import Account


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("lab/a.jpg", "lab/a.jpg"),
        ("a+b%20.jpg", "a+b%20.jpg"),
        ("incoming-2/a.jpg", "incoming-2/a.jpg"),
        ("incoming/lab/a.jpg", "lab/a.jpg"),
        ("/lab/a.jpg", "lab/a.jpg"),
        ("/incoming/lab/a.jpg", "lab/a.jpg"),
        ("./lab/a.jpg", "lab/a.jpg"),
        (r"lab\a.jpg", "lab/a.jpg"),
        ("incoming", ""),
        ("incoming/", ""),
        ("https://mine.blob.core.windows.net/incoming/site%20a/a.jpg?sv=1&sig=x", "site a/a.jpg"),
        ("http://127.0.0.1:10000/devstoreaccount1/incoming/lab/a.jpg", "lab/a.jpg"),
    ],
)
def test_a_name_is_found_in_what_people_paste(given: str, meant: str) -> None:
    assert inside_container(given, "incoming") == meant


@pytest.fixture
def rows(empty_account: Account) -> Account:
    """Rows of two images; the name of one begins with a slash."""
    container = empty_account.settings.incoming_container
    for name in ("lab/a.jpg", "/slash.jpg", "slash.jpg"):
        empty_account.stores.results.write_row(record(name, container=container), None)
    return empty_account


def test_names_with_the_container_or_a_slash_are_understood(
    rows: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    container = rows.settings.incoming_container
    for option, given, meant in (
        ("--image", f"{container}/lab/a.jpg", "lab/a.jpg"),
        ("--folder", "/lab", "lab"),
        ("--folder", f"{container}/lab/", "lab/"),
    ):
        assert main(["query", "--json", option, given]) == 0
        printed = capsys.readouterr()
        assert [json.loads(line)["blob_name"] for line in printed.out.splitlines()] == ["lab/a.jpg"]
        assert printed.err == f"{option} {given} is read as {meant}: names are inside the container {container}.\n"
    assert main(["query", "--json", "--image", "/slash.jpg"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["blob_name"] == "/slash.jpg"
    assert printed.err == ""
    assert main(["report", "--folder", "/lab", "-o", str(tmp_path / "r.html")]) == 0
    assert "1 image," in capsys.readouterr().err


def test_an_answer_without_rows_says_whether_the_table_has_any(
    rows: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rows.settings.results_table
    for options in (["--json", "--label", "nosuch"], ["--count", "--json", "--folder", "nosuch"]):
        assert main(["query", *options]) == 0
        printed = capsys.readouterr()
        assert printed.out in {"", '{"count": 0}\n'}
        assert printed.err.startswith(f"Nothing matches: the table {table} has rows, but none of the container ")
    monkeypatch.setenv("RESULTS_TABLE", f"{table}none")
    assert main(["query", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"Nothing matches: the table {table}none has no rows.")


def test_backfill_corrects_a_prefix_that_names_the_container(rows: Account, capsys: pytest.CaptureFixture[str]) -> None:
    rows.clients.blobs.create_container(rows.settings.incoming_container)
    assert main(["backfill", "--prefix", f"{rows.settings.incoming_container}/lab/"]) == 0
    assert "did you mean --prefix 'lab/'?" in capsys.readouterr().out
    assert main(["backfill", "--prefix", "lab/"]) == 0
    assert "did you mean" not in capsys.readouterr().out
