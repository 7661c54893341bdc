"""The progress of a run: its counts, its total, and how each display shows them."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest

from storage.results.record import Image, Status
from tests.storage.samples import record
from tests.tools.backfill.listings import new_images
from tools.backfill.counts import Counts
from tools.backfill.display import JsonLines, Lines, Terminal
from tools.backfill.progress import Progress, Total, progress
from tools.backfill.selection import Found


def test_the_rate_is_of_the_last_half_minute_and_the_summary_of_the_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("tools.backfill.counts.time.monotonic", lambda: clock[0])
    counts = Counts()
    for second in range(100):
        clock[0] = float(second)
        counts.add_result(record())
        if second >= 50:
            counts.add_result(record())
        rate = counts.images_per_s()
    assert 1.9 < rate < 2.1
    assert counts.summary()["images_per_s"] == pytest.approx(150 / 99, abs=0.01)


def new_progress(**changes: Any) -> Progress:
    counts = Counts()
    counts.add_result(record())
    counts.add_result(record("bad.jpg", status=Status.REJECTED))
    values = {
        "total": 1000,
        "is_total_final": True,
        "images_per_s": 41.66,
        "eta_seconds": 61.4,
        "slowest_stage": "decode",
    }
    return Progress(counts, **{"is_stopping": False, **values, **changes})


def test_a_log_has_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().show(new_progress(is_stopping=True))
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        "2 of 1,000 images, 41.7 images/s, 0:01:01 left, 1 rejected, 0 failed; slowest stage: decoding pictures. "
        "Stopping after the images in progress. Press Ctrl+C again to stop at once.\n"
    )


def test_a_name_cannot_break_the_view_of_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    view = Terminal("in\x1b[2Jcoming -> rows[bold]")
    view.show(new_progress(is_total_final=False, eta_seconds=None))
    view.close()
    output = capsys.readouterr()
    assert output.out == ""
    assert "in\\x1b[2Jcoming -> rows[bold]" in output.err
    assert "2 of 1,000+" in output.err
    assert "1 rejected" in output.err


def test_each_fact_stays_whole_on_a_terminal_of_40_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    view = Terminal("incoming -> classifications, by shapes 536418c337f5")
    view.show(new_progress(total=1_000_000, slowest_stage="list"))
    view.close()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 40
    text = "\n".join(lines)
    for whole in (
        *("2 of 1,000,000", "41.7 images/s", "0:01:01 left", "0 skipped", "1 rejected", "0 failed"),
        "slowest stage: listing the container",
    ):
        assert whole in text


def test_json_progress_has_no_total_before_it_is_final(capsys: pytest.CaptureFixture[str]) -> None:
    JsonLines().show(new_progress(is_total_final=False, eta_seconds=None))
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["done"], event["total"], event["eta_seconds"]) == ("progress", 2, None, None)


def test_the_total_is_counted_beside_the_work() -> None:
    done = Found(Image("incoming", "done.jpg"), record(), None)
    total = Total([*new_images(5), done, *new_images(5)], limit=None)
    limited = Total([*new_images(5), done, *new_images(5)], limit=7)
    for each in (total, limited):
        each.join()
    assert (total.images, total.is_final) == (10, True)
    assert (limited.images, limited.is_final) == (7, True)
    now = progress(Counts(), total, "read", threading.Event())
    assert (now.total, now.eta_seconds, now.slowest_stage) == (10, None, "read")
