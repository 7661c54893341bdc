"""``query --events`` from the command line."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from inference.predictions import Prediction
from storage.query.events import Event
from tests.storage.samples import record, rejected, write_results
from tools.__main__ import main
from tools.query import progress
from tools.query.events import print_events

if TYPE_CHECKING:
    from tools.account import Account

CAT, DOG = Prediction("cat", 0, 0.75), Prediction("=dog", 1, 0.875)


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def account(empty_account: Account) -> Account:
    """One event over midnight, in two folders, one photo an hour later, and a photo without a time."""
    container = empty_account.settings.incoming_container
    camera = {"container": container, "camera_serial": "SN 1"}
    write_results(
        empty_account.stores.results,
        record("b/3.jpg", taken_at="2026-05-02T00:00:40", predictions=(CAT,), **camera),
        record("a/1.jpg", taken_at="2026-05-01T23:59:30", predictions=(CAT,), **camera),
        record("a/4.jpg", taken_at="2026-05-02T01:00:00+02:00", predictions=(DOG,), **camera),
        rejected("a/2,.jpg", taken_at="2026-05-02T00:00:10", **camera),
        record("a/5.jpg", container=container),
    )
    return empty_account


def test_events_are_printed_in_every_format(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--events", "--json"]) == 0
    out, err = capsys.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert err == "1 image has no capture time, so no event.\n"
    assert first == {
        "event_id": first["event_id"],
        "camera": "SN 1",
        "start": "2026-05-01T23:59:30",
        "end": "2026-05-02T00:00:40",
        "label": "cat",
        "score": 0.75,
        "image_count": 3,
        "images": ["a/1.jpg", "a/2,.jpg", "b/3.jpg"],
    }
    assert second["images"] == ["a/4.jpg"]

    assert main(["query", "--events", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert [row["event_id"] for row in rows] == [first["event_id"], second["event_id"]]
    assert [json.loads(row["images"]) for row in rows] == [first["images"], second["images"]]
    assert rows[1]["label"] == "'=dog"

    assert main(["query", "--events", "--limit", "1"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["start", "seconds", "images", "label", "score", "camera"]
    assert [line.split() for line in lines] == [["2026-05-01T23:59:30", "70", "3", "cat", "0.75", "SN", "1"]]


def test_each_order_of_rows_gives_the_same_events(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """By name from the results table, newest capture first, and newest result first from the index."""
    answers = []
    for options in ((), ("--taken-since", "1980-01-01"), ("--since", "1980-01-01"), ("--verify",)):
        assert main(["query", "--events", "--json", *options]) == 0
        answers.append(capsys.readouterr().out)
    assert len(answers[0].splitlines()) == 2
    assert answers == answers[:1] * 4


def test_the_gap_and_the_filters_decide(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    def count(*options: str) -> str:
        assert main(["query", "--events", "--count", *options]) == 0
        return capsys.readouterr().out.strip()

    assert count() == "2"
    assert count("--gap", "30s") == "4"
    assert count("--gap", "2h") == "1"
    assert count("--folder", "a", "--gap", "40s") == "3"
    assert count("--taken-since", "2026-05-02", "--json") == '{"count": 2}'


@pytest.mark.parametrize(
    ("columns", "head"),
    [
        (37, "start images label"),
        (40, "start images label"),
        (55, "start images label camera"),
        (62, "start images label score camera"),
        (80, "start seconds images label score camera"),
    ],
)
def test_the_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, head: str) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    wide = "\u661f" * 300
    moment = "2026-05-01T10:00:00.250+02:00"
    event = Event(
        event_id="0", camera=wide, start=moment, end=moment, image_count=99_999, label=f"[b]\x1b[2J{wide}", score=0.5
    )
    empty = replace(event, label=None, score=None, camera="")
    assert print_events([(event, iter(())), (empty, iter(()))], "table") == 2
    lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).splitlines()
    assert lines[0].split() == head.split()
    assert len(lines) == 3
    assert max(map(cell_len, lines)) <= columns
    assert all(line.isprintable() for line in lines)
    assert "2026-05-01T10:00:00" in lines[1]
    assert "[b]" in lines[1]


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_progress_is_shown_on_a_terminal_alone(
    account: Account, monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO]
) -> None:
    monkeypatch.setattr(progress, "_LIVE_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stderr := stream())
    assert main(["query", "--events"]) == 0
    assert ("5 rows read" in stderr.getvalue()) is (stream is Terminal)
    assert "1 image has no capture time" in stderr.getvalue()


def test_images_without_a_time_are_no_missing_rows(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--events", "--image", "a/5.jpg", "--json"]) == 0
    assert capsys.readouterr().err == "1 image has no capture time, so no event.\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--gap", "5m"), "--gap says which photos are one event: add --events."),
        (("--events", "--duplicates"), "--events prints events, --duplicates and --like print images"),
        (("--events", "--download", "photos"), "--download fetches the images of rows: leave out --events."),
    ],
)
def test_options_that_do_not_go_together_are_misuse(
    options: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["query", *options]) == 2
    assert capsys.readouterr().err.startswith(sentence)
