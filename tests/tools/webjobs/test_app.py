"""Each upload ends in the row that the documents promise, under Microsoft's own trigger extensions."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobType, StandardBlobTier

from storage.pipeline import messages
from storage.pipeline.queue import RequestQueue
from tests.tools.webjobs.conftest import INTERNAL_QUEUE, Lab, quick_host_json
from tests.tools.webjobs.photos import photo
from tests.waiting import until
from tools.sample_photos.samples import render_samples
from tools.webjobs.events import CREATED, DELETED, blob_event

if TYPE_CHECKING:
    from tools.webjobs.app_host import AppHost

ODD_NAMES = (
    "a b.jpg",
    "100%.jpg",
    "%41.jpg",
    "a#b?.jpg",
    "ä/ö ü.jpg",
    "星/心.jpg",
    "it's.jpg",
    "a//b.jpg",
    "tab\there.jpg",
    "x" * 200 + "/" + "y" * 700 + ".jpg",
)
OTHER_TEXT = "a message of another app"


def endings(app: AppHost) -> list[Any]:
    """How the invocations ended so far: None for well, or the error."""
    return [each.get("error", "open") for each in app.invocations]


def event(lab: Lab, name: str, *, container: str = "incoming", kind: str = CREATED) -> Any:
    return blob_event(lab.clients.blobs.get_blob_client(container, name).url, kind=kind)


class TestUploads:
    def test_the_samples_of_the_demo(self, lab: Lab) -> None:
        """With the two connections alone: every other setting has its default."""
        samples = render_samples()
        with lab.app() as app:
            for sample in samples:
                lab.upload(sample.name, sample.content)
            rows = lab.wait_for_rows(*(sample.name for sample in samples))
            assert {name: (str(row.status), row.label, row.reason) for name, row in rows.items()} == {
                sample.name: (sample.status, sample.label, sample.reason) for sample in samples
            }
            until(lambda: endings(app) == [None] * len(samples))
        assert app.host.exit_code == 0
        assert app.worker_starts == 1

    def test_odd_names(self, lab: Lab) -> None:
        for name in ODD_NAMES:
            lab.upload(name, photo())
        with lab.app():
            rows = lab.wait_for_rows(*ODD_NAMES)
        assert {name: str(row.status) for name, row in rows.items()} == dict.fromkeys(ODD_NAMES, "classified")

    def test_kinds_of_blobs(self, lab: Lab) -> None:
        lab.upload("text.jpg", b"no picture at all")
        lab.upload("empty.jpg", b"")
        lab.upload("leased.jpg", photo())
        lab.incoming.get_blob_client("leased.jpg").acquire_lease()
        lab.incoming.upload_blob("append.jpg", photo(), blob_type=BlobType.APPENDBLOB)
        page = photo() + b"\0" * (-len(photo()) % 512)
        lab.incoming.upload_blob("page.jpg", page, blob_type=BlobType.PAGEBLOB)
        lab.upload("archived.jpg", photo())
        lab.incoming.get_blob_client("archived.jpg").set_standard_blob_tier(StandardBlobTier.ARCHIVE)
        with lab.app():
            rows = lab.wait_for_rows(
                *(f"{kind}.jpg" for kind in ("text", "empty", "leased", "append", "page", "archived"))
            )
        assert {name: (str(row.status), row.reason) for name, row in rows.items() if name != "archived.jpg"} == {
            "text.jpg": ("rejected", "not_an_image"),
            "empty.jpg": ("rejected", "empty"),
            "leased.jpg": ("classified", None),
            "append.jpg": ("classified", None),
            "page.jpg": ("classified", None),
        }
        assert str(rows["archived.jpg"].status) == "failed"

    def test_an_overwrite_and_a_deletion_while_the_old_version_waits(self, lab: Lab) -> None:
        lab.upload("kept.jpg", photo())
        with lab.app() as app:
            lab.wait_for_rows("kept.jpg")
            os.kill(app.process_ids[1], signal.SIGSTOP)
            lab.upload("overwritten.jpg", b"no picture")
            lab.upload("deleted.jpg", photo())
            until(lambda: lab.waiting(INTERNAL_QUEUE) == 2)
            etag = lab.upload("overwritten.jpg", photo("blue"))
            lab.incoming.delete_blob("deleted.jpg")
            os.kill(app.process_ids[1], signal.SIGCONT)
            until(lambda: lab.rows().get("overwritten.jpg") is not None and lab.waiting(INTERNAL_QUEUE) == 0)
            until(lambda: lab.rows()["overwritten.jpg"].etag.strip('"') == etag.strip('"'))
        assert str(lab.rows()["overwritten.jpg"].status) == "classified"
        assert "deleted.jpg" not in lab.rows()


class TestEventGrid:
    def test_each_event_ends_in_the_row_that_is_promised(self, lab: Lab) -> None:
        lab.upload("new.jpg", photo())
        lab.upload("twice.jpg", photo())
        lab.upload("still there.jpg", photo())
        neighbour = lab.clients.blobs.create_container("neighbour")
        neighbour.upload_blob("theirs.jpg", photo())
        with lab.app(BLOB_TRIGGER_SOURCE="EventGrid") as app:
            reply = app.deliver(
                [{**event(lab, "new.jpg"), "data": {"validationCode": "code-1"}}], event_type="SubscriptionValidation"
            )
            assert (reply.status, json.loads(reply.body)) == (200, {"validationResponse": "code-1"})
            events = [
                event(lab, "new.jpg"),
                event(lab, "twice.jpg"),
                event(lab, "twice.jpg"),
                event(lab, "still there.jpg", kind=DELETED),
                event(lab, "gone.jpg"),
                event(lab, "theirs.jpg", container="neighbour"),
            ]
            assert app.deliver(events).status == 202
            rows = lab.wait_for_rows("new.jpg", "twice.jpg", "still there.jpg")
            until(lambda: lab.waiting(INTERNAL_QUEUE) == 0)
            until(lambda: "open" not in endings(app))
        assert {name: str(row.status) for name, row in rows.items()} == dict.fromkeys(
            ("new.jpg", "twice.jpg", "still there.jpg"), "classified"
        )
        assert "event_ignored" in app.worker_log
        assert set(endings(app)) == {None}

    def test_the_webhook_fails_at_the_event_of_a_renamed_file(self, lab: Lab) -> None:
        """So the subscription leaves ``BlobRenamed`` out, and ``reconcile`` finds such files (ADR 23)."""
        lab.upload("renamed.jpg", photo())
        renamed = event(lab, "renamed.jpg", kind="Microsoft.Storage.BlobRenamed")
        url = renamed["data"].pop("url")
        renamed["data"] |= {"api": "RenameFile", "sourceUrl": url.replace("renamed", "earlier"), "destinationUrl": url}
        with lab.app(BLOB_TRIGGER_SOURCE="EventGrid") as app:
            assert app.deliver([renamed]).status == 500


class TestTrouble:
    def test_a_worker_that_dies_in_the_middle(self, lab: Lab) -> None:
        """Events are delivered here: the emulator's scanner misses a second upload within the same second."""
        lab.upload("a.jpg", photo())
        lab.upload("b.jpg", photo())
        with lab.app(BLOB_TRIGGER_SOURCE="EventGrid") as app:
            os.kill(app.process_ids[1], signal.SIGSTOP)
            app.deliver([event(lab, "a.jpg"), event(lab, "b.jpg")])
            until(lambda: endings(app) == ["open", "open"])
            app.kill_worker()
            rows = lab.wait_for_rows("a.jpg", "b.jpg")
        assert {str(row.status) for row in rows.values()} == {"classified"}
        assert app.worker_starts == 2

    def test_a_function_that_outlives_its_time(self, lab: Lab) -> None:
        with lab.app(quick_host_json(functionTimeout="00:00:20")) as app:
            os.kill(app.process_ids[1], signal.SIGSTOP)
            lab.upload("slow.jpg", photo())
            rows = lab.wait_for_rows("slow.jpg")
        assert str(rows["slow.jpg"].status) == "classified"
        assert app.worker_starts == 2
        assert "Timeout value of 00:00:20" in app.host.log

    def test_two_hosts(self, lab: Lab) -> None:
        """The photos lie there before: the emulator's scanner misses some that come while it looks."""
        names = [f"{number}.jpg" for number in range(20)]
        for name in names:
            lab.upload(name, photo())
        with lab.app() as one, lab.app() as other:
            rows = lab.wait_for_rows(*names)
            until(lambda: lab.waiting(INTERNAL_QUEUE) == 0)
        assert len(rows) == 20
        assert one.host.exit_code == other.host.exit_code == 0

    def test_a_stop_while_images_are_in_work(self, lab: Lab) -> None:
        names = [f"{number}.jpg" for number in range(12)]
        for name in names:
            lab.upload(name, photo())
        with lab.app() as app:
            until(lambda: app.invocations)
        ended = len(app.invocations)
        assert "open" not in endings(app)
        assert len(lab.rows()) >= ended
        with lab.app() as second:
            # A message that the first host had received and not begun stays hidden for ten minutes: it is not lost.
            until(lambda: "open" not in endings(second) and len(lab.rows()) + lab.hidden() == len(names))


class TestQueues:
    def test_messages_of_classify_requests(self, lab: Lab) -> None:
        lab.upload("asked for.jpg", photo())
        lab.upload("other/asked for.jpg", photo())
        with lab.app(BLOB_TRIGGER_SOURCE="EventGrid"):
            RequestQueue(lab.clients).send(messages.Request("incoming", ("asked for.jpg", "other/asked for.jpg")))
            rows = lab.wait_for_rows("asked for.jpg", "other/asked for.jpg")
        assert {str(row.status) for row in rows.values()} == {"classified"}
