"""The host as a person runs it: a process, a sample app, real Azurite."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import signal
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import ResourceNotFoundError

from tests.tools.devhost.bench import Bench, RunningHost
from tests.waiting import DEADLINE_SECONDS, until
from tools.azurite.azurite import Ports, connection_string, running

if TYPE_CHECKING:
    from pathlib import Path

    from azure.storage.queue import QueueClient

Shared = tuple[Bench, RunningHost]

APP = """
import hashlib, json, logging, os, threading, time
import azure.functions as func
from azurefunctions.extensions.bindings.blob import BlobClient

app = func.FunctionApp()
busy, most, lock = 0, 0, threading.Lock()

@app.blob_trigger(arg_name="blob", path="%INCOMING_CONTAINER%/{name}", connection="ImageStorage",
                  source=os.environ.get("BLOB_TRIGGER_SOURCE"))
def uploaded(blob: BlobClient, context: func.Context) -> None:
    global busy, most
    with lock:
        busy += 1
        most = max(most, busy)
    logging.info("uploaded name=%s | etag=%s | function=%s | most=%d", json.dumps(blob.blob_name),
                 blob.get_blob_properties().etag, context.function_name, most)
    if "fails" in blob.blob_name:
        raise ValueError("this blob never works")
    while "slow" in blob.blob_name and not os.path.exists("released"):
        time.sleep(0.01)
    with lock:
        busy -= 1
    logging.info("finished name=%s", json.dumps(blob.blob_name))

@app.queue_trigger(arg_name="message", queue_name="%JOBS%", connection="ImageStorage")
async def job(message: func.QueueMessage) -> None:
    logging.info("job body=%s | count=%d | id=%s | inserted=%s | receipt=%s", message.get_body().decode(),
                 message.dequeue_count, message.id, message.insertion_time.isoformat(), bool(message.pop_receipt))
    if b"fails" in message.get_body():
        raise RuntimeError("this job never works")
"""
STREAMS = """
import hashlib, logging
import azure.functions as func

app = func.FunctionApp()

@app.blob_trigger(arg_name="stream", path="%INCOMING_CONTAINER%/{name}", connection="ImageStorage",
                  data_type=func.DataType.BINARY)
def whole(stream: func.InputStream) -> None:
    sha = hashlib.sha256(stream.read()).hexdigest()
    logging.info("whole name=%s | sha=%s | length=%d", stream.name, sha, stream.length)

@app.blob_trigger(arg_name="stream", path="%INCOMING_CONTAINER%/{base}.{ext}", connection="ImageStorage")
def spoilt(stream: func.InputStream) -> None:
    logging.info("spoilt name=%s | sha=%s", stream.name, hashlib.sha256(stream.read()).hexdigest())
"""
TIMERS = """
import logging
import azure.functions as func

app = func.FunctionApp()

@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def ticks(timer: func.TimerRequest) -> None:
    logging.info("ticked past_due=%s", timer.past_due)

@app.timer_trigger(arg_name="timer", schedule="0 0 3 1 1 *", run_on_startup=True)
def starts(timer: func.TimerRequest) -> None:
    logging.info("started past_due=%s", timer.past_due)
