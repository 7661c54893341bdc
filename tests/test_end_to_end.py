"""The main job as a person meets it: upload with the SDK, look at the table, while the host runs as a process.

The host gets an Azurite of its own: the names of some queues are fixed, and other tests' messages are none of its
business. It is stopped by SIGTERM and by SIGKILL in the middle of its work, and what it owed must still arrive.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient
from PIL import Image as Picture

from storage.settings import DEFAULTS
from tests.waiting import DEADLINE_SECONDS, until
from tools.azurite.azurite import running
from tools.sample_photos.render import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from azure.data.tables import TableEntity

    Found = TypeVar("Found")

ROOT = Path(__file__).resolve().parent.parent
INCOMING, RESULTS, TABLE = "photos-in", "photos-out", "verdicts"
HOST_ID = "end-to-end"
INTERNAL_QUEUE = f"azure-webjobs-blobtrigger-{HOST_ID}"

ALWAYS = {
    *("container", "blob_name", "status", "classified_at", "model", "model_version", "etag", "blob_last_modified"),
    *("content_length", "queue_delay_ms", "duration_ms", "sidecar"),
}
PICTURE = {"width", "height", "format"}
ANSWER = {"label", "label_index", "score", "top_k"}
WHY_NOT = {"reason", "detail"}
DAMAGE = {"damaged", "decoded_fraction"}
CAPTURE = {
    *("taken_at", "taken_from", "camera_make", "camera_model", "camera_serial", "temperature_c"),
    *("latitude", "longitude", "content_md5", "phash"),
}
COLUMNS = ALWAYS | PICTURE | ANSWER | WHY_NOT | DAMAGE | CAPTURE | {"color_profile", "md5_mismatch", "decision_version"}


class Account:
    """The storage account through the plain SDK, without any code of ours."""

    def __init__(self, connection_string: str) -> None:
        self.connection_string = connection_string
        self.blobs = BlobServiceClient.from_connection_string(connection_string)
        self.incoming = self.blobs.create_container(INCOMING)
        self._table = TableServiceClient.from_connection_string(connection_string).get_table_client(TABLE)
        self._queue = QueueServiceClient.from_connection_string(connection_string).get_queue_client(INTERNAL_QUEUE)

    def upload(self, name: str, content: bytes) -> str:
        """Upload, and return the ETag."""
        etag: str = self.incoming.upload_blob(name, content, overwrite=True).get_blob_properties().etag
        return etag.strip('"')

    def rows(self) -> dict[str, TableEntity]:
        """All rows by blob name; none while there is no table."""
        try:
            return {str(row["blob_name"]): row for row in self._table.list_entities()}
        except ResourceNotFoundError:
            return {}

    def rows_of(self, etags: Mapping[str, str], host: Host) -> dict[str, TableEntity]:
        """The rows of these blobs, once each describes the content with this ETag."""

        def found() -> dict[str, TableEntity]:
            rows = self.rows()
            current = {name: row for name in etags if (row := rows.get(name)) and row["etag"] == etags[name]}
            return current if len(current) == len(etags) else {}

        return host.eventually(found, f"rows of {len(etags)} images")

    def sidecar(self, row: TableEntity) -> dict[str, Any]:
        container, _, name = row["sidecar"].partition("/")
        document: dict[str, Any] = json.loads(self.blobs.get_blob_client(container, name).download_blob().readall())
        return document

    def send_event(self, name: str, etag: str) -> None:
        """Queue an upload's message, in the form in which the host queues it."""
        event = {
            "Type": "BlobTrigger",
            "FunctionId": "Host.Functions.classify_uploaded",
            "BlobType": "BlockBlob",
            "ContainerName": INCOMING,
            "BlobName": name,
            "ETag": f'"{etag}"',
        }
        self._queue.send_message(base64.b64encode(json.dumps(event, indent=2).encode()).decode())


class Host:
    """The dev host as a process, and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def finished(self, outcome: str = "committed") -> int:
        """How many deliveries ended like this, by the line that each image leaves in the log."""
        return sum("image_finished" in line and f"outcome={outcome} " in line for line in self.log.splitlines())

    def eventually(self, condition: Callable[[], Found], what: str) -> Found:
        """Wait until a condition is true, as long as the host runs, and return what it gave."""

        def found() -> Found:
            result = condition()
            assert result or self.process.poll() is None, f"the host ended:\n{self.log[-4000:]}"
            return result

        return until(found, what, evidence=lambda: self.log[-4000:])

    def end(self, by: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(by)
        return self.process.wait(DEADLINE_SECONDS)


@contextmanager
def serving(account: Account, log: Path, visibility_seconds: int = 600) -> Iterator[Host]:
    """Start the host as a person does, and end it with the block.

    A message stays hidden longer than a test takes: a slow machine gets none twice. Only a killed host needs less.
    """
    environ = {
        **{name: value for name, value in os.environ.items() if name not in DEFAULTS},
        "AzureWebJobsStorage": account.connection_string,
        "ImageStorage": account.connection_string,
        "AzureFunctionsWebHost__hostid": HOST_ID,
        "DEV_HOST_VISIBILITY_SECONDS": str(visibility_seconds),
        "INCOMING_CONTAINER": INCOMING,
        "RESULTS_CONTAINER": RESULTS,
        "RESULTS_TABLE": TABLE,
        "MODEL_DIR": "models/shapes",
    }
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tools", "host"]
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield Host(process, log)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with running(in_memory=True) as azurite:
        yield Account(azurite.connection_string)


@pytest.fixture(scope="class")
def host(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host for a class of tests; nothing that they upload may make it report an error."""
    with serving(account, tmp_path_factory.mktemp("host") / "log") as started:
        yield started
        assert started.end(signal.SIGTERM) == 0
    assert [line for line in started.log.splitlines() if "ERROR" in line or "Traceback" in line] == []


