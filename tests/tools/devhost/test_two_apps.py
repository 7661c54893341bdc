"""Two apps with two containers on one storage account: each processes its own images and messages only."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tests.waiting import until
from tools.__main__ import main
from tools.azurite.azurite import running
from tools.devhost import process
from tools.devhost.messages import BlobTriggerMessage, function_id
from tools.sample_photos.photographs import camera_jpeg
from tools.sample_photos.render import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pytest

FIRST = {"INCOMING_CONTAINER": "incoming", "RESULTS_TABLE": "classifications"}
SECOND = {
    "INCOMING_CONTAINER": "photos-b",
    "RESULTS_CONTAINER": "results-b",
    "RESULTS_TABLE": "rowsb",
    "REQUESTS_QUEUE": "requests-b",
}
SHARED_QUEUE = "webjobs-blobtrigger-poison"


@contextmanager
def host(environ: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        running_host = process.start(environ, output)
    try:
        yield
    finally:
        code = process.stop(running_host)
    assert code == 0, log.read_text(encoding="utf-8")


def test_each_app_processes_its_own_images_and_messages_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = camera_jpeg(render("cube", 1, 64, 64))
    with running(in_memory=True) as azurite:
        connection = azurite.connection_string
        blobs = BlobServiceClient.from_connection_string(connection)
        tables = TableServiceClient.from_connection_string(connection)
        queues = QueueServiceClient.from_connection_string(connection)
        first, second = (process.environment(connection, **settings) for settings in (FIRST, SECOND))

        def rows(app: Mapping[str, str]) -> dict[tuple[str, str], dict[str, Any]]:
            try:
                found = list(tables.get_table_client(app["RESULTS_TABLE"]).list_entities())
            except ResourceNotFoundError:
                return {}
            return {(str(row["container"]), str(row["blob_name"])): dict(row) for row in found}

        def tool(app: Mapping[str, str], *arguments: str) -> dict[str, Any]:
            with monkeypatch.context() as patch:
                for name, value in app.items():
                    patch.setenv(name, value)
                assert main([*arguments, "--json"]) == 0
            return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))

        with host(first, tmp_path / "first.log"):
            with host(second, tmp_path / "second.log"):
                for app in (first, second):
                    blobs.create_container(app["INCOMING_CONTAINER"]).upload_blob("a.jpg", photo)
                for app in (first, second):
                    own = {(app["INCOMING_CONTAINER"], "a.jpg")}
                    until(lambda app=app: rows(app), "the row")  # type: ignore[misc]
                    assert rows(app).keys() == own

                before = rows(first), rows(second)
                ((_, row),) = before[1].items()
                assert tool(second, "redrive", "--label", row["label"])["enqueued"] == 1
                until(lambda: rows(second) != before[1], "the new row")
                assert rows(first) == before[0]
                refused = queues.create_queue("requests-b-refused")
                refused.send_message(json.dumps({"container": "photos-b", "blobs": ["gone.jpg"]}))
                assert tool(second, "redrive", "--queue", "requests-b-refused")["enqueued"] == 1
                for app in (first, second):
                    summary = tool(app, "reconcile")
                    assert (summary["images"], summary["rows"], summary["enqueued"]) == (1, 1, 0)

            # The second app is gone. The first one reads its message on the queue that they share, and leaves it there.
            lost = BlobTriggerMessage(function_id("classify_uploaded"), "photos-b", "a.jpg", '"0x0"')
            queues.get_queue_client(SHARED_QUEUE).send_message(lost.to_wire())
            log = tmp_path / "first.log"
            until(lambda: "message_refused" in log.read_text(encoding="utf-8"), "the refusal")
        lengths = {
            str(each.name): queues.get_queue_client(str(each.name)).get_queue_properties().approximate_message_count
            for each in queues.list_queues()
        }
        assert lengths.pop(SHARED_QUEUE) == 1
        assert {"classify-requests", "requests-b"} <= lengths.keys()
        assert set(lengths.values()) == {0}, lengths
        assert sum(name.startswith("azure-webjobs-blobtrigger-") for name in lengths) == 2
        assert rows(first) == before[0]