"""


@pytest.fixture(scope="module")
def shared(shared_bench: Bench) -> tuple[Bench, RunningHost]:
    """One host for the tests that do not stop it."""
    shared_bench.app(APP)
    return shared_bench, shared_bench.host()


def texts(queue: QueueClient) -> list[str]:
    try:
        return [message.content for message in queue.peek_messages(32)]
    except ResourceNotFoundError:
        return []


def wire(function_id: str, container: str, name: str, etag: str) -> str:
    """The message as another host writes it, stated here on its own."""
    lines = [
        '"Type": "BlobTrigger"',
        f'"FunctionId": "{function_id}"',
        '"BlobType": "BlockBlob"',
        f'"ContainerName": "{container}"',
        f'"BlobName": {json.dumps(name, ensure_ascii=False)}',
        f'"ETag": {json.dumps(etag)}',
    ]
    return base64.b64encode(("{\n  " + ",\n  ".join(lines) + "\n}").encode()).decode()


def calls_for(host: RunningHost, event: str, name: str) -> list[dict[str, str]]:
    return [call for call in host.calls(event) if call["name"] == json.dumps(name)]


def test_an_upload_is_invoked(shared: Shared) -> None:
    bench, host = shared
    name = "quick/photo.jpg"
    etag = bench.container().upload_blob(name, b"x").get_blob_properties().etag
    until(lambda: calls_for(host, "uploaded", name), "the call")
    (call,) = calls_for(host, "uploaded", name)
    assert call["etag"] == etag
    assert call["function"] == "uploaded"


@pytest.mark.parametrize(
    "name",
    [
        "folder/deep/er/photo.jpg",
        "café 100% #1?.jpg",
        "%2F%20.jpg",
        "写真\N{CAMERA}.jpg",
        "a{b}c'\"&<>.jpg",
        "+ .jpg",
        "long/" + "x" * 1000,
    ],
    ids=["nested", "percent-hash", "looks-encoded", "unicode", "quotes-braces", "plus", "as-long-as-allowed"],
)
def test_awkward_blob_names_arrive_unchanged(shared: Shared, name: str) -> None:
    bench, host = shared
    bench.container().upload_blob(name, b"x")
    until(lambda: calls_for(host, "finished", name), "the call")
    assert len(calls_for(host, "uploaded", name)) == 1


def test_each_new_content_is_invoked_once(shared: Shared) -> None:
    bench, host = shared
    blob = bench.container().get_blob_client("twice.jpg")
    etags = []
    for content in (b"first", b"second"):
        etags.append(blob.upload_blob(content, overwrite=True)["etag"])
        until(lambda: len(calls_for(host, "finished", "twice.jpg")) == len(etags), "its call")
    assert [call["etag"] for call in calls_for(host, "uploaded", "twice.jpg")] == etags


def test_a_blob_that_always_fails_is_tried_five_times_at_once_and_then_poisoned(shared: Shared) -> None:
    """No retry waits until its message is visible again: that takes longer than the test's deadline."""
    bench, host = shared
    blob = bench.container().get_blob_client("fails.jpg")
    etag = blob.upload_blob(b"x")["etag"]
    expected = wire("Host.Functions.uploaded", bench.incoming, "fails.jpg", etag)
    until(lambda: expected in texts(bench.queue("webjobs-blobtrigger-poison")), "its poison message")
    assert len(calls_for(host, "uploaded", "fails.jpg")) == 5


@pytest.mark.parametrize("function_id", ["Host.Functions.uploaded", "uploaded"])
def test_a_message_from_another_host_is_served(shared: Shared, function_id: str) -> None:
    bench, host = shared
    name = f"replayed-{function_id}.jpg"
    etag = bench.container().get_blob_client(name).upload_blob(b"x")["etag"]
    until(lambda: len(calls_for(host, "finished", name)) == 1, "the first call")
    bench.internal.send_message(wire(function_id, bench.incoming, name, etag))
    until(lambda: len(calls_for(host, "finished", name)) == 2, "the second call")


def test_messages_with_nothing_to_do_are_deleted_without_a_call(shared: Shared) -> None:
    bench, host = shared
    etag = bench.container().get_blob_client("there.jpg").upload_blob(b"x")["etag"]
    until(lambda: calls_for(host, "finished", "there.jpg"), "the first call")
    for function, name, seen in [
        ("Host.Functions.renamed", "there.jpg", etag),
        ("Functions.uploaded", "there.jpg", etag),
        ("Host.Functions.uploaded", "gone.jpg", etag),
        ("Host.Functions.uploaded", "there.jpg", '"0xOLD"'),
    ]:
        bench.internal.send_message(wire(function, bench.incoming, name, seen))
    host.says("the blob is gone")
    host.says("this app has no blob function 'Host.Functions.renamed'")
    host.says("this app has no blob function 'Functions.uploaded'")
    host.says("it was overwritten")
    until(lambda: not bench.internal.get_queue_properties().approximate_message_count, "an empty queue")
    assert len(calls_for(host, "uploaded", "there.jpg")) == 1
    assert not calls_for(host, "uploaded", "gone.jpg")


