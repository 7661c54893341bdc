"""Scenarios of messages on the internal queue that no scanner wrote."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from tests.hosts.lab import INTERNAL, POISON, REQUESTS, encoded
from tests.hosts.recording_app import wait_for_end
from tests.waiting import until

if TYPE_CHECKING:
    from tests.hosts.lab import Facts, Lab


def internal_message(**changes: Any) -> str:
    """A message as the scanner writes it, compact; ``...`` leaves a field out."""
    fields = {
        "Type": "BlobTrigger",
        "FunctionId": "Host.Functions.classify_uploaded",
        "BlobType": "BlockBlob",
        "ContainerName": "incoming",
        "BlobName": "a.jpg",
        "ETag": '"0x1"',
    } | changes
    return json.dumps({name: value for name, value in fields.items() if value is not ...}, separators=(",", ":"))


def _injected_cases(etag: str, other_etag: str) -> dict[str, str]:
    """Texts on the internal queue that the scanner would not write."""

    def message(**changes: Any) -> str:
        return encoded(internal_message(**({"ETag": etag} | changes)))

    whole = internal_message(ETag=etag)
    return {
        "as the scanner writes it": message(),
        "short function id": message(FunctionId="Functions.classify_uploaded"),
        "bare function name": message(FunctionId="classify_uploaded"),
        "unknown function": message(FunctionId="Host.Functions.renamed"),
        "blob gone": message(BlobName="gone.jpg"),
        "another version": message(ETag='"0x1"'),
        "ETag without quotes": message(ETag=etag.strip('"')),
        "BlobType Block": message(BlobType="Block"),
        "BlobType nonsense": message(BlobType="Nonsense"),
        "BlobType PageBlob": message(BlobType="PageBlob"),
        "another container": message(ContainerName="other"),
        "container gone": message(ContainerName="nowhere"),
        "Type missing": message(Type=...),
        "Type wrong": message(Type="QueueTrigger"),
        "ETag missing": message(ETag=...),
        "BlobName missing": message(BlobName=...),
        "extra field": message(Extra=1),
        "field names in lower case": message(BlobName=..., blobname="a.jpg"),
        "not JSON": encoded("hello"),
        "empty": encoded(""),
        "not Base64": whole,
        "JSON null": encoded("null"),
        "JSON array": encoded("[]"),
        # From here on: not in the recordings, first run on webjobs-host on 2026-11-28.
        "FunctionId missing": message(FunctionId=...),
        "FunctionId a number": message(FunctionId=7),
        "FunctionId in another case": message(FunctionId="host.functions.CLASSIFY_uploaded"),
        "function of a queue": message(FunctionId="Host.Functions.classify_requested"),
        "ContainerName missing": message(ContainerName=...),
        "ContainerName empty": message(ContainerName=""),
        "ContainerName impossible": message(ContainerName="BAD NAME!"),
        "BlobName empty": message(BlobName=""),
        "BlobName a number": message(BlobName=5),
        "BlobName a list": message(BlobName=["a.jpg"]),
        "BlobType missing": message(BlobType=...),
        "BlobType in lower case": message(BlobType="blockblob"),
        "BlobType a number": message(BlobType=1),
        "BlobType empty": message(BlobType=""),
        "another container, its version": message(ContainerName="other", ETag=other_etag),
        "Type a list": message(Type=[]),
        "text after the JSON": encoded(whole + " x"),
        "byte order mark": encoded(b"\xef\xbb\xbf" + whole.encode()),
        "not UTF-8": encoded(b"\xff\xfe"),
        "white space": encoded("  "),
        "line break in the Base64": f"{message()[:40]}\n{message()[40:]}",
        "Base64 without padding": message(pad="xx").rstrip("="),
        "two ETags": encoded(whole[:-1] + ',"ETag":"\\"0x9\\""}'),
    }


def injected(lab: Lab) -> Facts:
    """How many calls each text has, how many messages it leaves, and whether it ends the host."""
    lab.incoming.create_container()
    etag = lab.put("a.jpg")
    other = lab.blobs.create_container("other").upload_blob("a.jpg", b"x").get_blob_properties()
    cases = _injected_cases(etag, str(other.etag))
    internal = lab.queue(INTERNAL)
    host = lab.start()
    lab.wait_for(1)
    lab.wait_until_empty()
    facts: Facts = {}
    try:
        for title, text in cases.items():
            before = lab.count()
            internal.send_message(text)
            until(lambda: host.exit_code is not None or not lab.look(INTERNAL).length, f"the end of {title!r}")  # noqa: B023 - evaluated in this turn
            ended = host.exit_code
            looked = lab.look(INTERNAL)
            facts[title] = {"calls": lab.count() - before, "left": looked.length, "ends the host": ended == 1}
            assert not looked.texts  # the rest is hidden
            if ended is not None:
                internal.clear_messages()
                host = lab.start()
    finally:
        if host.exit_code is None:
            host.stop()
    assert not lab.left()
    return facts


def too_often(lab: Lab) -> Facts:
    """Messages that were received six times before: not in the recordings, first run on webjobs-host on 2026-11-28."""
    lab.incoming.create_container()
    etag = lab.put("a.jpg")
    with lab.host():
        lab.wait_for(1)
        lab.wait_until_empty()
    cases = {
        "blob": (INTERNAL, encoded(internal_message(ETag=etag))),
        "request": (REQUESTS, encoded("{}")),
        "request, not Base64": (REQUESTS, "{}"),
        "poison": (f"{REQUESTS}-poison", encoded("ok")),
        "nonsense": (INTERNAL, encoded("hello")),
    }
    facts: Facts = {}
    for title, (name, text) in cases.items():
        waiting = lab.queue(name)
        with contextlib.suppress(ResourceExistsError):
            waiting.create_queue()
        waiting.send_message(text)
        for _ in range(6):
            (message,) = waiting.receive_messages(max_messages=1, visibility_timeout=60)
            waiting.update_message(message.id, message.pop_receipt, visibility_timeout=0)
        before = len(lab.recorder.calls)
        host = lab.start()
        if title == "nonsense":
            facts[title] = wait_for_end(host)
            continue
        until(lambda: not lab.look(name).length, "the message taken")  # noqa: B023 - evaluated in this turn
        if title in ("blob", "request"):
            until(lambda: len(lab.recorder.calls) > before, "the call for its poison message")  # noqa: B023 - evaluated in this turn
        host.stop()
        facts[title] = sorted([call.function, call.dequeue_count] for call in lab.recorder.calls[before:])
        for each in (POISON, REQUESTS, f"{REQUESTS}-poison"):
            with contextlib.suppress(ResourceNotFoundError):
                lab.queue(each).clear_messages()
    return facts


EVENTS = {
    "one event": ("a.jpg",),
    "encoded url 100%.jpg": ("100%.jpg",),
    "encoded url Ü#1.jpg": ("Ü#1.jpg",),
    "encoded url a%20b.jpg": ("a%20b.jpg",),
    "same event twice": ("a.jpg", "a.jpg"),
    "blob gone": ("gone.jpg",),
}


def events(lab: Lab) -> Facts:
    """Messages as the webhook writes them, under the Event Grid source: no ETag is compared, nothing is scanned."""
    lab.incoming.create_container()
    for names_ in EVENTS.values():
        for name in set(names_) - {"gone.jpg"}:
            lab.put(name)
    lab.queue(INTERNAL).create_queue()
    facts: Facts = {}
    with lab.host(source=func.BlobSource.EVENT_GRID):
        for title, names_ in EVENTS.items():
            before = lab.count()
            for name in names_:
                lab.queue(INTERNAL).send_message(encoded(internal_message(BlobName=name, ETag='"0x8DTEST"')))
            lab.wait_until_empty()
            facts[title] = [call.key for call in lab.recorder.calls[before:]]
    return {"called for": facts, "receipts": lab.receipts()}
