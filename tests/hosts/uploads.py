"""Scenarios of uploads: names, kinds, failures, overwrites, restarts, and what two hosts do."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobType, StandardBlobTier

from tests.hosts.lab import INTERNAL, POISON, OnPurposeError, decoded, wait_for, without_etag
from tests.waiting import until

if TYPE_CHECKING:
    from tests.hosts.lab import Facts, Lab
    from tests.hosts.recording_app import Call

NAMES = (
    *("plain.jpg", "a/b/c.jpg", "with space.jpg", "100%.jpg", "%41.jpg", "a%20b.jpg", "#1.jpg", "q?x=1.jpg"),
    *("plus+plus.jpg", "Ünï/日本.jpg", "emoji 🦊.jpg", "it's;(odd)&=.jpg", "UPPER.JPG", "dots...jpg", "trailing."),
    *("tab\there.jpg", "[x].jpg", "{braces}.jpg", "tilde~!.jpg", "a//b.jpg", f"long{'x' * 900}.jpg", "no extension"),
    "back\\slash.jpg",
)


def names(lab: Lab) -> Facts:
    lab.incoming.create_container()
    for name in NAMES:
        lab.put(name, metadata={"site": "a", "Camera": "B7"})
    with lab.host():
        lab.wait_for(len(NAMES))
        lab.wait_until_empty()
    return {"versions": lab.versions(), "receipts": lab.receipts()}


def failure(lab: Lab) -> Facts:
    lab.incoming.create_container()

    def behave(call: Call) -> None:
        if call.key.startswith("fail") or (call.key == "twice.jpg" and call.attempt < 3):
            raise OnPurposeError

    lab.recorder.behave = behave
    for name in ("fail/ä 1.jpg", "twice.jpg", "good.jpg"):
        lab.put(name)
    with lab.host():
        lab.wait_for(1, "recover_poisoned")
        lab.wait_for(3, key="twice.jpg")
        lab.wait_until_empty(INTERNAL, POISON)
    return failure_facts(lab.recorder.calls, lab.versions(), lab.receipts())


def failure_facts(calls: list[Call], versions: Facts, receipts: list[Any]) -> Facts:
    poisoned = [call for call in calls if call.function == "recover_poisoned"]
    return {
        "versions": versions,
        "poisoned": [[without_etag(call.key), call.dequeue_count] for call in poisoned],
        "receipts": receipts,
    }


MESSAGES = ("one.jpg", "two #2.jpg", "drei ü.jpg", "four/4.jpg")


def messages(lab: Lab) -> Facts:
    """What lies on the internal queue while the only call goes on."""
    lab.incoming.create_container()
    go_on = threading.Event()
    lab.recorder.behave = lambda call: wait_for(go_on)
    for name in MESSAGES:
        lab.put(name)
    try:
        with lab.host(parallelism=1):
            lab.wait_for(1)
            until(lambda: lab.look(INTERNAL).length == 4, "four messages")
            until(lambda: not any(metadata for _, metadata in lab.receipts()), "complete receipts")
            waiting = lab.look(INTERNAL)
            facts = messages_facts(waiting.length, waiting.texts, lab.receipts())
            go_on.set()
            lab.wait_for(4)
            lab.wait_until_empty()
    finally:
        go_on.set()
    return facts


def messages_facts(length: int, texts: list[str], receipts: list[Any]) -> Facts:
    """The bodies are one text when names and ETags are taken out, and the names are those of blobs."""
    bodies = [decoded(text) for text in texts]
    found = [str(json.loads(body)["BlobName"]) for body in bodies]
    assert set(found) <= set(MESSAGES)
    outlines = {body.replace(f'"{name}"', '"NAME"') for body, name in zip(bodies, found, strict=True)}
    return {"length": length, "visible": len(texts), "bodies": sorted(outlines), "receipts": receipts}


def overwrite(lab: Lab) -> Facts:
    lab.incoming.create_container()
    with lab.host():
        for name, contents in {"slow.jpg": (b"1", b"22"), "same.jpg": (b"1", b"1")}.items():
            for number, content in enumerate(contents, 1):
                lab.next_second()
                lab.put(name, content)
                lab.wait_for(number, key=name)
        lab.next_second()
        lab.incoming.get_blob_client("same.jpg").set_blob_metadata({"touched": "yes"})
        lab.wait_for(3, key="same.jpg")
        lab.wait_until_empty()
    return {"versions": lab.versions()}


def _while_one_waits(lab: Lab, name: str, change: Any) -> Facts:
    """Change a blob whose message waits behind the only call."""
    lab.incoming.create_container()
    go_on = threading.Event()
    lab.recorder.behave = lambda call: wait_for(go_on)
    lab.put("blocker.jpg")
    try:
        with lab.host(parallelism=1):
            lab.wait_for(1)
            old = lab.put(name, b"1")
            until(lambda: lab.look(INTERNAL).length == 2, "the second message")
            lab.next_second()
            change()
            go_on.set()
            lab.wait_until_empty()
            if lab.incoming.get_blob_client(name).exists():
                lab.wait_for(1, key=name)
                lab.wait_until_empty()
    finally:
        go_on.set()
    called = [call.etag for call in lab.recorder.calls if call.key == name]
    return {"versions": lab.versions(), "old version called": old in called, "left": lab.left()}


def busy_overwrite(lab: Lab) -> Facts:
    return _while_one_waits(lab, "waiting.jpg", lambda: lab.put("waiting.jpg", b"22"))


def deleted(lab: Lab) -> Facts:
    return _while_one_waits(lab, "gone.jpg", lambda: lab.incoming.delete_blob("gone.jpg"))


def restart(lab: Lab) -> Facts:
    lab.incoming.create_container()
    for number in range(5):
        lab.put(f"before {number}.jpg")
    with lab.host():
        lab.wait_for(5)
        lab.wait_until_empty()
    lab.next_second()
    for number in range(3):
        lab.put(f"meanwhile {number}.jpg")
    with lab.host():
        lab.wait_for(8)
        lab.next_second()
        lab.put("last.jpg")  # a whole scan later, nothing has come a second time
        lab.wait_for(1, key="last.jpg")
        lab.wait_until_empty()
    versions = lab.versions()
    del versions["last.jpg"]
    return {"versions": versions}


def late_container(lab: Lab) -> Facts:
    with lab.host():
        if not lab.incoming.exists():  # the dev host creates it
            lab.incoming.create_container()
        lab.put("late.jpg")
        lab.wait_for(1)
        lab.wait_until_empty()
    return {"versions": lab.versions()}


GONE = ("before.jpg", "after 0.jpg", "later.jpg")


def hosts_container_gone(lab: Lab) -> Facts:
    lab.incoming.create_container()
    hosts = lab.host_blobs.get_container_client("azure-webjobs-hosts")
    lab.put(GONE[0])
    with lab.host():
        lab.wait_for(1)
        lab.wait_until_empty()
        hosts.delete_container()
        for name in GONE[1:]:  # soon: the extensions end 30 s later, when they find that their lock is lost
            lab.next_second()
            lab.put(name)
            lab.wait_for(1, key=name)
            lab.wait_until_empty()
    return {"versions": lab.versions(), "container": hosts.exists()}


def two_hosts(lab: Lab) -> Facts:
    lab.incoming.create_container()
    with lab.host(), lab.host():
        lab.next_second()
        with ThreadPoolExecutor(8) as uploads:
            list(uploads.map(lab.put, [f"{number:02}.jpg" for number in range(40)]))
        if lab.is_dev_host:
            lab.wait_for(40)
        lab.next_second()
        lab.put("last.jpg")
        lab.wait_for(1, key="last.jpg")
        lab.wait_until_empty()
    versions = lab.versions()
    del versions["last.jpg"]
    return {"most calls of a blob": max(map(sum, versions.values()))}


def kinds(lab: Lab) -> Facts:
    lab.incoming.create_container()
    lab.put("empty.jpg", b"")
    lab.incoming.upload_blob("append.jpg", b"x" * 10, blob_type=BlobType.APPENDBLOB)
    lab.incoming.upload_blob("page.jpg", b"x" * 512, blob_type=BlobType.PAGEBLOB)
    for name in ("archived.jpg", "leased.jpg", "snapshot.jpg"):
        lab.put(name)
    lab.incoming.get_blob_client("archived.jpg").set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    lab.incoming.get_blob_client("leased.jpg").acquire_lease(60)
    lab.incoming.get_blob_client("snapshot.jpg").create_snapshot()
    lab.incoming.get_blob_client("uncommitted.jpg").stage_block("AAAA", b"x")
    with lab.host():
        lab.wait_for(6)
        lab.wait_until_empty()
    return {"versions": lab.versions(), "left": lab.left()}
