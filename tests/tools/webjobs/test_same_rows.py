"""Under the dev host each image ends in the same row as under Microsoft's own trigger extensions.

Each case runs twice, on two pairs of accounts with the same blobs and messages. Times and versions are left out of the
comparison; everything else in a row must be equal, and so must the messages that remain on each queue.
"""

from __future__ import annotations

import json
import os
import re
import signal
from base64 import b64encode
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobType, StandardBlobTier

from storage.pipeline.messages import BLOB_POISON_QUEUE, POISON_QUEUE, QUEUE, REFUSED_QUEUE, Request
from storage.pipeline.queue import RequestQueue
from tests.tools.webjobs.conftest import HOST_ID, INTERNAL_QUEUE, RETRY_DELAYS, Accounts, Lab
from tests.tools.webjobs.photos import photo
from tests.waiting import until
from tools.devhost import process
from tools.devhost.messages import BlobTriggerMessage, function_id
from tools.sample_photos.samples import render_samples

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

VARIES = {
    *("etag", "classified_at", "blob_last_modified", "queue_delay_ms", "duration_ms", "superseded"),
}
ODD_NAMES = (
    *("a b.jpg", "100%.jpg", "%41.jpg", "a#b?.jpg", "ä/ö ü.jpg", "星/心.jpg", "it's.jpg", "a//b.jpg", "tab\there.jpg"),
    *("x" * 900 + ".jpg", "x" * 200 + "/" + "y" * 700 + ".jpg"),
)
POLLED = "LogsAndContainerScan"
PUSHED = "EventGrid"


@pytest.fixture
def labs(program: Path, worker_python: Path, accounts: Accounts, tmp_path: Path) -> Iterator[tuple[Lab, Lab]]:
    """Two labs: for Microsoft's extensions and for the dev host."""
    made = []
    for name in ("extensions", "devhost"):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Lab(program, worker_python, accounts.pair(), folder))
    yield made[0], made[1]
    for lab in made:
        lab.clients.close()