def test_nonsense_on_the_internal_queue_ends_the_host_and_the_log_says_how_to_delete_it(bench: Bench) -> None:
    """The Functions host does the same: "Host is shutting down"."""
    bench.app(APP)
    host = bench.host()
    bench.internal.send_message(base64.b64encode(b"not JSON").decode())
    assert host.process.wait(DEADLINE_SECONDS) == 1
    host.says("message_ends_host queue=azure-webjobs-blobtrigger-")
    (found,) = re.findall(r"az storage message delete --queue-name (\S+) --id (\S+) --pop-receipt (\S+)", host.log)
    queue, message_id, receipt = shlex.split(" ".join(found))
    assert bench.queue(queue).get_queue_properties().approximate_message_count == 1
    assert not texts(bench.queue(queue))
    bench.queue(queue).delete_message(message_id, receipt)
    assert bench.queue(queue).get_queue_properties().approximate_message_count == 0


def test_a_queue_message_arrives_with_its_facts(shared: Shared) -> None:
    bench, host = shared
    bench.send_job(b"hello")
    until(lambda: [job for job in host.calls("job") if job["body"] == "hello"], "the job")
    (job,) = [job for job in host.calls("job") if job["body"] == "hello"]
    assert (job["count"], job["receipt"]) == ("1", "True")
    assert job["inserted"].endswith("+00:00")


def test_a_queue_message_that_always_fails_is_counted_and_poisoned(shared: Shared) -> None:
    bench, host = shared
    bench.send_job(b"fails")
    body = base64.b64encode(b"fails").decode()
    until(lambda: body in texts(bench.queue(f"{bench.jobs}-poison")), "its poison message")
    assert [job["count"] for job in host.calls("job") if job["body"] == "fails"] == ["1", "2", "3", "4", "5"]


def test_a_restart_repeats_nothing_and_finds_what_came_meanwhile(bench: Bench) -> None:
    bench.app(APP)
    first = bench.host()
    bench.container().upload_blob("before.jpg", b"x")
    first.says('finished name="before.jpg"')
    assert first.stop() == 0
    bench.container().upload_blob("between.jpg", b"x")
    second = bench.host()
    second.says('finished name="between.jpg"')
    assert not calls_for(second, "uploaded", "before.jpg")


def test_sigterm_finishes_what_runs_gives_back_what_waits_and_exits_0(bench: Bench) -> None:
    bench.app(APP)
    host = bench.host(PYTHON_THREADPOOL_THREAD_COUNT="1")
    bench.container().upload_blob("slow-1.jpg", b"x")
    until(lambda: host.calls("uploaded"), "the first call")
    bench.container().upload_blob("slow-2.jpg", b"x")
    until(lambda: bench.internal.get_queue_properties().approximate_message_count == 2, "the second message")
    until(lambda: not texts(bench.internal), "the second message received")
    host.process.send_signal(signal.SIGTERM)
    host.says("Stopping")
    bench.release()
    assert host.process.wait(DEADLINE_SECONDS) == 0
    assert calls_for(host, "finished", "slow-1.jpg")
    assert not calls_for(host, "uploaded", "slow-2.jpg")
    # Visible at once, not after ten minutes.
    assert ["slow-2.jpg" in base64.b64decode(text).decode() for text in texts(bench.internal)] == [True]