def encoded(picture: Picture.Image, image_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, image_format, **options)
    return file.getvalue()


def upside_down(picture: Picture.Image) -> bytes:
    """A portrait as a phone stores it: lying down, with a note that says how to turn it."""
    exif = Picture.Exif()
    exif[0x0112] = 6
    return encoded(picture.transpose(Picture.Transpose.ROTATE_90), "JPEG", quality=90, exif=exif)


@pytest.fixture(scope="module")
def cube() -> Picture.Image:
    return render("cube", (0, 1), 480, 640)


@pytest.fixture(scope="module")
def heart() -> Picture.Image:
    return render("heart", (0, 2), 640, 480)


@pytest.fixture(scope="module")
def slow() -> bytes:
    """A small file that takes a while to decode, so that a signal finds the host at work."""
    tile = np.random.default_rng(7).integers(0, 256, (64, 64, 3), np.uint8)
    return encoded(Picture.fromarray(np.tile(tile, (36, 48, 1))), "PNG", compress_level=6)


AWKWARD_NAMES = (
    "plain.jpg",
    "UPPER.JPG",
    "no extension",
    "trap 7/2026-05-01/Füchse & Dachs #1 100%.jpg",
    "%41 is not A.jpg",
    "what?/why=because&+.jpg",
    'it\'s/"quoted".jpg',
    "double//slash.jpg",
    "星/心.jpg",
    "e\u0301 decomposed.jpg",
    "🦊.jpg",
    "/".join(["deep"] * 40) + "/down.jpg",
    "long " + "n" * 600 + ".jpg",
)