@contextmanager
def dev_host(lab: Lab, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python -m tools host`` on the storage of a lab, with the settings of ``Lab.app``."""
    accounts = {"AzureWebJobsStorage": lab.pair.host, "ImageStorage": lab.pair.images}
    environ = process.environment(lab.pair.images, **accounts, AzureFunctionsWebHost__hostid=HOST_ID)
    with (lab.folder / "devhost.log").open("ab") as log:
        running = process.start(environ | {"RETRY_DELAYS_SECONDS": RETRY_DELAYS} | settings, log)
        try:
            yield running
        finally:
            if running.poll() is None:  # else the test has killed it
                assert process.stop(running) == 0


def outcomes(lab: Lab) -> dict[str, dict[str, Any]]:
    """Every row, without the columns that vary."""
    return {
        name: {column: value for column, value in asdict(row).items() if column not in VARIES}
        for name, row in lab.rows().items()
    }


def left(lab: Lab) -> dict[str, int]:
    """How many messages remain on each queue."""
    return {name: lab.waiting(name) for name in (INTERNAL_QUEUE, QUEUE, POISON_QUEUE, BLOB_POISON_QUEUE, REFUSED_QUEUE)}


def blob_message(name: str, etag: str, container: str = "incoming") -> str:
    """The message that both hosts queue for an upload."""
    return BlobTriggerMessage(function_id("classify_uploaded"), container, name, etag).to_wire()


def send(lab: Lab, queue: str, document: object) -> None:
    text = document if isinstance(document, str) else b64encode(json.dumps(document).encode()).decode()
    client = (lab.host_queues if queue == INTERNAL_QUEUE else lab.queues).get_queue_client(queue)
    with suppress(ResourceExistsError):
        client.create_queue()
    client.send_message(text)


def test_for_blobs_of_each_kind(labs: tuple[Lab, Lab]) -> None:
    samples = render_samples()
    names = {*ODD_NAMES, *(sample.name for sample in samples)}
    names |= {f"{kind}.jpg" for kind in ("text", "empty", "leased", "append", "page", "archived")}
    for lab in labs:
        for name in ODD_NAMES:
            lab.upload(name, photo())
        for sample in samples:
            lab.upload(sample.name, sample.content)
        lab.upload("text.jpg", b"no picture at all")
        lab.upload("empty.jpg", b"")
        lab.upload("leased.jpg", photo())
        lab.incoming.get_blob_client("leased.jpg").acquire_lease()
        lab.incoming.upload_blob("append.jpg", photo(), blob_type=BlobType.APPENDBLOB)
        page = photo() + b"\0" * (-len(photo()) % 512)
        lab.incoming.upload_blob("page.jpg", page, blob_type=BlobType.PAGEBLOB)
        lab.upload("archived.jpg", photo())
        lab.incoming.get_blob_client("archived.jpg").set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    extensions, devhost = labs
    with extensions.app(BLOB_TRIGGER_SOURCE=POLLED):
        extensions.wait_for_rows(*names)
        until(lambda: set(left(extensions).values()) == {0})
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=POLLED):
        devhost.wait_for_rows(*names)
        until(lambda: set(left(devhost).values()) == {0})
    assert outcomes(devhost) == outcomes(extensions)
    assert {name: (str(row.status), row.reason) for name, row in extensions.rows().items()} == {
        **dict.fromkeys(ODD_NAMES, ("classified", None)),
        **{sample.name: (sample.status, sample.reason) for sample in samples},
        **dict.fromkeys(("leased.jpg", "append.jpg", "page.jpg"), ("classified", None)),
        "text.jpg": ("rejected", "not_an_image"),
        "empty.jpg": ("rejected", "empty"),
        "archived.jpg": ("failed", "archived"),
    }


def test_for_events_and_messages_of_each_kind(labs: tuple[Lab, Lab]) -> None:
    """Without a webhook in the dev host, each event is the message that the webhook writes for it."""
    names = ("new.jpg", "twice.jpg", "deleted event.jpg", "asked for.jpg", "plain.jpg", "poisoned.jpg", "abandoned.jpg")
    for lab in labs:
        for name in names:
            lab.upload(name, photo())
        lab.clients.blobs.create_container("neighbour").upload_blob("theirs.jpg", photo())
        for container, name in (
            *(("incoming", name) for name in ("new.jpg", "twice.jpg", "twice.jpg", "deleted event.jpg", "gone.jpg")),
            ("neighbour", "theirs.jpg"),
        ):
            blob = lab.clients.blobs.get_blob_client(container, name)
            version = str(blob.get_blob_properties().etag) if blob.exists() else '"0x1"'
            send(lab, INTERNAL_QUEUE, blob_message(name, version, container))
        RequestQueue(lab.clients).send(Request("incoming", ("asked for.jpg", "gone.jpg")))
        send(lab, QUEUE, Request("incoming", ("plain.jpg",)).to_json())
        for container, name in (("incoming", "poisoned.jpg"), ("theirs", "a.jpg")):
            send(lab, BLOB_POISON_QUEUE, blob_message(name, '"0x1"', container))
        send(lab, POISON_QUEUE, {"container": "incoming", "blobs": ["abandoned.jpg"]})
        for queue in (QUEUE, POISON_QUEUE, BLOB_POISON_QUEUE):
            send(lab, queue, "please classify a.jpg")
            send(lab, queue, b64encode(b"\xff\xfe").decode())
    expected = {INTERNAL_QUEUE: 0, QUEUE: 0, POISON_QUEUE: 0, BLOB_POISON_QUEUE: 1, REFUSED_QUEUE: 6}
    extensions, devhost = labs
    with extensions.app(BLOB_TRIGGER_SOURCE=PUSHED):
        extensions.wait_for_rows(*names)
        until(lambda: left(extensions) == expected, evidence=lambda: str(left(extensions)))
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=PUSHED):
        devhost.wait_for_rows(*names)
        until(lambda: left(devhost) == expected, evidence=lambda: str(left(devhost)))
    assert outcomes(devhost) == outcomes(extensions)
    assert {name: str(row.status) for name, row in extensions.rows().items()} == {
        **dict.fromkeys(names, "classified"),
        "abandoned.jpg": "failed",
    }


def test_for_an_overwrite_and_a_deletion_while_the_old_version_waits(labs: tuple[Lab, Lab]) -> None:
    """The messages of the old versions wait on the internal queue when the host starts."""
    for lab in labs:
        for name in ("overwritten.jpg", "deleted.jpg"):
            send(lab, INTERNAL_QUEUE, blob_message(name, lab.upload(name, b"no picture")))
        lab.upload("overwritten.jpg", photo())
        lab.incoming.delete_blob("deleted.jpg")
    extensions, devhost = labs
    with extensions.app(BLOB_TRIGGER_SOURCE=POLLED):
        extensions.wait_for_rows("overwritten.jpg")
        until(lambda: set(left(extensions).values()) == {0})
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=POLLED):
        devhost.wait_for_rows("overwritten.jpg")
        until(lambda: set(left(devhost).values()) == {0})
    assert outcomes(devhost) == outcomes(extensions)
    assert {name: str(row.status) for name, row in devhost.rows().items()} == {"overwritten.jpg": "classified"}


def test_for_images_with_tags_which_are_not_offered_again(labs: tuple[Lab, Lab]) -> None:
    """Each upload waits for the tags of the one before: the scan that finds it has seen those tags."""
    names = ("a.jpg", "b.jpg", "c.jpg")

    def upload_one_after_another(lab: Lab) -> None:
        for name in names:
            lab.upload(name, photo())
            until(lab.incoming.get_blob_client(name).get_blob_tags)
        until(lambda: set(left(lab).values()) == {0})

    extensions, devhost = labs
    with extensions.app(BLOB_TRIGGER_SOURCE=POLLED, TAG_IMAGES="yes"):
        upload_one_after_another(extensions)
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=POLLED, TAG_IMAGES="yes"):
        upload_one_after_another(devhost)
    assert outcomes(devhost) == outcomes(extensions)
    for log in (extensions.folder / "worker.log", devhost.folder / "devhost.log"):
        finished = re.findall(r'image_finished image="incoming/(\w\.jpg)"', log.read_text(encoding="utf-8"))
        assert sorted(finished) == sorted(names)


def test_for_two_hosts(labs: tuple[Lab, Lab]) -> None:
    names = [f"{number}.jpg" for number in range(16)]
    for lab in labs:
        for name in names:
            lab.upload(name, photo())
    extensions, devhost = labs
    with extensions.app(BLOB_TRIGGER_SOURCE=POLLED), extensions.app(BLOB_TRIGGER_SOURCE=POLLED):
        extensions.wait_for_rows(*names)
        until(lambda: set(left(extensions).values()) == {0})
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=POLLED), dev_host(devhost, BLOB_TRIGGER_SOURCE=POLLED):
        devhost.wait_for_rows(*names)
        until(lambda: set(left(devhost).values()) == {0})
    assert outcomes(devhost) == outcomes(extensions)
    assert {name: str(row.status) for name, row in devhost.rows().items()} == dict.fromkeys(names, "classified")


def test_for_a_worker_that_dies_in_the_middle(labs: tuple[Lab, Lab]) -> None:
    """The dev host runs the functions in its own process, which dies with them; the next one receives the messages."""
    names = [f"{number}.jpg" for number in range(6)]
    extensions, devhost = labs
    for_extensions, for_devhost = (
        [blob_message(name, lab.upload(name, photo())) for name in names] for lab in (extensions, devhost)
    )
    with extensions.app(BLOB_TRIGGER_SOURCE=PUSHED) as app:
        os.kill(app.process_ids[1], signal.SIGSTOP)
        for message in for_extensions:
            send(extensions, INTERNAL_QUEUE, message)
        until(lambda: app.invocations)
        app.kill_worker()
        extensions.wait_for_rows(*names)
        until(lambda: set(left(extensions).values()) == {0})
        assert app.worker_starts == 2
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=PUSHED, DEV_HOST_VISIBILITY_SECONDS="10") as dying:

        def stopped_in_the_middle() -> bool:
            for message in for_devhost:
                send(devhost, INTERNAL_QUEUE, message)
            until(devhost.hidden)
            os.kill(dying.pid, signal.SIGSTOP)
            if devhost.hidden():
                return True
            os.kill(dying.pid, signal.SIGCONT)  # all of them had ended
            return False

        until(stopped_in_the_middle)
        dying.kill()
        dying.wait()
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=PUSHED, DEV_HOST_VISIBILITY_SECONDS="10"):
        devhost.wait_for_rows(*names)
        until(lambda: set(left(devhost).values()) == {0})
    assert outcomes(devhost) == outcomes(extensions)
    assert {str(row.status) for row in devhost.rows().values()} == {"classified"}


def test_for_a_stop_while_images_are_in_work(labs: tuple[Lab, Lab]) -> None:
    """The extensions hide for ten minutes what they had received and not begun; the dev host gives it back."""
    names = [f"{number}.jpg" for number in range(12)]
    for lab in labs:
        for name in names:
            lab.upload(name, photo())
    extensions, devhost = labs
    with extensions.app(BLOB_TRIGGER_SOURCE=POLLED) as app:
        until(lambda: app.invocations)
    assert app.host.exit_code == 0
    assert set(app.endings) == {None}
    with extensions.app(BLOB_TRIGGER_SOURCE=POLLED):
        until(lambda: len(extensions.rows()) + extensions.hidden() == len(names))
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=POLLED) as stopping:
        until(lambda: INTERNAL_QUEUE in {queue.name for queue in devhost.host_queues.list_queues()})
        until(lambda: devhost.hidden() or devhost.rows())
    assert stopping.returncode == 0
    with dev_host(devhost, BLOB_TRIGGER_SOURCE=POLLED):
        devhost.wait_for_rows(*names)
        until(lambda: set(left(devhost).values()) == {0})
    assert outcomes(devhost).keys() == set(names)
    assert outcomes(extensions).items() <= outcomes(devhost).items()
