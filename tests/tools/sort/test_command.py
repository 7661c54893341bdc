"""``python -m tools sort`` from the command line, on Azurite."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import StandardBlobTier

from inference.errors import ConfigurationError
from storage.reviews.review import Content, Review
from storage.reviews.store import ReviewStore
from tests.storage.samples import NOON, record, rejected, write_results
from tests.waiting import DEADLINE_SECONDS, until
from tools.__main__ import main
from tools.sort import copies
from tools.sort.copies import Copies, Result

if TYPE_CHECKING:
    from tests.conftest import Names
    from tools.account import Account

ROOT = Path(__file__).resolve().parents[3]


class Scene:
    """Images with rows, and a container to sort them into."""

    def __init__(self, account: Account, target: str) -> None:
        self.account = account
        self.target = target
        self.incoming = account.clients.blobs.get_container_client(account.settings.incoming_container)

    def add(self, name: str, label: str | None = "fox", content: bytes = b"") -> None:
        etag = self.upload(name, content)
        changes: dict[str, Any] = {"container": self.incoming.container_name, "etag": etag}
        row = rejected(name, **changes) if label is None else record(name, label=label, **changes)
        write_results(self.account.stores.results, row)

    def upload(self, name: str, content: bytes = b"") -> str:
        uploaded = self.incoming.upload_blob(name, content or name.encode(), overwrite=True)
        return str(uploaded.get_blob_properties().etag).strip('"')

    def copies(self) -> dict[str, bytes]:
        """Every blob of the target."""
        client = self.account.clients.blobs.get_container_client(self.target)
        if not client.exists():
            return {}
        return {blob.name: client.download_blob(blob.name).readall() for blob in client.list_blobs()}

    def sort(self, *options: str, code: int = 0) -> None:
        assert main(["sort", "--to", self.target, *options]) == code


@pytest.fixture
def scene(account: Account, names: Names) -> Scene:
    return Scene(account, names.container("sorted"))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def counts(summary: dict[str, Any]) -> dict[str, int]:
    """The numbers of a summary that are not 0."""
    assert summary["event"] == "summary"
    return {result.value: summary[result] for result in Result if summary[result]}


def test_images_are_copied_by_label_and_stay_where_they_are(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.add("site a/1 #?.jpg")
    scene.add("\u661f/\u5fc3.jpg", "../cat")
    scene.add("2.jpg", "..")
    scene.add("notes.txt", None)
    before = {blob.name: blob.etag for blob in scene.incoming.list_blobs()}
    scene.sort("--by", "label", "--json")
    assert scene.copies() == {
        "fox/site a/1 #?.jpg": b"site a/1 #?.jpg",
        "..%2Fcat/\u661f/\u5fc3.jpg": "\u661f/\u5fc3.jpg".encode(),
        "%2E%2E/2.jpg": b"2.jpg",
    }
    assert {blob.name: blob.etag for blob in scene.incoming.list_blobs()} == before
    *folders, summary = lines(capsys)
    assert {(each["label"], each["folder"], each["images"]) for each in folders} == {
        ("fox", "fox", 1),
        ("../cat", "..%2Fcat", 1),
        ("..", "%2E%2E", 1),
    }
    assert counts(summary) == {"copied": 3}
    assert (summary["rows"], summary["labels"], summary["left_out"]) == (4, 3, 1)
    assert (summary["container"], summary["dry_run"], summary["complete"]) == (scene.target, False, True)


def test_a_second_run_skips_copies_and_replaces_those_of_earlier_contents(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.add("1.jpg")
    scene.add("2.jpg")
    scene.sort("--json")
    assert counts(lines(capsys)[-1]) == {"copied": 2}
    row = scene.account.stores.results.read_row(record("2.jpg", container=scene.incoming.container_name).image)
    assert row is not None
    etag = scene.upload("2.jpg", b"newer")
    newer = record("2.jpg", container=scene.incoming.container_name, etag=etag, label="fox")
    scene.account.stores.results.write_row(newer, row)
    scene.sort("--json")
    assert counts(lines(capsys)[-1]) == {"copied": 1, "present": 1}
    assert scene.copies() == {"fox/1.jpg": b"1.jpg", "fox/2.jpg": b"newer"}


def test_filters_and_reviews_select_the_images_and_name_the_folders(scene: Scene) -> None:
    scene.add("1.jpg")
    scene.add("2.jpg")
    scene.add("b/3.jpg")
    row = scene.account.stores.results.read_row(record("1.jpg", container=scene.incoming.container_name).image)
    assert row is not None
    assert row.record is not None
    content = Content(row.record.container, "1.jpg", row.record.etag)
    review = Review(reviewed_label="badger", reviewed_by="ada", reviewed_at=NOON)
    ReviewStore(scene.account.clients.tables, scene.account.settings.reviews_table).write([(content, review)])
    scene.sort("--folder", "")
    assert sorted(scene.copies()) == ["badger/1.jpg", "fox/2.jpg"]


def test_a_dry_run_copies_nothing_and_prints_the_folders(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.add("1.jpg")
    scene.add("2.jpg", "red fox")
    scene.sort("--dry-run")
    assert scene.copies() == {}
    assert capsys.readouterr().out == (
        "          1  fox/\n          1  red fox/\nNothing was copied: this was a dry run.\n"
    )


def test_a_selection_without_images_has_a_sentence(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.add("1.jpg")
    scene.sort("--label", "wolf")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "meets every filter" in captured.err
    assert scene.copies() == {}


def test_each_image_without_a_copy_is_named(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("gone.jpg", "changed.jpg", "archived.jpg", "occupied.jpg", "fine.jpg"):
        scene.add(name)
    scene.incoming.delete_blob("gone.jpg")
    scene.upload("changed.jpg", b"newer")
    scene.incoming.get_blob_client("archived.jpg").set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    target = scene.account.clients.blobs.create_container(scene.target)
    target.upload_blob("fox/occupied.jpg", b"of another program")
    write_results(
        scene.account.stores.results, record("a/../../b.jpg", container=scene.incoming.container_name, label="fox")
    )
    scene.sort("--json", code=1)
    *events, summary = lines(capsys)
    found = {each["image"]: each["reason"] for each in events if each["event"] == "not_copied"}
    assert found == {
        "gone.jpg": "gone",
        "changed.jpg": "changed",
        "archived.jpg": "archived",
        "occupied.jpg": "occupied",
        "a/../../b.jpg": "failed",
    }
    expected = {"copied": 1, "gone": 1, "changed": 1, "archived": 1, "occupied": 1, "failed": 1}
    assert counts(summary) == expected
    assert scene.copies() == {"fox/fine.jpg": b"fine.jpg", "fox/occupied.jpg": b"of another program"}


@pytest.mark.parametrize("setting", ["incoming_container", "results_container"])
def test_containers_of_the_app_are_refused(scene: Scene, setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    scene.target = getattr(scene.account.settings, setting)
    scene.add("1.jpg")
    scene.sort(code=2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "Name another one." in captured.err
    assert "1.jpg" in {blob.name for blob in scene.incoming.list_blobs()}


def test_a_name_that_is_no_container_is_refused(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sort", "--to", "My Photos"]) == 2
    assert "3 to 63 lower-case letters" in capsys.readouterr().err


class Slow:
    """A service whose copies are pending for a while; the emulator completes each at once."""

    def __init__(self, ends: str, polls: int = 2) -> None:
        self.ends, self.polls = ends, polls

    def get_container_client(self, _name: str) -> Slow:
        return self

    def get_blob_client(self, *_names: str) -> Slow:
        return self

    url = "https://account.blob.core.windows.net/incoming/1.jpg"

    def start_copy_from_url(self, _url: str, **_options: Any) -> dict[str, str]:
        return {"copy_status": "pending"}

    def get_blob_properties(self) -> Any:
        self.polls -= 1
        status = "pending" if self.polls > 0 else self.ends
        return type("Properties", (), {"copy": type("Copy", (), {"status": status})})


@pytest.mark.parametrize(("ends", "result"), [("success", Result.COPIED), ("aborted", Result.FAILED)])
def test_a_copy_that_storage_begins_is_waited_for(ends: str, result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_POLL_SECONDS", 0.001)
    slow: Any = Slow(ends)
    with Copies(slow, "sorted", threading.Event()) as running:
        assert running.add(record(), "fox/1.jpg") == []
        (done,) = running.finish()
    assert done.result is result
    assert slow.polls == 0


def test_a_refused_account_ends_the_run() -> None:
    class Refusing(Slow):
        def start_copy_from_url(self, _url: str, **_options: Any) -> dict[str, str]:
            error = HttpResponseError("no")
            error.status_code = 403
            raise error

    refusing: Any = Refusing("")
    with Copies(refusing, "sorted", threading.Event()) as running:
        running.add(record(), "fox/1.jpg")
        with pytest.raises(ConfigurationError, match="refused by storage"):
            running.finish()


def test_a_killed_run_is_continued(scene: Scene, azurite: Any) -> None:
    for number in range(48):
        scene.add(f"{number}.jpg")
    command = [sys.executable, "-m", "tools", "sort", "--to", scene.target, "--json"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ.copy(), stdout=subprocess.DEVNULL) as running:
        until(scene.copies)
        running.kill()
        assert running.wait(DEADLINE_SECONDS) == -signal.SIGKILL
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS)
    found = counts(json.loads(done.stdout.splitlines()[-1]))
    assert found["present"] >= 1
    assert sum(found.values()) == 48
    assert scene.copies() == {f"fox/{number}.jpg": f"{number}.jpg".encode() for number in range(48)}
