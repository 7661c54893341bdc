"""The recipes of docs/ecologists.md, catalogue.md, analysts.md and trainers.md run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from storage.etags import bare_etag
from tests.storage.samples import record, rejected, write_results
from tests.tools.export.formats.camtrap_dp.published import problems
from tools.__main__ import main
from tools.account import open_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Names
    from tools.account import Account
    from tools.azurite.azurite import Azurite

DOCS = Path(__file__).resolve().parents[2] / "docs"
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
PYTHON = ".venv/bin/python -m tools "
PHASH = "f0f0f0f0f0f0f0f0"


@pytest.fixture
def account(azurite: Azurite, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """Three photos of foxes, two of them equal, and a file that is no image; the work happens in an empty folder."""
    for setting in ("AzureWebJobsStorage", "ImageStorage"):
        monkeypatch.setenv(setting, azurite.connection_string)
    monkeypatch.setenv("INCOMING_CONTAINER", names.container("incoming"))
    monkeypatch.setenv("RESULTS_TABLE", names.table("rows"))
    monkeypatch.chdir(tmp_path)
    with open_account() as made:
        container = made.settings.incoming_container
        blobs = made.clients.blobs
        blobs.create_container(container)
        for number, name in enumerate(["site-a/fox.jpg", "site-a/2.jpg", "site-a/3.jpg"]):
            content = b"a fox" if number < 2 else b"another fox"
            uploaded = blobs.get_blob_client(container, name).upload_blob(content)
            taken = {"taken_at": f"2026-05-01T12:00:0{number}", "latitude": 50.85, "longitude": 4.35}
            bytes_of = {"etag": bare_etag(uploaded["etag"]), "content_length": len(content), "phash": PHASH}
            fox = record(name, container=container, label="fox", score=0.95, **taken, **bytes_of)
            write_results(made.stores.results, fox)
        write_results(made.stores.results, rejected(container=container))
        yield made


def run(page: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run every command of a page, write its files, and return the commands."""
    ran = []
    for language, text in FENCE.findall((DOCS / page).read_text(encoding="utf-8")):
        fence = "\n".join(line.strip() for line in text.splitlines())
        if language in {"json", "csv"}:
            Path("project.json" if language == "json" else "deployments.csv").write_text(fence, encoding="utf-8")
        if language == "sql":
            with duckdb.connect() as database:
                for statement in filter(str.strip, fence.split(";")):
                    assert database.execute(statement).fetchall(), statement
        for line in fence.splitlines() if language == "sh" else ():
            if line.startswith(PYTHON):
                command, _, file = line.removeprefix(PYTHON).partition(" > ")
                assert main(shlex.split(command)) == 0, line
                printed = capsys.readouterr().out
                if file:
                    Path(file).write_text(printed, encoding="utf-8")
                ran.append(line)
    return ran


def test_ecologist(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(run("ecologists.md", capsys)) == 5
    assert len(Path("events.csv").read_text().splitlines()) == 2
    assert Path("visits.xlsx").is_file()
    assert problems(tmp_path / "package") == []
    assert "Vulpes vulpes" in Path("package/observations.csv").read_text()


def test_catalogue_team(account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.query.similar._hash_of", lambda *_: PHASH)  # the page's local file does not exist
    assert len(run("catalogue.md", capsys)) == 7
    assert Path("rejected.csv").read_text().count("notes.txt") > 0
    assert len(list(Path("photos").rglob("*.jpg"))) == 3


def test_analyst(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(run("analysts.md", capsys)) == 2
    assert sorted(path.suffix for path in Path("results").iterdir()) == [".json", ".parquet"]


def test_trainer(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(run("trainers.md", capsys)) == 5
    assert len(list(Path("training/fox").iterdir())) == 3
    assert len(Path("lists/fox.txt").read_text().splitlines()) == 3
