"""``python -m tools decide`` on Azurite: labels follow the rules, in few requests, and no image is read."""

from __future__ import annotations

import base64
import errno
import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from storage.pipeline.classify_blob import classify_blob
from storage.reconcile.reconcile import Reconciliation
from storage.results.index_rows import index_rows
from storage.results.record import Image, IndexRow, Record
from tests.storage.samples import AWKWARD_NAMES, FixedClassifier, rejected
from tests.tools.decide.results import SPEC, counted_requests, result, write
from tests.waiting import until
from tools.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.conftest import Names
    from tools.account import Account

BALL, CONE = SPEC.labels[:2]
FEW = [0.5, 0.25, *[0.03125] * 8]
"""Scores whose best label is the first one."""


def other(best: int) -> list[float]:
    """The same scores with another best label."""
    return [FEW[(place - best) % 10] for place in range(10)]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A file; tests write it."""
    return tmp_path / "decision.json"


def decide(rules: Path | None, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the command with JSON lines; return exit code and lines."""
    given = ["--decision", str(rules)] if rules else []
    code = main(["decide", *given, "--json", *options])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def stored(account: Account, names: Iterable[str]) -> dict[str, Record]:
    """The records of the rows, which sidecars and index rows must match; no other index row may exist."""
    results, container = account.stores.results, account.settings.incoming_container
    found: dict[str, Record] = {}
    expected: list[IndexRow] = []
    for name in names:
        row, sidecar = results.read_row(Image(container, name)), results.read_sidecar(Image(container, name))
        assert row
        assert row.record
        found[name] = row.record
        if sidecar:
            assert sidecar.record == row.record
        expected += index_rows(row.record)
    pages = results.index_reader().pages()
    written = [IndexRow.from_entity(entity).canonical_text() for page in pages for entity in page]
    assert sorted(written) == sorted(row.canonical_text() for row in expected)
    return found


def labels(account: Account, names: Iterable[str]) -> dict[str, str | None]:
    return {name: record.label for name, record in stored(account, names).items()}


