"""``python -m tools query`` from the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import ContainerClient
from rich.cells import cell_len

from storage.pipeline.classify_blob import classify_blob
from storage.results.record import Image
from storage.results.serialization import COLUMNS, to_entity, to_sidecar
from storage.reviews.columns import ROW_COLUMNS
from storage.reviews.join import ReviewedRow
from storage.reviews.review import REVIEW_COLUMNS
from tests.storage.samples import AWKWARD_NAMES, NOON, FixedClassifier, record, rejected, write_results
from tests.waiting import DEADLINE_SECONDS
from tools.__main__ import main
from tools.query.output import Table, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.account import Account

HOSTILE = {
    '=HYPERLINK("http://x.test","cat").jpg': "=1+1",
    "+cmd.jpg": "+1",
    "-2+3.jpg": "-1",
    "@sum.jpg": "@a",
    'a\nb,"c"\'.jpg': "two\r\nlines",
    "\u202egpj.exe": "\x1b[2Jgone",
    "plain.jpg": "cat",
}


@pytest.fixture
def account(empty_account: Account) -> Account:
    return empty_account


@pytest.fixture
def hostile(account: Account) -> Account:
    container = account.settings.incoming_container
    records = [record(name, container=container, label=label) for name, label in HOSTILE.items()]
    write_results(account.stores.results, *records, rejected("no image.txt", container=container, detail="=2+2"))
    return account


@pytest.fixture
def photos(account: Account) -> Account:
    """Classified images with awkward names."""
    container = account.settings.incoming_container
    account.clients.blobs.create_container(container)
    for name in [
        *AWKWARD_NAMES.values(),
        "CON.jpg",
        "Cat.jpg",
        "cat.jpg/inside.jpg",
        "n" * 300,
        "empty",
    ]:
        content = b"" if name == "empty" else name.encode()
        account.clients.blobs.get_blob_client(container, name).upload_blob(content)
        classify_blob(account.stores, FixedClassifier("cat"), Image(container, name))
    return account


def run_query(capsys: pytest.CaptureFixture[str], *options: str, code: int = 0) -> tuple[str, str]:
    assert main(["query", *options]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


class TestOutput:
    @pytest.mark.parametrize("option", [("--json",), ("--format", "jsonl")], ids=" ".join)
    def test_json_lines_hold_the_values_of_the_sidecar(
        self, photos: Account, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
    ) -> None:
        lines = [json.loads(line) for line in run_query(capsys, *option)[0].splitlines()]
        assert len(lines) > len(AWKWARD_NAMES)
        for line in lines:
            name = line["sidecar"].partition("/")[2]
            sidecar = photos.clients.blobs.get_blob_client(photos.settings.results_container, name)
            document = json.loads(sidecar.download_blob().readall())
            assert line == {column: document[column] for column in COLUMNS} | dict.fromkeys(REVIEW_COLUMNS)

    def test_a_row_has_the_columns_of_the_readme_in_order(self) -> None:
        document = json.loads(to_sidecar(record()))
        assert list(columns_of(ReviewedRow(record()))) == list(ROW_COLUMNS)
        assert set(COLUMNS) == document.keys() - {"schema_version", "predictions", "answers"}

    def test_csv_is_read_back_and_holds_no_formula(self, hostile: Account, capsys: pytest.CaptureFixture[str]) -> None:
        out, _ = run_query(capsys, "--format", "csv")
        assert out.startswith(",".join(ROW_COLUMNS) + "\r\n")
        rows = list(csv.DictReader(io.StringIO(out, newline="")))
        assert {row["blob_name"].removeprefix("'"): row["label"].removeprefix("'") for row in rows} == {
            **HOSTILE,
            "no image.txt": "",
        }
        assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
        assert [row["detail"] for row in rows if row["reason"]] == ["'=2+2"]
        assert {row["score"] for row in rows} == {"0.875", ""}
        assert {row["classified_at"] for row in rows} == {NOON.isoformat()}

    def test_the_table_has_one_line_per_row_for_any_name(
        self, hostile: Account, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lines = run_query(capsys)[0].splitlines()
        assert lines[0].split() == ["classified", "at,", "UTC", "status", "label", "or", "reason", "score", "image"]
        assert len(lines) == 1 + len(HOSTILE) + 1
        assert all(line.isprintable() for line in lines)
        assert "2026-11-20 12:00:00  classified  cat                        0.87  plain.jpg" in lines
        assert "2026-11-20 12:00:00  rejected    not_an_image                     no image.txt" in lines

    @pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
    @pytest.mark.parametrize("columns", [40, 80])
    def test_the_table_fits_the_terminal(self, hostile: Account, columns: int) -> None:
        import fcntl
        import pty
        import struct
        import termios

        write_results(
            hostile.stores.results, record("\u661f" * 300 + ".jpg", container=hostile.settings.incoming_container)
        )
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environ = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        command = [sys.executable, "-m", "tools", "query"]
        with subprocess.Popen(command, stdout=theirs, env={**environ, "TERM": "xterm"}) as process:
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # raised when the process has closed its end of the terminal
                while piece := os.read(ours, 65536):
                    shown += piece
        os.close(ours)
        assert process.returncode == 0
        lines = re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).splitlines()
        assert len(lines) == 1 + len(HOSTILE) + 2
        assert max(map(cell_len, lines)) <= columns
        assert all(line.isprintable() for line in lines)
        assert any(re.search("  \u2026\u661f+\\.jpg$", line) for line in lines)

    @pytest.mark.parametrize("columns", [40, 52, 60, 80, 200])
    @pytest.mark.parametrize("added", [None, "distance"])
    def test_every_width_has_one_line_for_each_row(
        self, monkeypatch: pytest.MonkeyPatch, columns: int, added: str | None
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setattr(sys, "stdout", terminal := Terminal())
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        table = Table(added)
        table.begin()
        for name in (*HOSTILE, "x" * 1000):
            table.show(ReviewedRow(record(name, label=name)), 12)
        lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).splitlines()
        assert len(lines) == 1 + len(HOSTILE) + 1
        assert max(map(cell_len, lines)) <= columns
        assert all(line.isprintable() for line in lines)

    @pytest.mark.parametrize("options", [(), ("--json",), ("--format", "csv")], ids=["table", "jsonl", "csv"])
    def test_no_match_is_no_error_and_creates_nothing(
        self, account: Account, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
    ) -> None:
        out, err = run_query(capsys, "--label", "cat", *options)
        assert len(out.splitlines()) == (0 if "--json" in options else 1)
        assert err.startswith("Nothing matches: ")
        assert account.settings.results_table not in {table.name for table in account.clients.tables.list_tables()}
        assert account.settings.incoming_container not in {
            each.name for each in account.clients.blobs.list_containers()
        }

    def test_count_prints_a_number(self, hostile: Account, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_query(capsys, "--count")[0] == "8\n"
        assert run_query(capsys, "--count", "--status", "rejected", "--json")[0] == '{"count": 1}\n'
        assert run_query(capsys, "--count", "--limit", "3")[0] == "3\n"

    @pytest.mark.parametrize(
        ("options", "kind", "index", "requests"),
        [
            (("--image", "plain.jpg"), "point", "", 1),
            (("--folder", ""), "range", "", 2),
            (("--label", "cat"), "range", "index", 1),
            (("--label", "cat", "--verify"), "range", "index", 2),
            (("--model", "shapes"), "scan", "", 1),
        ],
        ids=["image", "folder", "label", "label, verified", "model"],
    )
    def test_explain_adds_one_line_to_stderr(  # noqa: PLR0917 - parameters of the test cases
        self,
        hostile: Account,
        capsys: pytest.CaptureFixture[str],
        options: tuple[str, ...],
        kind: str,
        index: str,
        requests: int,
    ) -> None:
        review_requests = 2 if "" in options else 1  # the top is two folders: without a name, and with an empty one
        plain, _ = run_query(capsys, *options, "--json")
        out, err = run_query(capsys, *options, "--json", "--explain")
        assert out == plain
        table = f"{hostile.settings.results_table}{index}"
        explained = {"kind": kind, "table": table, "requests": requests, "review_requests": review_requests}
        explained |= (
            {"in_keys": [], "compared": ["model"]} if kind == "scan" else {"in_keys": [options[0][2:]], "compared": []}
        )
        assert json.loads(err) == {"explain": explained}

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            ((), {"a/cut.jpg", "a/dog.jpg", "b/cut.jpg"}),
            (("--label", "cat"), {"a/cut.jpg", "b/cut.jpg"}),
            (("--folder", "a"), {"a/cut.jpg", "a/dog.jpg"}),
            (("--image", "a/cut.jpg"), {"a/cut.jpg"}),
            (("--image", "a/whole.jpg"), set()),
            (("--status", "classified"), {"a/cut.jpg", "a/dog.jpg", "b/cut.jpg"}),
            (("--status", "rejected"), set()),
            (("--since", "2026-11-21"), {"b/cut.jpg"}),
            (("--min-score", "0.9"), {"b/cut.jpg"}),
            (("--model", "shapes", "--label", "dog"), {"a/dog.jpg"}),
        ],
        ids=lambda value: " ".join(value) or "alone" if isinstance(value, tuple) else None,
    )
    def test_damaged_pictures_are_selected_with_every_other_filter(
        self, account: Account, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], found: set[str]
    ) -> None:
        container = account.settings.incoming_container
        half = {"container": container, "damaged": True, "decoded_fraction": 0.5}
        write_results(
            account.stores.results,
            record("a/whole.jpg", container=container),
            record("a/cut.jpg", **half),
            record("a/dog.jpg", label="dog", **half),
            record("b/cut.jpg", **half, score=0.95, classified_at=NOON.replace(day=22)),
            rejected("a/refused.jpg", container=container, reason="damaged"),
        )
        lines = [json.loads(line) for line in run_query(capsys, "--damaged", *options, "--json")[0].splitlines()]
        assert {line["blob_name"] for line in lines} == found
        assert all((line["damaged"], line["decoded_fraction"]) == (True, 0.5) for line in lines)
        assert run_query(capsys, "--damaged", *options, "--count")[0] == f"{len(found)}\n"

    def test_every_format_shows_the_damage(self, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
        container = account.settings.incoming_container
        write_results(
            account.stores.results,
            record("cut.jpg", container=container, damaged=True, decoded_fraction=0.5),
            record("whole.jpg", container=container),
        )
        cut, whole = csv.DictReader(io.StringIO(run_query(capsys, "--format", "csv")[0], newline=""))
        assert (cut["damaged"], cut["decoded_fraction"]) == ("True", "0.5")
        assert (whole["damaged"], whole["decoded_fraction"]) == ("", "")
        _, cut_line, whole_line = run_query(capsys)[0].splitlines()
        assert " cat (damaged) " in cut_line
        assert "damaged" not in whole_line

    def test_the_newest_come_first(self, hostile: Account, capsys: pytest.CaptureFixture[str]) -> None:
        container = hostile.settings.incoming_container
        write_results(
            hostile.stores.results,
            *(record(f"{day}.jpg", container=container, classified_at=NOON.replace(day=day)) for day in (3, 9)),
        )
        lines = run_query(capsys, "--until", "2026-11-10", "--json")[0].splitlines()
        assert [json.loads(line)["blob_name"] for line in lines] == ["9.jpg", "3.jpg"]

    @pytest.mark.parametrize(
        "options",
        [("--min-score", "2"), ("--limit", "0"), ("--since", "yesterday"), ("--status", "lost"), ("--format", "xml")],
        ids=" ".join,
    )
    def test_misuse_is_one_sentence(
        self, account: Account, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["query", *options])
        assert ended.value.code == 2
        assert options[1] in capsys.readouterr().err

    def test_count_with_download_is_refused(self, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
        assert "choose one" in run_query(capsys, "--count", "--download", "x", code=2)[1]


class TestDownload:
    def test_every_image_is_downloaded_once_under_a_unique_name(
        self, photos: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        folder = tmp_path / "photos"
        out, err = run_query(capsys, "--json", "--download", str(folder))
        names = sorted(json.loads(line)["blob_name"] for line in out.splitlines())
        files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert sorted(content.decode() for content in files.values()) == sorted(
            "" if name == "empty" else name for name in names
        )
        assert {path.name for path in tmp_path.iterdir()} == {"photos"}
        assert f"{len(names)} downloaded; in {folder}." in err
        assert "CON.jpg is saved as %43ON.jpg." in err
        folded = [unicodedata.normalize("NFC", str(path)).casefold() for path in files]
        assert len(set(folded)) == len(folded)
        assert not (folder / ".partial").exists()

    def test_a_second_run_downloads_only_missing_files(
        self, photos: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        run_query(capsys, "--download", str(tmp_path))
        (tmp_path / "my cat.jpg").unlink()
        (tmp_path / "a+b.jpg").write_bytes(b"cut")
        abandoned = tmp_path / ".partial" / "left"
        abandoned.parent.mkdir()
        abandoned.write_bytes(b"half")
        os.utime(abandoned, (0, 0))
        _, err = run_query(capsys, "--download", str(tmp_path))
        assert "2 downloaded, " in err
        assert (tmp_path / "a+b.jpg").read_bytes() == b"a+b.jpg"
        assert not abandoned.parent.exists()

    def test_each_image_gets_one_name_in_any_mixture_of_selections(
        self, account: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        """The images of each pair would be one file on some system; their labels differ."""
        container = account.settings.incoming_container
        account.clients.blobs.create_container(container)
        pairs = [
            ("img_1.jpg", "IMG_1.JPG"),
            ("lab/x.jpg", "lab"),
            ("Lab/x.jpg", "LAB/x.jpg"),
            ("Site 3/new/x.jpg", "Site 3/New"),
            ("cafe\u0301.jpg", "caf\u00e9.jpg"),
        ]
        plain = ("DSC_0001.JPG", "Site 3/DSC_0001.JPG")
        for pair in (*pairs, plain):
            for name, label in zip(pair, ("a", "b"), strict=True):
                account.clients.blobs.get_blob_client(container, name).upload_blob(name.encode())
                classify_blob(account.stores, FixedClassifier(label), Image(container, name))
        marker = account.clients.blobs.get_blob_client(container, "Site 3")
        marker.upload_blob(b"", metadata={"hdi_isfolder": "true"})

        def download(folder: str, *options: str) -> tuple[dict[str, str], str]:
            _, err = run_query(capsys, *options, "--download", str(tmp_path / folder))
            files = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
            paths = {path.read_bytes().decode(): path.relative_to(tmp_path / folder).as_posix() for path in files}
            assert len(paths) == len(files)
            return paths, err.splitlines()[-1]

        only_a, summary = download("mixed", "--label", "a")
        assert summary.startswith("6 downloaded; ")
        only_b, _ = download("b", "--label", "b")
        everything, _ = download("all")
        assert everything == {**only_a, **only_b}
        assert everything.keys() == {name for pair in (*pairs, plain) for name in pair}
        assert {name for name, path in everything.items() if name == path} == set(plain)
        assert len({unicodedata.normalize("NFC", path).casefold() for path in everything.values()}) == len(everything)
        mixed, summary = download("mixed", "--label", "b")
        assert mixed == everything
        assert summary.startswith("6 downloaded; ")
        for options in ((), ("--label", "a"), ("--label", "b"), ("--folder", "lab")):
            again, summary = download("mixed", *options)
            assert again == everything
            assert re.match(r"\d+ there already; ", summary)

        account.clients.blobs.get_blob_client(container, "dsc_0001.jpg").upload_blob(b"newer")
        classify_blob(account.stores, FixedClassifier("b"), Image(container, "dsc_0001.jpg"))
        _, summary = download("all", "--label", "b")
        assert summary == f"1 downloaded, 6 there already; in {tmp_path / 'all'}."
        assert (tmp_path / "all" / "DSC_0001.JPG").read_bytes() == b"DSC_0001.JPG"
        assert not (tmp_path / "all" / "dsc_0001.jpg").exists()

    def test_each_folder_is_listed_once(
        self, photos: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listed: list[str] = []
        real = ContainerClient.walk_blobs

        def walk(self: ContainerClient, name_starts_with: str, **options: Any) -> Any:
            listed.append(name_starts_with)
            return real(self, name_starts_with, **options)

        monkeypatch.setattr(ContainerClient, "walk_blobs", walk)
        out, _ = run_query(capsys, "--json", "--download", str(tmp_path))
        names = [json.loads(line)["blob_name"] for line in out.splitlines()]
        above = {name[: each.end()] for name in names for each in re.finditer("/", name)}
        assert sorted(listed) == sorted({"", *above})

    def test_a_file_that_the_disk_takes_for_this_one_is_kept(
        self, photos: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk that ignores case has `A+B.JPG`, whose blob was deleted since."""
        (tmp_path / "a+b.jpg").write_bytes(b"of another blob")
        real = Path.iterdir

        def iterdir(path: Path) -> Iterator[Path]:
            return (each.with_name(each.name.upper()) if each.name == "a+b.jpg" else each for each in real(path))

        monkeypatch.setattr(Path, "iterdir", iterdir)
        _, err = run_query(capsys, "--download", str(tmp_path), code=1)
        assert "a+b.jpg could not be written: the disk has another spelling of" in " ".join(err.split())
        assert ", 1 failed; in" in err
        assert (tmp_path / "a+b.jpg").read_bytes() == b"of another blob"

    def test_an_image_that_is_gone_or_changed_is_reported(
        self, photos: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        container = photos.settings.incoming_container
        photos.clients.blobs.get_blob_client(container, "cat.jpg").delete_blob()
        photos.clients.blobs.get_blob_client(container, "empty").upload_blob(b"no longer", overwrite=True)
        out, err = run_query(capsys, "--json", "--folder", "", "--download", str(tmp_path), code=1)
        for name in ("cat.jpg", "empty"):
            assert f"{container}/{name} is gone, or changed since it was classified." in err
        assert f"{len(out.splitlines()) - 2} downloaded, 2 gone or changed since; in {tmp_path}." in err
        assert not (tmp_path / "empty").exists()

    def test_a_folder_that_cannot_be_created_is_one_sentence(
        self, photos: Account, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        _, err = run_query(capsys, "--download", str(tmp_path / "file"), code=1)
        assert err.startswith(f"{tmp_path / 'file'} cannot be written")


def started(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tools", "query", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})


@pytest.fixture
def many(account: Account) -> Account:
    """More rows than a pipe holds."""
    table = account.clients.tables.create_table(account.settings.results_table)
    container = account.settings.incoming_container
    entities: list[Any] = [("upsert", to_entity(record(f"{n:04d}.jpg", container=container))) for n in range(1500)]
    for start in range(0, len(entities), 100):
        table.submit_transaction(entities[start : start + 100])
    return account


def test_a_closed_pipe_ends_it_without_an_error_message(many: Account) -> None:
    with started("--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["status"] == "classified"
        process.stdout.close()
        assert process.wait(DEADLINE_SECONDS) == 141
        assert process.stderr.read() == ""


def test_ctrl_c_ends_it_without_an_error_message(many: Account) -> None:
    with started("--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(DEADLINE_SECONDS) == 130
        assert process.stderr.read() == ""
