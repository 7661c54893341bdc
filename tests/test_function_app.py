"""The composition root: what the host finds in it, what its import does not do, and what each trigger does."""

from __future__ import annotations

import ast
import base64
import contextlib
import importlib.util
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient, ContentSettings
from PIL import ExifTags
from PIL import Image as Picture

from inference.errors import ConfigurationError, ModelError, TransientError
from inference.model.session import onnxruntime
from inference.resources.cpus import usable_cpus
from inference.resources.memory import default_budget_bytes
from storage.blobs import SourceBlobs
from storage.errors import SettingsError
from storage.results.record import Image, Record, Status
from storage.results.serialization import from_sidecar
from storage.settings import DEFAULTS
from tests.triggers import TRIGGERS, trigger
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

ROOT = Path(__file__).resolve().parent.parent
SHAPES = ROOT / "models" / "shapes"


def load(monkeypatch: pytest.MonkeyPatch, **settings: str) -> ModuleType:
    """Import ``function_app.py`` anew, with exactly these settings."""
    for name in [name for name in os.environ if name in DEFAULTS or name.startswith("ImageStorage")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("function_app", ROOT / "function_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True)
class Bench:
    """The app on a storage account of its own names, and hands to upload and look with."""

    app: ModuleType
    incoming: str
    connection_string: str

    def upload(self, name: str, content: bytes, container: str | None = None) -> BlobClient:
        """Upload a blob and return the reference a trigger would be given."""
        blob = BlobClient.from_connection_string(self.connection_string, container or self.incoming, name)
        blob.upload_blob(content, overwrite=True)
        return blob

    def row(self, name: str, container: str | None = None) -> Record | None:
        stored = self.app.stores.results.read_row(Image(container or self.incoming, name))
        return None if stored is None else stored.record

    def request(self, *names: str, **more: object) -> func.QueueMessage:
        """A message on ``classify-requests``."""
        document = {"container": self.incoming, "blobs": names, **more}
        return func.QueueMessage(body=json.dumps(document).encode())

    def requested(self) -> dict[str, Any]:
        """The next message the app sent itself; it is taken off the queue, which all tests share."""
        queue = self.app.clients.queues.get_queue_client("classify-requests")

        def ours() -> dict[str, Any] | None:
            for message in queue.receive_messages():
                document: dict[str, Any] = json.loads(base64.b64decode(message.content))
                if document["container"] == self.incoming:
                    queue.delete_message(message)
                    return document
            return None

        found = until(ours, "a message of this app")
        assert found is not None
        return found


@pytest.fixture
def settings(azurite: Azurite, names: Names) -> dict[str, str]:
    return {
        "ImageStorage": azurite.connection_string,
        "INCOMING_CONTAINER": names.container("incoming"),
        "RESULTS_CONTAINER": names.container("results"),
        "RESULTS_TABLE": names.table("rows"),
        "MODEL_DIR": str(SHAPES),
        "RETRY_DELAYS_SECONDS": "1",
    }


@pytest.fixture
def bench(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(load(monkeypatch, **settings), settings["INCOMING_CONTAINER"], settings["ImageStorage"])
    made.app.clients.blobs.create_container(made.incoming)
    yield made
    made.app.clients.close()


@pytest.fixture(scope="module")
def photo() -> bytes:
    file = io.BytesIO()
    Picture.effect_mandelbrot((160, 120), (-2, -1, 1, 1), 40).convert("RGB").save(file, "JPEG")
    return file.getvalue()


class TestIndexing:
    def test_the_host_finds_exactly_our_functions_and_no_http(self, bench: Bench) -> None:
        found = {each.get_function_name(): each.get_raw_bindings() for each in bench.app.app.get_functions()}
        uploads = TRIGGERS["classify_uploaded"] | {"path": f"{bench.incoming}/{{name}}"}
        triggers = {name: trigger([json.loads(raw) for raw in bindings]) for name, bindings in found.items()}
        assert triggers == TRIGGERS | {"classify_uploaded": uploads}
        assert "http" not in json.dumps(found).lower()

    def test_on_azure_the_events_come_from_event_grid(
        self, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = load(monkeypatch, **settings, BLOB_TRIGGER_SOURCE="EventGrid")
        (upload,) = [each for each in app.app.get_functions() if each.get_function_name() == "classify_uploaded"]
        assert json.loads(upload.get_raw_bindings()[0])["source"] == "EventGrid"


class TestStart:
    @pytest.fixture
    def logged(self, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
        """Requested before ``bench``, so that it captures the import."""
        caplog.set_level(logging.INFO)
        return caplog

    def test_is_one_line_with_what_may_be_used_and_what_serves(
        self, logged: pytest.LogCaptureFixture, bench: Bench
    ) -> None:
        (line,) = [each.getMessage() for each in logged.get_records("setup") if "app_started" in each.getMessage()]
        fields = dict(word.split("=", 1) for word in line.split()[1:])
        model = bench.app.model().model
        assert (fields["model"], fields["model_version"]) == (json.dumps(model.name), model.version)
        assert (fields["cpus"], fields["intra_op_threads"]) == (str(usable_cpus()), "1")
        assert (fields["blobs_at_once"], fields["messages_at_once"]) == ("8", "6")
        assert fields["decode_budget_mib"] == str(default_budget_bytes() // 1024**2)
        assert fields["onnxruntime"] == onnxruntime().__version__

    def test_warns_of_settings_that_contradict_each_other(
        self, logged: pytest.LogCaptureFixture, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "2")
        load(monkeypatch, **settings)
        (line,) = [record.getMessage() for record in logged.records if record.levelno == logging.WARNING]
        assert line.startswith("settings_warning ")
        assert "threads for 2" in line

    def test_each_function_first_emits_the_early_logs(self) -> None:
        """The host drops logs from outside an invocation; see ``storage/host/early_logs.py``."""
        tree = ast.parse((ROOT / "function_app.py").read_text())
        functions = {each.name: each.body for each in tree.body if isinstance(each, ast.FunctionDef)}
        first = {name: ast.unparse(functions[name][1]) for name in TRIGGERS}  # below the docstring
        assert first == dict.fromkeys(TRIGGERS, "early_logs.reemit()")


IMPORT_UNDER_GUARD = """
import os, sys

seen = []
telemetry = []

def guard(event, arguments):
    # Not socket.bind: urllib3 binds a port of the loopback address to learn whether IPv6 is there.
    forbidden = (
        *("socket.connect", "socket.get", "socket.send"),
        *("subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "pty."),
    )
    if event == "import" and arguments[0] == "onnxruntime":
        telemetry.append(os.environ.get("ORT_DISABLE_TELEMETRY"))
    if event.startswith(forbidden):
        seen.append(f"{event} {arguments!r}")

sys.addaudithook(guard)
import function_app

assert "onnxruntime" in sys.modules, "the model was not warmed"
assert telemetry == ["1"], f"telemetry was {telemetry} when onnxruntime was imported"
assert seen == [], seen
# What native code opens passes no audit hook, but it has a file descriptor.
if os.path.isdir("/proc/self/fd"):
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            pass
    assert not [link for link in links if link.startswith("socket:")], links
"""

FIRST_IMAGE = """
import gc, json, os, sys

def collections():
    return sum(generation["collections"] for generation in gc.get_stats())

seen = {}

def watch(event, arguments):
    if event == "import" and arguments[0] == "azure.functions":
        seen.setdefault("before", collections())
    if event == "import" and arguments[0] == "numpy":
        seen["collections"] = collections() - seen["before"]
        seen["blas_threads"] = os.environ.get("OPENBLAS_NUM_THREADS")

sys.addaudithook(watch)
import function_app

seen["collector"] = [gc.isenabled(), gc.get_freeze_count() > 10_000]
seen["threads"] = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
loaded = set(sys.modules)
function_app.model().classify(open(sys.argv[1], "rb").read())
seen["imported_late"] = sorted(set(sys.modules) - loaded)
print(json.dumps({**seen, "modules": list(sys.modules)}))
"""

# What some image, message or hour may need, and most first images do not: see docs/adr/0008-cold-start.md.
AT_FIRST_USE = {
    *(f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Ico", "Jpeg2K", "Tiff", "WebP")),
    "azure.storage.queue",
    "difflib",
    "pillow_heif",
    "storage.reconcile.reconcile",
}


def in_a_fresh_process(program: str, *arguments: str) -> str:
    """Run a program with no setting but an address where nothing listens, and nothing should ask; what it prints."""
    unset = {*DEFAULTS, "OPENBLAS_NUM_THREADS", "ORT_DISABLE_TELEMETRY"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    connection = "DefaultEndpointsProtocol=https;AccountName=nobody;AccountKey=bm9uZQ==;EndpointSuffix=example.invalid"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**kept, "ImageStorage": connection},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def first_image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a fresh process saw until its first image, a JPEG from a camera held upright, was classified."""
    file = tmp_path_factory.mktemp("first") / "photo.jpg"
    exif = Picture.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Picture.new("RGB", (640, 480), (90, 120, 60)).save(file, exif=exif)
    seen: dict[str, Any] = json.loads(in_a_fresh_process(FIRST_IMAGE, str(file)))
    return seen


class TestFirstImage:
    def test_is_classified_without_what_few_images_need(self, first_image: dict[str, Any]) -> None:
        assert AT_FIRST_USE.isdisjoint(first_image["modules"])

    def test_needs_nothing_that_the_load_did_not_import(self, first_image: dict[str, Any]) -> None:
        """An import that every image needs belongs to the load: later, the first image waits for it."""
        assert first_image["imported_late"] == []

    def test_waits_for_no_look_for_garbage_among_what_stays(self, first_image: dict[str, Any]) -> None:
        assert first_image["collections"] == 0, "the collector ran while packages were imported"
        assert first_image["collector"] == [True, True], "it runs again, and what was imported is out of its way"

    def test_has_no_idle_threads_beside_it(self, first_image: dict[str, Any]) -> None:
        assert first_image["blas_threads"] == "1", "numpy was imported before it was told"
        assert first_image["threads"] == 1


class TestImport:
    def test_makes_no_network_call_starts_no_process_and_silences_telemetry_first(self) -> None:
        in_a_fresh_process(IMPORT_UNDER_GUARD)

    def test_says_every_setting_that_is_missing_or_wrong_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(SettingsError) as refused:
            load(monkeypatch, TOP_K="none", MIN_SCORE="7", RESULTS_TABLE="no-dashes-here")
        for name in ("ImageStorage", "TOP_K", "MIN_SCORE", "RESULTS_TABLE"):
            assert name in str(refused.value)


class TestUpload:
    def test_ends_in_a_row_and_its_sidecar(self, bench: Bench, photo: bytes) -> None:
        bench.app.classify_uploaded(bench.upload("trap 7/2026/Fuchs #1.jpg", photo))
        row = bench.row("trap 7/2026/Fuchs #1.jpg")
        assert row is not None
        assert row.status is Status.CLASSIFIED
        container, _, sidecar = row.sidecar.partition("/")
        stored = bench.app.clients.blobs.get_blob_client(container, sidecar).download_blob().readall()
        assert from_sidecar(stored) == row

    def test_that_is_no_image_is_rejected_without_an_error(self, bench: Bench) -> None:
        bench.app.classify_uploaded(bench.upload("notes.jpg", b"Buy batteries.\n"))
        row = bench.row("notes.jpg")
        assert row is not None
        assert (row.status, row.reason) == (Status.REJECTED, "not_an_image")

    def test_to_another_container_is_ignored(
        self, bench: Bench, photo: bytes, names: Names, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Event Grid filters by prefix: ``incoming`` without its slash lets ``incoming-old`` in."""
        neighbour = f"{bench.incoming}-old"
        bench.app.clients.blobs.create_container(neighbour)
        bench.app.classify_uploaded(bench.upload("a.jpg", photo, neighbour))
        assert bench.row("a.jpg", neighbour) is None
        assert bench.row("a.jpg") is None
        assert [record.getMessage().split()[0] for record in caplog.records if record.name == "function_app"] == [
            "event_ignored"
        ]


class TestModel:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Where a model is expected and is not."""
        return tmp_path / "model"

    @pytest.fixture
    def settings(self, settings: dict[str, str], folder: Path) -> dict[str, str]:
        return {**settings, "MODEL_DIR": str(folder)}

    @pytest.fixture
    def startup(self, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
        """Asked for before ``bench``, so that it hears the import."""
        caplog.set_level(logging.INFO)
        return caplog

    def test_that_is_missing_is_reported_once_and_fails_no_import(
        self, startup: pytest.LogCaptureFixture, bench: Bench, folder: Path, photo: bytes
    ) -> None:
        errors = [record for record in startup.get_records("setup") if record.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert errors[0].getMessage().startswith("model_not_loaded")
        assert str(folder) in errors[0].getMessage()
        assert {each.get_function_name() for each in bench.app.app.get_functions()} == TRIGGERS.keys()

        blob = bench.upload("a.jpg", photo)
        for _ in range(2):
            with pytest.raises(ModelError):
                bench.app.classify_uploaded(blob)
        assert bench.row("a.jpg") is None, "a missing model is no verdict on an image"
        assert [record for record in startup.get_records("call") if record.levelno >= logging.ERROR] == []

    def test_that_is_repaired_serves_the_next_call(self, bench: Bench, folder: Path, photo: bytes) -> None:
        blob = bench.upload("a.jpg", photo)
        folder.mkdir()
        shutil.copy(SHAPES / "labels.txt", folder)
        shutil.copy(SHAPES / "model.json", folder)
        (folder / "model.onnx").write_bytes((SHAPES / "model.onnx").read_bytes()[:4096])
        with pytest.raises(ModelError, match=r"model\.onnx"):
            bench.app.classify_uploaded(blob)
        shutil.copy(SHAPES / "model.onnx", folder)
        bench.app.classify_uploaded(blob)
        row = bench.row("a.jpg")
        assert row is not None
        assert row.status is Status.CLASSIFIED

    def test_is_loaded_once_when_sixteen_first_calls_come_together(
        self, bench: Bench, folder: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sessions: list[str] = []
        calls: list[str] = []
        runtime = onnxruntime()

        class Counted(runtime.InferenceSession):  # type: ignore[misc, name-defined]
            def __init__(self, *args: Any, **options: Any) -> None:
                sessions.append(str(args[0]))
                until(lambda: len(calls) == len(blobs), "the other calls")
                super().__init__(*args, **options)

        monkeypatch.setattr(runtime, "InferenceSession", Counted)
        blobs = [bench.upload(f"{number}.jpg", photo) for number in range(16)]
        shutil.copytree(SHAPES, folder)

        def first_call(blob: BlobClient) -> None:
            calls.append(blob.blob_name)
            bench.app.classify_uploaded(blob)

        with ThreadPoolExecutor(len(blobs)) as pool:
            list(pool.map(first_call, blobs))
        assert sessions == [str(folder / "model.onnx")]
        rows = [bench.row(blob.blob_name) for blob in blobs]
        assert {row.status for row in rows if row is not None} == {Status.CLASSIFIED}
        assert None not in rows


def damaged(bench: Bench, name: str, photo: bytes) -> BlobClient:
    """A blob whose bytes are not what its stored MD5 promises: a transfer error that repeats on every read."""
    blob = bench.upload(name, photo)
    blob.set_http_headers(ContentSettings(content_md5=bytearray(16)))
    return blob


class TestRequest:
    @pytest.fixture(autouse=True)
    def two_reads_differ(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A wrong stored MD5 then fails for now, as bytes that storage damages on their way do."""
        monkeypatch.setattr(SourceBlobs, "_md5_again", lambda *_: b"another")

    def test_settles_the_others_when_one_fails_and_sends_that_one_round_again(self, bench: Bench, photo: bytes) -> None:
        bench.upload("first.jpg", photo)
        damaged(bench, "second.jpg", photo)
        bench.upload("third.jpg", b"no image")
        bench.app.classify_requested(bench.request("first.jpg", "second.jpg", "third.jpg", "never was.jpg"))
        statuses = {name: row.status for name in ("first", "second", "third") if (row := bench.row(f"{name}.jpg"))}
        assert statuses == {"first": Status.CLASSIFIED, "third": Status.REJECTED}
        assert bench.requested() == {"container": bench.incoming, "blobs": ["second.jpg"], "attempt": 1}

    def test_gives_each_image_up_for_its_own_reason(self, bench: Bench, photo: bytes) -> None:
        for name in ("a.jpg", "b.jpg"):
            damaged(bench, name, photo)
        bench.app.classify_requested(bench.request("a.jpg", "b.jpg", attempt=1))
        for name, other in (("a.jpg", "b.jpg"), ("b.jpg", "a.jpg")):
            row = bench.row(name)
            assert row is not None
            assert (row.status, row.reason) == (Status.FAILED, "gave_up")
            assert "MD5" in (row.detail or "")
            assert name in (row.detail or "")
            assert other not in (row.detail or "")

    def test_stays_with_the_host_when_the_next_try_cannot_be_queued(
        self, bench: Bench, photo: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Azurite cannot refuse one queue only, so the queue is replaced."""

        class Full:
            def send(self, *_: object, **__: object) -> None:
                raise TransientError("sending failed for now (503).")

        monkeypatch.setattr(bench.app, "retries", replace(bench.app.retries, queue=Full()))
        damaged(bench, "first.jpg", photo)
        bench.upload("second.jpg", photo)
        with pytest.raises(TransientError, match="503"):
            bench.app.classify_requested(bench.request("first.jpg", "second.jpg"))
        assert bench.row("second.jpg") is not None, "the failure of one kept the other from being settled"

    def test_for_another_apps_container_is_refused(self, bench: Bench) -> None:
        message = func.QueueMessage(body=b'{"container": "theirs", "blobs": ["a.jpg"]}')
        with pytest.raises(ConfigurationError, match="theirs"):
            bench.app.classify_requested(message)

    def test_in_plain_json_is_served_like_base64(self, bench: Bench, photo: bytes) -> None:
        for name, encode in (("plain.jpg", bytes), ("encoded.jpg", base64.b64encode)):
            bench.upload(name, photo)
            body = json.dumps({"container": bench.incoming, "blobs": [name]}).encode()
            bench.app.classify_requested(func.QueueMessage(body=encode(body)))
            assert bench.row(name) is not None


def refused_texts(bench: Bench) -> list[str]:
    """Receive and delete the messages that the app refused; all tests share this queue."""
    queue = bench.app.clients.queues.get_queue_client("classify-requests-refused")
    texts = []
    for message in queue.receive_messages():
        texts.append(str(message.content))
        queue.delete_message(message)
    return texts


class TestRefusedMessage:
    @pytest.fixture(autouse=True)
    def empty_queue(self, bench: Bench) -> None:
        """The queue belongs to the account, which other tests of this process use too."""
        with contextlib.suppress(ResourceNotFoundError):
            bench.app.clients.queues.get_queue_client("classify-requests-refused").clear_messages()

    @pytest.mark.parametrize("function", ["classify_requested", "recover_poisoned", "record_abandoned"])
    @pytest.mark.parametrize("body", [b"{}", b"[]", b'{"container": "x", "blobs": []}', b"a <note> & more"], ids=repr)
    def test_is_moved_unchanged_and_logged_once(
        self, bench: Bench, function: str, body: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        getattr(bench.app, function)(func.QueueMessage(id="message-1", body=body))
        assert refused_texts(bench) == [body.decode()]
        (line,) = [record for record in caplog.records if record.name == "storage.pipeline.intake"]
        assert line.levelno == logging.ERROR
        assert "id=message-1 because=" in line.getMessage()
        assert line.getMessage().endswith("kept_on=classify-requests-refused do=redrive")
        assert body.decode() not in caplog.text

    @pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a\x00b", "\ufffe".encode()], ids=repr)
    def test_that_no_queue_can_hold_is_moved_in_base64(self, bench: Bench, body: bytes) -> None:
        bench.app.classify_requested(func.QueueMessage(body=body))
        assert refused_texts(bench) == [base64.b64encode(body).decode()]

    def test_for_another_container_is_moved_from_our_poison_queue(self, bench: Bench, photo: bytes) -> None:
        theirs = self.container_with_a_photo(bench, photo)
        body = json.dumps({"container": theirs, "blobs": ["a.jpg"]}).encode()
        bench.app.record_abandoned(func.QueueMessage(body=body))
        assert refused_texts(bench) == [body.decode()]
        assert bench.row("a.jpg", theirs) is None

    def test_for_another_container_stays_on_the_queue_that_all_apps_share(
        self, bench: Bench, photo: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        theirs = self.container_with_a_photo(bench, photo)
        body = json.dumps({"ContainerName": theirs, "BlobName": "a.jpg"}).encode()
        with pytest.raises(ConfigurationError, match="stays on its queue"):
            bench.app.recover_poisoned(func.QueueMessage(body=body))
        assert "kept_on=webjobs-blobtrigger-poison" in caplog.messages[-1]
        assert bench.row("a.jpg", theirs) is None

    @staticmethod
    def container_with_a_photo(bench: Bench, photo: bytes) -> str:
        """Another app's, so that a message which names it could be processed."""
        name = f"{bench.incoming}-theirs"
        bench.app.clients.blobs.create_container(name)
        bench.upload("a.jpg", photo, name)
        return name

    def test_stays_when_it_cannot_be_moved(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """Azurite cannot refuse one queue only, so the queue is replaced."""

        class Full:
            def send(self, _: bytes) -> None:
                raise TransientError("sending failed for now (503).")

        monkeypatch.setattr(bench.app, "intake", replace(bench.app.intake, refused=Full()))
        with pytest.raises(TransientError, match="503"):
            bench.app.record_abandoned(func.QueueMessage(body=b"{}"))


class TestPoison:
    def test_upload_is_sent_round_again(self, bench: Bench) -> None:
        document = {
            "Type": "BlobTrigger",
            "FunctionId": "Host.Functions.classify_uploaded",
            "BlobType": "BlockBlob",
            "ContainerName": bench.incoming,
            "BlobName": "ä/b #1.jpg",
            "ETag": '"0x1"',
        }
        bench.app.recover_poisoned(func.QueueMessage(body=json.dumps(document, indent=2).encode()))
        assert bench.requested() == {"container": bench.incoming, "blobs": ["ä/b #1.jpg"], "attempt": 1}


class TestTimer:
    def test_asks_for_an_upload_whose_event_was_lost(
        self, bench: Bench, photo: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An hour later, by the stores' clock: an upload that has just arrived is on its way and not lost."""
        bench.app.classify_uploaded(bench.upload("seen.jpg", photo))
        bench.upload("overlooked.jpg", photo)
        later = replace(bench.app.stores, now=lambda: datetime.now(UTC) + timedelta(hours=1))
        monkeypatch.setattr(bench.app, "stores", later)
        bench.app.reconcile(SimpleNamespace(past_due=False))
        assert bench.requested() == {"container": bench.incoming, "blobs": ["overlooked.jpg"]}