class TestUploads:
    def test_become_rows_and_sidecars(
        self, account: Account, host: Host, cube: Picture.Image, heart: Picture.Image
    ) -> None:
        jpeg = upside_down(cube)
        began = datetime.now(UTC)
        files = {
            "portrait.jpg": jpeg,
            "shop/heart.png": encoded(heart.convert("RGBA"), "PNG", compress_level=1),
            "cut short.jpg": jpeg[: len(jpeg) // 2],
            "notes.jpg": b"Buy batteries for camera 2.\n",
            "card full.jpg": b"",
        }
        etags = {name: account.upload(name, content) for name, content in files.items()}
        rows = account.rows_of(etags, host)

        shape = {name: (row["status"], row.get("label"), row.get("reason")) for name, row in rows.items()}
        assert shape == {
            "portrait.jpg": ("classified", "cube", None),
            "shop/heart.png": ("classified", "heart", None),
            "cut short.jpg": ("rejected", None, "truncated"),
            "notes.jpg": ("rejected", None, "not_an_image"),
            "card full.jpg": ("rejected", None, "empty"),
        }
        assert (rows["portrait.jpg"]["width"], rows["portrait.jpg"]["height"]) == (480, 640)
        for name, content in files.items():
            check_row(rows[name], name, content, began)
            check_sidecar(account.sidecar(rows[name]), rows[name])

    def test_with_awkward_names_become_rows_that_carry_the_raw_name(
        self, account: Account, host: Host, cube: Picture.Image
    ) -> None:
        content = encoded(cube.resize((96, 128)), "JPEG")
        etags = {f"awkward/{name}": account.upload(f"awkward/{name}", content) for name in AWKWARD_NAMES}
        rows = account.rows_of(etags, host)
        assert {row["status"] for row in rows.values()} == {"classified"}
        for name, row in rows.items():
            assert account.sidecar(row)["blob_name"] == name
            if len(name) < 500:
                assert row["sidecar"] == f"{RESULTS}/{name}.json"

    def test_under_the_same_name_describe_the_new_content(
        self, account: Account, host: Host, cube: Picture.Image, heart: Picture.Image
    ) -> None:
        first = account.rows_of({"door.jpg": account.upload("door.jpg", encoded(cube, "JPEG"))}, host)["door.jpg"]
        second = account.rows_of({"door.jpg": account.upload("door.jpg", encoded(heart, "WEBP"))}, host)["door.jpg"]
        assert (first["label"], first["format"]) == ("cube", "jpeg")
        assert (second["label"], second["format"]) == ("heart", "webp")
        assert second["classified_at"] > first["classified_at"]
        check_sidecar(account.sidecar(second), second)

    def test_delivered_again_cost_no_second_inference(self, account: Account, host: Host, cube: Picture.Image) -> None:
        etag = account.upload("twice.jpg", encoded(cube, "JPEG"))
        before = account.rows_of({"twice.jpg": etag}, host)["twice.jpg"]
        before_both = host.finished("duplicate")
        account.send_event("twice.jpg", etag)
        account.send_event("twice.jpg", etag)
        host.eventually(lambda: host.finished("duplicate") == before_both + 2, "second and third delivery")
        after = account.rows()["twice.jpg"]
        assert after == before
        assert after.metadata["etag"] == before.metadata["etag"], "the row was written again"


def check_row(row: TableEntity, name: str, content: bytes, began: datetime) -> None:
    """A row holds the columns of DESIGN section 6, of the right types, and no other."""
    columns = row.keys() - {"PartitionKey", "RowKey", "shared", "superseded"}
    classified = row["status"] == "classified"
    if classified:
        assert columns == ALWAYS | PICTURE | ANSWER | {"content_md5", "phash"}
    else:
        assert columns - PICTURE - {"content_md5"} == ALWAYS | WHY_NOT
    if "content_md5" in columns:  # else the content was not read
        assert row["content_md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert (row["container"], row["blob_name"], row["content_length"]) == (INCOMING, name, len(content))
    assert row["sidecar"] == f"{RESULTS}/{name}.json"
    # Azurite's clock and ours are one; Last-Modified is cut to seconds.
    assert began - timedelta(seconds=1) <= row["blob_last_modified"] <= row["classified_at"] <= datetime.now(UTC)
    assert row["queue_delay_ms"] >= 0
    assert row["duration_ms"] >= 0
    assert row["model"] == "shapes"
    assert len(row["model_version"]) == 12
    if not classified:
        assert row["detail"].endswith(".")
        return
    best = json.loads(row["top_k"])
    assert len(best) == 5
    assert best[0] == {"label": row["label"], "label_index": row["label_index"], "score": row["score"]}
    assert [each["score"] for each in best] == sorted((each["score"] for each in best), reverse=True)
    assert isinstance(row["score"], float)
    assert 0 < row["score"] <= 1


def check_sidecar(document: dict[str, Any], row: TableEntity) -> None:
    """A sidecar says what the row says; what a row leaves out is null."""
    # What a killed attempt left is carried on by the next one, which says so in the sidecar (docs/adr/0003).
    sidecar_only = {"schema_version", "predictions"} | ({"scores"} if row["status"] == "classified" else set())
    assert document.keys() - {"shared", "superseded"} == COLUMNS | sidecar_only
    for name in COLUMNS:
        value = document[name]
        if name in {"classified_at", "blob_last_modified"}:
            value = datetime.fromisoformat(value)
            assert value.tzinfo is not None
        assert value == row.get(name), name
    assert document["predictions"] == json.loads(row.get("top_k", "[]"))


class TestSignals:
    def test_interrupt_the_host_and_lose_and_repeat_nothing(
        self, account: Account, slow: bytes, tmp_path: Path
    ) -> None:
        """SIGTERM in the middle of a heap of uploads, SIGKILL in the middle of more, then a third run to the end."""
        etags = self.upload(account, slow, range(30))
        with serving(account, tmp_path / "first.log") as first:
            first.eventually(lambda: first.finished() >= 2, "work to interrupt")
            assert first.end(signal.SIGTERM) == 0
            finished = self.heap(account)
            assert first.finished() == len(finished), "the host did not finish what it had begun"
        assert 2 <= len(finished) < len(etags)

        etags |= self.upload(account, slow, range(30, 40))
        with serving(account, tmp_path / "second.log", visibility_seconds=2) as second:
            second.eventually(lambda: second.finished() >= 2, "work to interrupt")
            assert second.end(signal.SIGKILL) == -signal.SIGKILL
        survived = self.heap(account)
        assert len(finished) + 2 <= len(survived) < len(etags)

        with serving(account, tmp_path / "third.log") as third:
            rows = account.rows_of(etags, third)
            assert third.end(signal.SIGINT) == 0
            assert "Traceback" not in third.log
        for name, row in survived.items():
            assert rows[name].metadata["etag"] == row.metadata["etag"], f"{name} was written again"
        for row in rows.values():
            check_sidecar(account.sidecar(row), row)

    @staticmethod
    def upload(account: Account, content: bytes, numbers: range) -> dict[str, str]:
        return {name: account.upload(name, content) for name in (f"heap/{number:02}.png" for number in numbers)}

    @staticmethod
    def heap(account: Account) -> dict[str, TableEntity]:
        return {name: row for name, row in account.rows().items() if name.startswith("heap/")}