def test_a_second_signal_ends_it_at_once(bench: Bench) -> None:
    bench.app(APP)
    host = bench.host()
    bench.container().upload_blob("slow.jpg", b"x")
    until(lambda: host.calls("uploaded"), "the call")
    host.process.send_signal(signal.SIGINT)
    host.says("Stopping")
    assert host.stop() != 0
    assert not host.calls("finished")


def test_a_killed_host_loses_nothing_and_repeats_only_what_it_had_not_finished(bench: Bench) -> None:
    bench.app(APP)
    first = bench.host(DEV_HOST_VISIBILITY_SECONDS="2")
    bench.container().upload_blob("done.jpg", b"x")
    first.says('finished name="done.jpg"')
    until(lambda: not bench.internal.get_queue_properties().approximate_message_count, "its message deleted")
    for number in range(5):
        bench.container().upload_blob(f"slow-{number}.jpg", b"x")
    until(lambda: first.calls("uploaded"), "work in progress")
    first.stop(signal.SIGKILL)
    bench.release()
    second = bench.host()
    for number in range(5):
        second.says(f'finished name="slow-{number}.jpg"')
    assert not calls_for(second, "uploaded", "done.jpg")


def test_the_blob_limit_of_host_json_holds(bench: Bench) -> None:
    bench.app(APP)
    (bench.folder / "host.json").write_text('{"extensions": {"blobs": {"maxDegreeOfParallelism": 1}}}')
    host = bench.host()
    for number in range(6):
        bench.container().upload_blob(f"{number}.jpg", b"x")
    host.says("finished name=", times=6)
    assert {call["most"] for call in host.calls("uploaded")} == {"1"}


def test_in_event_grid_mode_nothing_is_scanned_and_the_current_version_is_served(bench: Bench) -> None:
    bench.app(APP)
    host = bench.host(BLOB_TRIGGER_SOURCE="EventGrid")
    etag = bench.container().get_blob_client("event.jpg").upload_blob(b"x")["etag"]
    bench.internal.send_message(wire("Host.Functions.uploaded", bench.incoming, "event.jpg", '"0xOLD"'))
    host.says('finished name="event.jpg"')
    assert [call["etag"] for call in host.calls("uploaded")] == [etag]
    assert not list(bench.container("azure-webjobs-hosts").list_blobs(f"blobreceipts/{bench.host_id}/"))


def test_without_the_binary_data_type_an_image_is_spoilt_as_on_azure(bench: Bench) -> None:
    """The trap is part of the imitation: taking the data type away must break here, not first in Azure."""
    content = b"\xff\xd8\xff\xe0 plain \x00\x80\xe9"
    bench.app(STREAMS)
    host = bench.host()
    bench.container().upload_blob("a.b.jpg", content)
    until(lambda: host.calls("whole") and host.calls("spoilt"), "both calls")
    assert host.calls("whole") == [
        {"name": f"{bench.incoming}/a.b.jpg", "sha": hashlib.sha256(content).hexdigest(), "length": str(len(content))}
    ]
    spoilt = b"\xef\xbf\xbd" * 4 + b" plain \x00" + b"\xef\xbf\xbd" * 2
    assert host.calls("spoilt")[0]["sha"] == hashlib.sha256(spoilt).hexdigest()


def test_what_is_deleted_while_the_host_runs_is_restored_and_each_upload_is_called_once(bench: Bench) -> None:
    bench.app(APP)
    host = bench.host()

    def upload_three(turn: str) -> None:
        names = [f"{turn}/{number}.jpg" for number in range(3)]
        for name in names:
            bench.container().upload_blob(name, b"x")
        until(lambda: all(calls_for(host, "finished", name) for name in names), "the calls", evidence=lambda: host.log)
        assert [len(calls_for(host, "uploaded", name)) for name in names] == [1, 1, 1]

    bench.container("azure-webjobs-hosts").delete_container()
    upload_three("receipts")
    host.says("container_restored container=azure-webjobs-hosts:")
    bench.container().delete_container()
    host.says(f"container_restored container={bench.incoming}:")
    upload_three("images")
    bench.internal.delete_queue()
    upload_three("messages")
    host.says(f"queue_restored queue={bench.internal.queue_name}:")
    assert host.log.count("_restored ") == 3
    assert "Traceback" not in host.log


