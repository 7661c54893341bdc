"""The selection of images, and the reasons to classify them."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from storage.results.record import Status
from tests.storage.samples import MODEL, NOON, record
from tests.tools.backfill.listings import Storage, blob, stores
from tools.backfill.counts import Counts
from tools.backfill.selection import Reason, Selection, pending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.listing import Listed
    from storage.results.record import Record


def selected(blobs: Sequence[Listed], *records: Record, **options: Any) -> dict[str, Reason | None]:
    storage = Storage(lambda: iter([blobs]), records)
    selection = Selection(stores(storage), "incoming", MODEL.version, **options)
    return {found.image.blob_name: found.reason for found in selection}


def test_every_reason_is_found() -> None:
    names = ("new", "done", "rejected", "changed", "failed", "other model")
    reasons = selected(
        [blob(name) for name in names],
        record("done", etag="0x1"),
        record("rejected", etag='"0x1"', status=Status.REJECTED),
        record("changed", etag="0x0"),
        record("failed", etag="0x1", status=Status.FAILED, model="", model_version=""),
        record("other model", etag="0x1", model_version="another"),
    )
    assert reasons == dict(
        zip(names, (Reason.NEW, None, None, Reason.CHANGED, Reason.FAILED, Reason.MODEL), strict=True)
    )


def test_a_forced_run_takes_only_results_from_before_its_time() -> None:
    records = record("before", etag="0x1"), record("after", etag="0x1", classified_at=NOON + timedelta(seconds=1))
    reasons = selected([blob("after"), blob("before")], *records, redo_before=NOON + timedelta(seconds=1))
    assert reasons == {"after": None, "before": Reason.FORCED}


def test_prefix_glob_and_time_select() -> None:
    blobs = [
        blob("a/1.jpg"),
        blob("a/b/2.jpg", at=NOON - timedelta(days=2)),
        blob("a/3.JPG"),
        blob("a/[4].jpg"),
        blob("b/5.jpg"),
    ]
    assert set(selected(blobs, prefix="a/")) == {"a/1.jpg", "a/b/2.jpg", "a/3.JPG", "a/[4].jpg"}
    assert set(selected(blobs, glob="*.jpg")) == {"a/1.jpg", "a/b/2.jpg", "a/[4].jpg", "b/5.jpg"}, "case counts"
    assert set(selected(blobs, glob="a/*.jpg")) == {"a/1.jpg", "a/b/2.jpg", "a/[4].jpg"}, "* also matches /"
    assert set(selected(blobs, glob="a/[[]4].jpg")) == {"a/[4].jpg"}
    assert set(selected(blobs, since=NOON)) == {"a/1.jpg", "a/3.JPG", "a/[4].jpg", "b/5.jpg"}, "since is inclusive"


def test_a_limit_counts_images_with_work_only() -> None:
    blobs = [blob(name) for name in "abcdef"]
    storage = Storage(lambda: iter([blobs]), [record("a", etag="0x1"), record("c", etag="0x1")])
    counts = Counts()
    found = pending(Selection(stores(storage), "incoming", MODEL.version), counts, 2, threading.Event())
    assert [each.image.blob_name for each in found] == ["b", "d"]
    assert (counts.listed, counts.skipped, counts.pending) == (4, 2, 2)
