"""``python -m tools export`` from the command line, on Azurite."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from storage.results.serialization import COLUMNS
from tests.storage.samples import NOON, record, rejected, write_results
from tests.waiting import DEADLINE_SECONDS
from tools.__main__ import main

if TYPE_CHECKING:
    from tools.account import Account

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def rows(empty_account: Account) -> Account:
    """Two cats, a fox and a rejected file."""
    container = empty_account.settings.incoming_container
    write_results(
        empty_account.stores.results,
        record("site-a/1.jpg", container=container),
        record("site-a/2.jpg", container=container, score=0.25),
        record("site-b/3.jpg", container=container, label="=fox"),
        rejected("notes.txt", container=container),
    )
    return empty_account


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def names_in(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return sorted(row["blob_name"] for row in csv.DictReader(file))


class TestCsv:
    def test_is_the_csv_of_query(self, rows: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = tmp_path / "all.csv"
        assert main(["export", "--format", "csv", "-o", str(target)]) == 0
        assert capsys.readouterr().out == f"{target}\n"
        assert main(["query", "--format", "csv"]) == 0
        assert target.read_bytes().decode() == capsys.readouterr().out.replace("\r\n", "\n").replace("\n", "\r\n")
        assert names(tmp_path) == ["all.csv"]

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            (("--folder", "site-a"), ["site-a/1.jpg", "site-a/2.jpg"]),
            (("--label", "cat", "--min-score", "0.5"), ["site-a/1.jpg"]),
            (("--status", "rejected"), ["notes.txt"]),
            (("--since", "1h"), []),
        ],
        ids=" ".join,
    )
    def test_takes_the_filters_of_query(
        self, rows: Account, tmp_path: Path, options: tuple[str, ...], found: list[str]
    ) -> None:
        target = tmp_path / "some.csv"
        assert main(["export", "--format", "csv", "-o", str(target), *options]) == 0
        assert names_in(target) == found
        assert target.read_text().startswith(",".join(COLUMNS))


def test_json_ends_with_the_summary(rows: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "all.csv"
    assert main(["export", "--format", "csv", "-o", str(target), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary.pop("seconds") > 0
    assert summary == {"event": "summary", "format": "csv", "path": str(target), "rows": 4}


def test_parquet_by_day_is_filled_and_then_read_in_part(rows: Account, tmp_path: Path) -> None:
    container = rows.settings.incoming_container
    write_results(rows.stores.results, record("old.jpg", container=container, classified_at=NOON - timedelta(days=400)))
    target = tmp_path / "results"
    command = ["export", "--format", "parquet", "-o", str(target)]
    assert main([*command, "--since-last"]) == 0
    old, new = target / "2025-10-16.parquet", target / "2026-11-20.parquet"
    assert names(target) == [old.name, new.name, "_export.json"]
    assert sorted(parquet_names(new)) == ["notes.txt", "site-a/1.jpg", "site-a/2.jpg", "site-b/3.jpg"]
    before = old.stat().st_mtime_ns
    write_results(rows.stores.results, record("site-b/4.jpg", container=container))
    assert main([*command, "--since-last"]) == 0
    assert "site-b/4.jpg" in parquet_names(new)
    assert old.stat().st_mtime_ns == before
    assert main(command) == 0  # every day again
    assert old.stat().st_mtime_ns != before
    assert parquet_names(old) == ["old.jpg"]


def parquet_names(path: Path) -> list[str]:
    with duckdb.connect() as database:
        return [name for (name,) in database.execute(f"SELECT blob_name FROM read_parquet('{path}')").fetchall()]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--format", "csv", "--since-last"), "--since-last belongs to --format parquet, not to csv."),
        (("--format", "coco", "--list"), "--list belongs to --format imagefolder, not to coco."),
    ],
    ids=["since-last", "list"],
)
def test_an_option_of_another_format_is_misuse(
    options: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "-o", str(tmp_path / "a"), *options]) == 2
    assert capsys.readouterr().err.strip() == sentence


@pytest.mark.parametrize(
    ("name", "library", "module"), [("parquet", "pyarrow", "pyarrow"), ("xlsx", "XlsxWriter", "xlsxwriter")]
)
def test_a_missing_library_is_named(
    rows: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    name: str,
    library: str,
    module: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["export", "--format", name, "-o", str(tmp_path / "a")]) == 2
    sentence = f"The format {name} needs {library}: pip install -r requirements-export.txt"
    assert capsys.readouterr().err.strip() == sentence
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from tests.storage.samples import record
from storage.reviews.join import ReviewedRow
from storage.reviews.query import ReviewedQuery
from tools.__main__ import main

def rows(self, limit=None):
    for number in range(5_000):
        if number == 3_000:
            os.kill(os.getpid(), signal.{signal})
        yield ReviewedRow(record(f"{{number}}.jpg"))

ReviewedQuery.rows = rows
sys.exit(main(["export", "--format", "csv", "-o", sys.argv[1]]))
"""


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself these signals there")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGKILL", -9)])
def test_a_run_that_is_stopped_leaves_the_earlier_file(name: str, code: int, tmp_path: Path) -> None:
    target = tmp_path / "all.csv"
    target.write_text("earlier")
    stopped = subprocess.run(
        [sys.executable, "-c", KILLED.format(signal=name), str(target)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ImageStorage": "UseDevelopmentStorage=true"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (stopped.returncode, "Traceback" in stopped.stderr) == (code, False)
    assert target.read_text() == "earlier"
    is_removed = signal.Signals[name] is signal.SIGINT
    assert names(tmp_path) == (["all.csv"] if is_removed else [".all.csv.partial", "all.csv"])


@pytest.mark.parametrize(
    "options", [["imagefolder"], ["imagefolder", "--list"], ["parquet", "--since-last"]], ids=" ".join
)
def test_a_file_where_a_folder_belongs_is_misuse(
    options: list[str], rows: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "notes.txt"
    target.write_text("mine")
    assert main(["export", "-o", str(target), "--format", *options]) == 2
    assert f"{target} is a file" in capsys.readouterr().err
    assert target.read_text() == "mine"


def test_the_columns_of_a_file_are_those_that_the_documents_name() -> None:
    table = (ROOT / "docs/results.md").read_text(encoding="utf-8").partition("## Capture facts")[0]
    of_the_row = {name for line in table.splitlines() if line.startswith("| `") for name in words(line.split("|")[1])}
    sentence = (ROOT / "docs/exports.md").read_text(encoding="utf-8").partition("except `answers`")[2]
    left_out = {"answers", *words(sentence.partition("(")[0])}
    assert of_the_row - left_out == set(COLUMNS)


def words(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)