def test_timers_run_on_time_and_at_the_start_when_asked(bench: Bench) -> None:
    bench.app(TIMERS)
    host = bench.host()
    until(lambda: len(host.calls("ticked")) >= 2, "two ticks")
    assert len(host.calls("started")) == 1
    assert {call["past_due"] for call in host.calls("ticked") + host.calls("started")} == {"False"}


def test_storage_that_comes_late_is_waited_for_and_an_outage_is_logged_once(bench: Bench, tmp_path: Path) -> None:
    bench.app(APP)
    data = tmp_path / "data"
    with running(data) as emulator:
        ports = Ports(*emulator.ports)
    storage = {"AzureWebJobsStorage": connection_string(ports), "ImageStorage": connection_string(ports)}
    host = bench.host(wait=False, **storage)
    host.says("storage_unavailable")
    assert "The host is up." not in host.log
    with running(data, ports):
        host.says("The host is up.")
        host.says("storage_available")
    host.says("storage_unavailable", times=2)
    with running(data, ports):
        host.says("storage_available", times=2)
        assert host.stop() == 0
    assert host.log.count("storage_unavailable") == 2
    assert "Traceback" not in host.log


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        (
            '@app.route("x")\ndef web(req: func.HttpRequest) -> str:\n    return ""',
            "web has an HTTP trigger: this host has no HTTP path",
        ),
        (
            '@app.blob_trigger(arg_name="b", path="%NOWHERE%/{name}", connection="ImageStorage")\ndef lost(b): pass',
            "lost needs the setting NOWHERE, which is not set",
        ),
        (
            '@app.blob_trigger(arg_name="b", path="in/{name", connection="ImageStorage")\ndef torn(b): pass',
            "torn: the path 'in/{name' has a brace without its partner",
        ),
        (
            '@app.queue_trigger(arg_name="m", queue_name="q", connection="Elsewhere")\ndef far(m): pass',
            "Elsewhere is not set",
        ),
        (
            '@app.timer_trigger(arg_name="t", schedule="every day")\ndef late(t): pass',
            "late: the schedule 'every day' is not one that the Functions host reads",
        ),
        ("raise ValueError('broken')", "function_app.py failed while it was imported: ValueError: broken"),
        ("app = None", "function_app.py must hold exactly one FunctionApp; it holds 0."),
    ],
    ids=["http", "missing-setting", "bad-path", "missing-connection", "bad-schedule", "broken-app", "no-app"],
)
def test_what_cannot_be_served_is_refused_in_one_sentence(bench: Bench, app: str, sentence: str) -> None:
    bench.app(f"import azure.functions as func\napp = func.FunctionApp()\n{app}\n")
    host = bench.host(wait=False)
    assert host.process.wait(DEADLINE_SECONDS) == 2
    assert sentence in host.log
    assert "Traceback" not in host.log


def test_two_hosts_on_one_storage_share_the_work(bench: Bench) -> None:
    """Each upload is invoked at least once: delivery promises no more to hosts that are slow."""
    bench.app(APP)
    hosts = [bench.host(), bench.host()]
    uploaded: list[str] = []

    def finished() -> list[set[str]]:
        return [{json.loads(call["name"]) for call in host.calls("finished")} for host in hosts]

    def both_have_worked() -> bool:
        for _ in range(10):
            uploaded.append(f"{len(uploaded)}.jpg")
            bench.container().upload_blob(uploaded[-1], b"x")
        return all(finished())

    until(both_have_worked, "a call in each host")
    until(lambda: set().union(*finished()) == set(uploaded), "a call for each upload")
