"""Reviews last: no other command touches them, and an import that was killed is completed by the next."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from storage.pipeline.classify_blob import classify_blob
from storage.results.record import Image
from tests.inference.decoding.image_samples import encode
from tests.inference.model.model_folders import noise
from tests.storage.samples import MODEL, FixedClassifier
from tests.tools.review.conftest import review
from tests.waiting import DEADLINE_SECONDS
from tools.__main__ import main

if TYPE_CHECKING:
    from tests.tools.review.conftest import Importing

ROOT = Path(__file__).resolve().parents[3]
PHOTO = encode(noise(40, 30), "PNG")


def upload(importing: Importing, name: str, content: bytes = PHOTO) -> str:
    """Upload a photo and classify it as a cat; return its ETag."""
    blob = importing.account.clients.blobs.get_blob_client(importing.container, name)
    etag = str(blob.upload_blob(content, overwrite=True)["etag"]).strip('"')
    classify_blob(importing.account.stores, FixedClassifier("cat"), Image(importing.container, name))
    return etag


def answer(importing: Importing, name: str) -> tuple[Any, ...]:
    (row,) = importing.queried("--image", name)
    return row["label"], row["model_version"], row["reviewed_label"], row["reviewed_by"]


def test_other_commands_leave_reviews_as_they_are(
    importing: Importing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    importing.account.clients.blobs.create_container(importing.container)
    etags = {name: upload(importing, name) for name in ("a.png", "b.png")}
    importing.run(*(review(name, "fox", etag=etag) for name, etag in etags.items()))
    stored = importing.stored()
    rules = tmp_path / "decision.json"
    rules.write_text('{"min_score": 0.9999}')
    for command in (
        ["backfill", "--force"],
        ["backfill", "--facts"],
        ["redrive", "--label", "cat"],
        ["reconcile"],
        ["decide", "--decision", str(rules)],
    ):
        assert main(command) == 0
        assert importing.stored() == stored, command
    label, model_version, *reviewed = answer(importing, "a.png")
    assert (model_version == MODEL.version, reviewed) == (False, ["fox", "Ana"]), "another model, the same review"

    target = tmp_path / "all.csv"
    assert main(["export", "--format", "csv", "-o", str(target), "--disagree"]) == 0
    with target.open(newline="") as file:
        assert [(row["label"], row["reviewed_label"]) for row in csv.DictReader(file)] == [(label, "fox")] * 2

    upload(importing, "a.png", encode(noise(41, 30), "PNG"))
    assert answer(importing, "a.png")[2:] == (None, None), "new content has no review"
    importing.account.clients.blobs.get_blob_client(importing.container, "b.png").delete_blob()
    assert main(["reconcile", "--prune"]) == 0
    capsys.readouterr()
    assert importing.queried("--image", "b.png") == []
    assert importing.stored() == stored


KILLED = """
import os, signal, sys
from storage.reviews.store import ReviewStore
from tools.__main__ import main

write, batches = ReviewStore._write, []

def killed(self, operations):
    batches.append(operations)
    if len(batches) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, operations)

ReviewStore._write = killed
sys.exit(main(["review", "import", sys.argv[1], "--by", "Ana"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself these signals there")
def test_a_killed_import_is_completed_by_the_next(importing: Importing) -> None:
    path = importing.file(*(review(f"site {number % 5}/{number}.jpg", "fox") for number in range(30)))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = len(importing.stored())
    assert before in {0, 6, 12}, "a folder's six reviews are written together"
    summary = importing.run_file(path)
    assert (summary["added"], summary.get("unchanged", 0)) == (30 - before, before)
    assert len(importing.stored()) == 30


@pytest.mark.parametrize("before", [(), (review("cat.jpg", "cat"),)], ids=["new", "replaced"])
def test_two_imports_at_once_lose_nothing(
    before: tuple[Any, ...], importing: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another import writes between this one's reading and writing: the conditional write notices."""
    from storage.reviews.store import ReviewStore

    write = ReviewStore._write

    def late(store: ReviewStore, operations: Any) -> bool:
        monkeypatch.setattr(ReviewStore, "_write", write)
        importing.run(review("cat.jpg", "dog", at="2026-11-20T12:00:02Z"))
        return write(store, operations)

    importing.run(*before)
    monkeypatch.setattr(ReviewStore, "_write", late)
    assert importing.run(review("cat.jpg", "fox", at="2026-11-20T12:00:01Z"))["outdated"] == 1
    assert [entity["reviewed_label"] for entity in importing.stored()] == ["dog"]