def test_labels_follow_the_rules_and_only_them(
    account: Account, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = account.settings
    names = {name: f"{place % 3}/{name}" for place, name in enumerate(list(AWKWARD_NAMES.values())[::2])}.values()
    others = {
        "rejected.txt": rejected("rejected.txt", container=settings.incoming_container),
        "old.jpg": result(account, "old.jpg", FEW, model_version="another"),
        "bare.jpg": replace(result(account, "bare.jpg", FEW), scores=None),
        "edited.jpg": replace(result(account, "edited.jpg", FEW), scores=b"\0\0"),
    }
    write(account, *(result(account, name, FEW) for name in names), *others.values())
    before = stored(account, [*names, *others])

    rules.write_text(json.dumps({"min_score": 0.5, "labels": {BALL: {"as": "sphere"}}, "allow": {"1/": [CONE]}}))
    code, lines = decide(rules, capsys, "--dry-run")
    summary = lines[-1]
    changes = [{key: line[key] for key in ("from", "to", "images")} for line in lines if line["event"] == "change"]
    ones = [name for name in names if name.startswith("1/")]
    assert changes == [
        {"from": BALL, "to": "sphere", "images": len(names) - len(ones)},
        {"from": BALL, "to": "unknown", "images": len(ones)},
    ]
    assert stored(account, before) == before, "a dry run writes nothing"

    code, lines = decide(rules, capsys)
    assert code == 1, "some rows have no scores"
    seconds = {"seconds", "images_per_s", "dry_run"}
    assert {key: lines[-1][key] for key in lines[-1].keys() - seconds} == {
        key: summary[key] for key in summary.keys() - seconds
    }
    version = summary["decision_version"]
    assert {key: summary[key] for key in ("listed", "decided", "changed", "not_classified", "other_model")} == {
        "listed": len(before), "decided": len(names), "changed": len(names), "not_classified": 1, "other_model": 1,
    }  # fmt: skip
    assert summary["without_scores"] == 2
    after = stored(account, before)
    for name in names:
        label, score = ("unknown", 0.25) if name in ones else ("sphere", 0.5)
        decided = replace(before[name], label=label, label_index=None, score=score, decision_version=version)
        assert after[name] == decided
    assert {name: after[name] for name in others} == {name: before[name] for name in others}

    code, lines = decide(rules, capsys)
    assert (lines[-1]["decided"], lines[-1]["skipped"]) == (0, len(names))
    code, lines = decide(None, capsys)
    assert stored(account, before) == before, "without rules, rows get the model's label back"


def test_a_thousand_rows_take_about_the_requests_of_reading_and_writing_them(
    account: Account, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For 100 rows: a page of rows, and for each row one sidecar read and written; the tables in transactions."""
    count = 100
    write(account, *(result(account, f"{n % 2}/{n}.jpg", other(n % 3)) for n in range(count)))
    rules.write_text(json.dumps({"labels": {BALL: {"as": "sphere"}}}))
    with counted_requests() as sent:
        assert decide(rules, capsys)[0] == 0
    incoming, results = account.settings.incoming_container, account.settings.results_container
    assert [line for line in sent if f"/{incoming}/" in line] == [], "no image is read"
    assert len([line for line in sent if f"/{results}/" in line]) == 2 * count
    of_tables = len(sent) - 2 * count
    assert of_tables <= count / 2, f"{of_tables} requests for tables, of at least 4 for a row without transactions"
    with counted_requests() as sent:
        assert decide(rules, capsys)[0] == 0
    assert len(sent) == 1, "rows that are decided are listed and no more"
    with counted_requests() as sent:
        assert decide(rules, capsys, "--image", "0/0.jpg")[1][-1]["skipped"] == 1
    assert len(sent) == 1


def test_filters_select_rows(account: Account, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{folder}{n}.jpg" for folder in ("", "a/", "a/b/") for n in range(3)]
    write(account, *(result(account, name, other(place % 3)) for place, name in enumerate(names)))
    rules.write_text('{"allow": {"": []}}')
    for options, expected in (
        (["--folder", "a"], {"a/0.jpg", "a/1.jpg", "a/2.jpg"}),
        (["--image", "0.jpg"], {"0.jpg"}),
        (["--label", BALL], {"a/b/0.jpg"}),
    ):
        unknown = {name for name, label in labels(account, names).items() if label == "unknown"}
        assert decide(rules, capsys, *options)[0] == 0
        now = {name for name, label in labels(account, names).items() if label == "unknown"}
        assert now - unknown == expected


def test_after_a_kill_other_rules_leave_nothing_of_the_first(
    account: Account, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``test_amend_interleavings`` dies at every step of one row; here a process dies among many."""
    names = [f"{n % 2}/{n}.jpg" for n in range(60)]
    write(account, *(result(account, name, FEW) for name in names))
    rules.write_text(json.dumps({"labels": {BALL: {"as": "sphere"}}}))
    first = Image(account.settings.incoming_container, names[0])

    def has_begun() -> bool:
        sidecar = account.stores.results.read_sidecar(first)
        return bool(sidecar and sidecar.record and sidecar.record.decision_version)

    command = [sys.executable, "-m", "tools", "decide", "--decision", str(rules)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(has_begun, "the first sidecar")
        process.kill()
    rules.write_text(json.dumps({"labels": {BALL: {"as": "globe"}}}))
    assert decide(rules, capsys)[0] == 0
    assert labels(account, names) == dict.fromkeys(names, "globe")


def test_an_upload_meanwhile_wins(
    account: Account, rules: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """New content, classified between the two passes; a duplicate and ``reconcile`` afterwards keep the decision."""
    container = account.settings.incoming_container
    write(account, *(result(account, f"{n}.jpg", FEW) for n in range(3)))
    source = account.clients.blobs.get_container_client(container)
    source.upload_blob("1.jpg", b"newer")
    model = FixedClassifier("cat", SPEC.identity)
    printed: list[bool] = []

    def upload_now(*_args: object) -> None:
        if not printed:
            classify_blob(account.stores, model, Image(container, "1.jpg"))
            printed.append(True)

    monkeypatch.setattr("tools.decide.command._Command._print_table", upload_now)
    rules.write_text('{"allow": {"": []}}')
    code, lines = decide(rules, capsys)
    assert (code, lines[-1]["decided"], lines[-1]["in_progress"]) == (0, 2, 1)
    assert labels(account, ["0.jpg", "1.jpg", "2.jpg"]) == {"0.jpg": "unknown", "1.jpg": "cat", "2.jpg": "unknown"}


def test_a_duplicate_and_reconcile_keep_a_decision(
    account: Account, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    container = account.settings.incoming_container
    properties = (
        account.clients.blobs.get_container_client(container).upload_blob("a.jpg", b"photo").get_blob_properties()
    )
    etag = str(properties.etag).strip('"')
    write(account, result(account, "a.jpg", FEW, etag=etag))
    rules.write_text('{"allow": {"": []}}')
    assert decide(rules, capsys)[0] == 0
    classify_blob(account.stores, FixedClassifier(BALL, SPEC.identity), Image(container, "a.jpg"))
    summary = Reconciliation(account.stores, account.queue, container, on_finding=print).run()
    assert (summary.repaired, summary.index_removed) == (0, 0)
    assert labels(account, ["a.jpg"]) == {"a.jpg": "unknown"}


def test_the_table_is_for_people(account: Account, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        account,
        *(result(account, f"{n}.jpg", other(n % 2)) for n in range(3)),
        replace(result(account, "s.jpg", FEW), scores=None),
    )
    rules.write_text(json.dumps({"labels": {BALL: {"as": "sphere"}}}))
    assert main(["decide", "--decision", str(rules), "--dry-run"]) == 1
    shown = capsys.readouterr().out
    assert f"          2  {BALL} -> sphere\n" in shown
    assert "          1  keep their label\n" in shown
    assert "4 rows: 3 would be decided, 2 of them with another label, 0 failed" in shown
    assert "          1  have no scores in their sidecar" in shown
    assert main(["decide", "--decision", str(rules)]) == 1
    assert "DECISION_BLOB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "part"), [("{", "not valid JSON"), ('{"labels": {"bal": {}, "starr": {"as": "x"}}}', "'starr'")]
)
def test_rules_that_cannot_be_used_change_nothing(
    account: Account, rules: Path, capsys: pytest.CaptureFixture[str], content: str, part: str
) -> None:
    write(account, result(account, "a.jpg", FEW))
    before = stored(account, ["a.jpg"])
    rules.write_text(content)
    assert main(["decide", "--decision", str(rules), "--json"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert part in captured.err
    assert stored(account, ["a.jpg"]) == before


def test_a_full_disk_changes_nothing_and_is_one_sentence(
    account: Account, rules: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(account, result(account, "a.jpg", FEW))
    before = stored(account, ["a.jpg"])
    rules.write_text('{"allow": {"": []}}')

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tools.decide.kept_rows.pickle.dump", full)
    assert main(["decide", "--decision", str(rules)]) == 2
    assert "No space left on device): free its disk, set TMPDIR" in capsys.readouterr().err
    assert stored(account, ["a.jpg"]) == before


def test_an_account_without_results_gets_none(empty_account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = decide(None, capsys)
    assert (code, lines[-1]["listed"], lines[-1]["complete"]) == (0, 0, True)
    assert [
        each.name
        for each in empty_account.clients.tables.list_tables()
        if each.name == empty_account.settings.results_table
    ] == []


def test_a_changed_label_is_acted_on(
    account: Account, rules: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, names: Names
) -> None:
    incoming = account.clients.blobs.get_container_client(account.settings.incoming_container)
    for name, best in (("ball.jpg", 0), ("cone.jpg", 1)):
        etag = str(incoming.upload_blob(name, b"").get_blob_properties().etag).strip('"')
        write(account, replace(result(account, name, other(best)), etag=etag))
    queue = names.queue("spheres")
    monkeypatch.setenv("TAG_IMAGES", "yes")
    monkeypatch.setenv("NOTIFY_QUEUE", queue)
    monkeypatch.setenv("NOTIFY_LABELS", f"sphere,{CONE}")
    rules.write_text(json.dumps({"labels": {BALL: {"as": "sphere"}}}))
    assert decide(rules, capsys)[0] == 0
    (message,) = account.clients.queues.get_queue_client(queue).receive_messages()
    sent = json.loads(base64.b64decode(message.content))
    assert (sent["blob_name"], sent["label"]) == ("ball.jpg", "sphere")
    assert sent["decision_version"]
    assert incoming.get_blob_client("ball.jpg").get_blob_tags()["label"] == "sphere"
    assert incoming.get_blob_client("cone.jpg").get_blob_tags() == {}, "its label stays"
