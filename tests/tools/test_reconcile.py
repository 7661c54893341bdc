"""``python -m tools reconcile`` from the command line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import Request
from tools.__main__ import main

if TYPE_CHECKING:
    import pytest

    from tools.account import Account

NOTHING = {"missing": 0, "stale": 0, "enqueued": 0, "repaired": 0, "index_removed": 0, "pruned": 0}


def upload(account: Account, *names: str) -> None:
    container = account.clients.blobs.get_container_client(account.settings.incoming_container)
    for name in names:
        container.upload_blob(name, name.encode(), overwrite=True)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_missing_images_are_printed_and_the_summary_comes_last(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(account, "a.jpg", "b.jpg")
    assert main(["reconcile", "--json"]) == 0
    *findings, summary = lines(capsys)
    assert findings == [{"event": "missing", "image": "a.jpg"}, {"event": "missing", "image": "b.jpg"}]
    counts = {"images": 2, "rows": 0, **NOTHING, "missing": 2, "enqueued": 2, "coverage": 0.0}
    assert summary == {"event": "summary", **counts, "dry_run": False}


def test_an_empty_account_is_no_error(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.clients.blobs.delete_container(account.settings.incoming_container)
    assert main(["reconcile", "--json", "--prune"]) == 0
    summary = {"event": "summary", "images": 0, "rows": 0, **NOTHING, "coverage": None, "dry_run": False}
    assert lines(capsys) == [summary]


def test_a_container_that_does_not_exist_is_named_and_has_no_coverage(
    empty_account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    container = empty_account.settings.incoming_container
    assert main(["reconcile"]) == 0
    printed = capsys.readouterr()
    assert "%" not in printed.out
    assert f"The container {container} does not exist: check INCOMING_CONTAINER" in printed.err
    empty_account.clients.blobs.create_container(container)
    assert main(["reconcile"]) == 0
    printed = capsys.readouterr()
    assert " 100.00 %" in printed.out
    assert printed.err == ""


def test_text_rounds_coverage_down_and_escapes_names(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.storage.samples import FixedClassifier

    upload(account, "a.jpg", "b.jpg", "c\u202e.jpg")
    for request in (Request(account.settings.incoming_container, ("a.jpg", "b.jpg")),):
        for image in request.images:
            classify_blob(account.stores, FixedClassifier(), image)
    assert main(["reconcile", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "missing        c\\u202e.jpg\n" in text
    assert " 66.66 %" in text
    assert text.endswith("Nothing was changed: this was a dry run.\n")


def test_the_summary_breaks_between_words_on_a_narrow_terminal(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["reconcile"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 40
    assert "images whose row is" in " ".join(text.split())
    assert "sidecar or" in text


def test_wrong_settings_are_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("ImageStorage", "")
    monkeypatch.setenv("RESULTS_CONTAINER", "No Such Name")
    assert main(["reconcile"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "RESULTS_CONTAINER" in printed.err
    assert "Traceback" not in printed.err
