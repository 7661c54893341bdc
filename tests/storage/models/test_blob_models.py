"""Models in blob storage: whole versions only, checked, fetched once per machine, on a real Azurite."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import ContainerClient, ContentSettings

from inference.errors import ConfigurationError, ModelError, TransientError
from storage.blob_folder import BlobFolder
from storage.clients import connect
from storage.connection import Connection
from storage.models.blob_models import MANIFEST, BlobModel
from storage.models.cache import ModelCache
from storage.models.publish import publish
from tests.waiting import DEADLINE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.clients import Clients
    from tests.conftest import Names
    from tools.azurite.azurite import Azurite

ROOT = Path(__file__).resolve().parents[3]
BIG = bytes(range(256)) * 40_000  # more than one range


class Shelf:
    """One test's container of models, and a cache."""

    def __init__(self, clients: Clients, names: Names, place: Path) -> None:
        self.clients = clients
        self.folder = BlobFolder(names.container("models"), "birds/v2")
        self.cache = place / "cache"
        self.local = place / "local"
        self.blobs = BlobModel(clients.blobs, self.folder, ModelCache(self.cache))

    def publish(self, **files: bytes) -> str:
        """Publish these files; ``labels_txt`` is ``labels.txt``."""
        return publish(self.clients.blobs, self.folder, self.files(**files)).version

    def files(self, **files: bytes) -> dict[str, Path]:
        self.local.mkdir(exist_ok=True)
        made = {}
        for key, content in files.items():
            name = ".".join(key.rsplit("_", 1))
            (self.local / name).write_bytes(content)
            made[name] = self.local / name
        return made

    def upload(self, name: str, content: bytes) -> None:
        """Copy one file there, without publishing."""
        container = self.clients.blobs.get_container_client(self.folder.container)
        if not container.exists():
            container.create_container()
        container.upload_blob(self.folder.blob(name), content, overwrite=True)

    def fetch(self) -> dict[str, bytes]:
        """Return the files of the current version."""
        place = self.blobs.fetch(self.blobs.current_version())
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.fixture
def shelf(clients: Clients, names: Names, tmp_path: Path) -> Shelf:
    return Shelf(clients, names, tmp_path)


class TestBlobFolder:
    @pytest.mark.parametrize(
        ("text", "container", "prefix"),
        [
            ("models/birds", "models", "birds"),
            (" models/birds/v2/ ", "models", "birds/v2"),
            ("models", "models", ""),
            ("models/", "models", ""),
        ],
    )
    def test_is_a_container_and_a_prefix(self, text: str, container: str, prefix: str) -> None:
        assert BlobFolder.parse(text) == BlobFolder(container, prefix)

    @pytest.mark.parametrize(
        "text", ["", "/birds", "Models/birds", "https://a.example/b", "models/a//b", "models\\birds"]
    )
    def test_is_nothing_else(self, text: str) -> None:
        with pytest.raises(ValueError):
            BlobFolder.parse(text)


class TestPublished:
    def test_comes_back_as_it_was(self, shelf: Shelf) -> None:
        shelf.publish(model_onnx=BIG, labels_txt=b"a\nb\n", empty_txt=b"")
        assert shelf.fetch() == {"model.onnx": BIG, "labels.txt": b"a\nb\n", "empty.txt": b""}

    def test_is_a_folder_named_as_the_prefix(self, shelf: Shelf) -> None:
        """A model without a name of its own is called by its folder's."""
        shelf.publish(model_onnx=b"x")
        assert shelf.blobs.fetch(shelf.blobs.current_version()).name == "v2"

    def test_has_a_version_that_follows_its_content(self, shelf: Shelf) -> None:
        first = shelf.publish(model_onnx=b"1", labels_txt=b"a")
        second = shelf.publish(model_onnx=b"2", labels_txt=b"a")
        assert first != second
        assert shelf.blobs.current_version().version == second
        assert shelf.publish(model_onnx=b"1", labels_txt=b"a") == first
        assert shelf.fetch() == {"model.onnx": b"1", "labels.txt": b"a"}

    def test_again_uploads_nothing_but_the_manifest(self, shelf: Shelf) -> None:
        files = shelf.files(model_onnx=BIG, labels_txt=b"a")
        publish(shelf.clients.blobs, shelf.folder, files)
        again = publish(shelf.clients.blobs, shelf.folder, files)
        assert (again.uploaded, again.kept) == ((), ("labels.txt", "model.onnx"))

    @pytest.mark.parametrize("damage", [b"damaged", b"rigth", b""], ids=["longer", "same size", "empty"])
    def test_again_repairs_a_damaged_blob(self, shelf: Shelf, damage: bytes) -> None:
        """Also one whose metadata was kept: only the bytes prove what a blob holds."""
        files = shelf.files(model_onnx=b"right", labels_txt=b"a")
        version = publish(shelf.clients.blobs, shelf.folder, files).version
        blob = shelf.clients.blobs.get_blob_client(shelf.folder.container, shelf.folder.blob(f"{version}/model.onnx"))
        metadata = blob.get_blob_properties().metadata
        blob.upload_blob(damage, overwrite=True, metadata=metadata)
        with pytest.raises(ModelError):
            shelf.fetch()
        dry = publish(shelf.clients.blobs, shelf.folder, files, dry_run=True)
        assert (dry.uploaded, dry.kept) == (("model.onnx",), ("labels.txt",))
        assert publish(shelf.clients.blobs, shelf.folder, files).uploaded == ("model.onnx",)
        assert shelf.fetch() == {"model.onnx": b"right", "labels.txt": b"a"}

    def test_dry_writes_nothing(self, shelf: Shelf) -> None:
        result = publish(shelf.clients.blobs, shelf.folder, shelf.files(model_onnx=b"x"), dry_run=True)
        assert result.uploaded == ("model.onnx",)
        assert not shelf.clients.blobs.get_container_client(shelf.folder.container).exists()

    def test_is_not_seen_before_its_last_file(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        """After an interruption at any point readers keep the earlier version; the next run continues."""
        before = shelf.publish(model_onnx=b"1", labels_txt=b"a")
        files = shelf.files(model_onnx=b"2", labels_txt=b"b")
        original = ContainerClient.upload_blob
        sent: list[str] = []

        def breaking(self: Any, name: str, *positional: Any, **named: Any) -> Any:
            if len(sent) == 1:
                raise ConnectionError("pulled the plug")
            sent.append(name)
            return original(self, name, *positional, **named)

        with monkeypatch.context() as patched:
            patched.setattr(ContainerClient, "upload_blob", breaking)
            with pytest.raises(ConnectionError):
                publish(shelf.clients.blobs, shelf.folder, files)
        assert shelf.blobs.current_version().version == before
        assert publish(shelf.clients.blobs, shelf.folder, files).kept == ("labels.txt",)
        assert shelf.fetch() == {"model.onnx": b"2", "labels.txt": b"b"}

    def test_with_bytes_that_were_tampered_with_is_refused(self, shelf: Shelf) -> None:
        version = shelf.publish(model_onnx=b"right", labels_txt=b"a")
        shelf.upload(f"{version}/model.onnx", b"wrong")
        with pytest.raises(ModelError, match=r"model\.onnx is not the file that was published"):
            shelf.fetch()

    @pytest.mark.parametrize(
        "manifest",
        [
            b"",
            b"not json",
            b"[]",
            b"{}",
            b'{"version": "1", "files": []}',
            b'{"version": "../..", "files": [{"name": "a", "blob": "a", "size": 1, "sha256": "00"}]}',
            b'{"version": "1", "files": [{"name": "a", "blob": "a", "size": "much", "sha256": "00"}]}',
            b"[" * 200_000,
        ],
        ids=["empty", "noise", "list", "nothing in it", "no files", "version leads out", "size is text", "brackets"],
    )
    def test_manifest_that_cannot_be_read_is_refused(self, shelf: Shelf, manifest: bytes) -> None:
        shelf.upload(MANIFEST, manifest)
        with pytest.raises(ModelError, match="publish the model again"):
            shelf.blobs.current_version()

    @pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\b", "C:b", "a\x00b", ""])
    def test_manifest_that_leads_out_of_the_folder_is_refused(self, shelf: Shelf, name: str) -> None:
        entry = {"name": name, "blob": "a", "size": 1, "sha256": "00"}
        shelf.upload(MANIFEST, json.dumps({"version": "1", "files": [entry]}).encode())
        with pytest.raises(ModelError, match="no name for a file"):
            shelf.blobs.current_version()


class TestCopied:
    def test_is_a_folder_as_it_was_copied(self, shelf: Shelf) -> None:
        shelf.upload("onnx/model.onnx", BIG)
        shelf.upload("config.json", b"{}")
        assert shelf.fetch() == {"onnx/model.onnx": BIG, "config.json": b"{}"}

    def test_has_another_version_when_a_file_is_replaced(self, shelf: Shelf) -> None:
        shelf.upload("labels.txt", b"a")
        first = shelf.blobs.current_version()
        assert shelf.blobs.current_version() == first
        shelf.upload("labels.txt", b"b")
        assert shelf.blobs.current_version().version != first.version

    def test_knows_when_it_last_changed(self, shelf: Shelf) -> None:
        began = datetime.now(UTC)
        shelf.upload("labels.txt", b"a")
        shelf.upload("model.onnx", b"a")
        changed = shelf.blobs.current_version().changed_at
        assert changed is not None
        # Azurite's clock is this machine's; Last-Modified is cut to seconds.
        assert began - timedelta(seconds=1) <= changed <= datetime.now(UTC)

    def test_replaced_while_it_is_fetched_is_tried_again_later(self, shelf: Shelf) -> None:
        shelf.upload("labels.txt", b"a")
        seen = shelf.blobs.current_version()
        shelf.upload("labels.txt", b"b")
        with pytest.raises(TransientError, match="replaced meanwhile"):
            shelf.blobs.fetch(seen)
        assert shelf.fetch() == {"labels.txt": b"b"}

    def test_with_an_md5_that_is_not_its_own_is_refused(self, shelf: Shelf) -> None:
        shelf.upload("labels.txt", b"a")
        blob = shelf.clients.blobs.get_blob_client(shelf.folder.container, shelf.folder.blob("labels.txt"))
        blob.set_http_headers(ContentSettings(content_md5=bytearray(16)))
        with pytest.raises(ModelError, match=r"labels\.txt"):
            shelf.fetch()

    def test_neighbours_with_a_longer_name_are_not_its_files(self, shelf: Shelf) -> None:
        shelf.upload("labels.txt", b"a")
        shelf.clients.blobs.get_container_client(shelf.folder.container).upload_blob("birds/v20/labels.txt", b"b")
        assert shelf.fetch() == {"labels.txt": b"a"}

    def test_folders_that_are_listed_as_empty_blobs_are_no_files(self, shelf: Shelf) -> None:
        """Accounts with real folders list them; some tools leave ``name/``."""
        shelf.upload("onnx", b"")
        shelf.upload("empty/", b"")
        shelf.upload("onnx/model.onnx", b"x")
        assert shelf.fetch() == {"onnx/model.onnx": b"x"}

    def test_a_whole_container_may_be_the_model(self, shelf: Shelf) -> None:
        shelf.folder = BlobFolder(shelf.folder.container, "")
        shelf.upload("labels.txt", b"a")
        shelf.blobs = BlobModel(shelf.clients.blobs, shelf.folder, ModelCache(shelf.cache))
        assert shelf.fetch() == {"labels.txt": b"a"}
        assert shelf.blobs.fetch(shelf.blobs.current_version()).name == shelf.folder.container

    @pytest.mark.parametrize("there", [False, True], ids=["no container", "no files"])
    def test_nothing_there_says_how_to_put_it(self, shelf: Shelf, there: bool) -> None:  # noqa: FBT001
        if there:
            shelf.clients.blobs.create_container(shelf.folder.container)
        with pytest.raises(ModelError, match=f"model publish DIR --to {shelf.folder}"):
            shelf.blobs.current_version()

    def test_a_container_of_photos_is_no_model(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("storage.models.blob_models._MAX_FILES", 2)
        for number in range(3):
            shelf.upload(f"{number}.jpg", b"x")
        with pytest.raises(ModelError, match="must name one model"):
            shelf.blobs.current_version()

    @pytest.mark.parametrize("name", ["a//b.txt", "line\u2028break.txt"])
    def test_a_name_that_no_folder_holds_is_refused(self, shelf: Shelf, name: str) -> None:
        shelf.upload(name, b"x")
        with pytest.raises(ModelError, match="no name for a file"):
            shelf.blobs.current_version()


FETCH = """
import sys
from pathlib import Path
from storage.models import blob_models as models
from storage.blob_folder import BlobFolder
from storage.clients import connect
from storage.models.cache import ModelCache
from storage.connection import Connection

connection, container, cache, stall = sys.argv[1:]
if stall:
    original = models.BlobModel._stream
    def stalling(self, file, target):
        original(self, file, target)
        target.write_bytes(b"half")
        print("stalled", flush=True)
        sys.stdin.read()
    models.BlobModel._stream = stalling
clients = connect(Connection("ImageStorage", connection))
print("ready", flush=True)
sys.stdin.readline()
blobs = models.BlobModel(clients.blobs, BlobFolder(container, "birds/v2"), ModelCache(Path(cache)))
print(blobs.fetch(blobs.current_version()), flush=True)
"""


@pytest.fixture
def process(azurite: Azurite, shelf: Shelf) -> Callable[[str], subprocess.Popen[str]]:
    def start(stall: str = "") -> subprocess.Popen[str]:
        arguments = [azurite.connection_string, shelf.folder.container, str(shelf.cache), stall]
        started = subprocess.Popen(
            [sys.executable, "-c", FETCH, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        return started

    return start


def _replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _link(folder: Path) -> None:
    elsewhere = folder.parent.parent.parent / "elsewhere"
    _replace(elsewhere, b"a")
    (folder / "labels.txt").unlink()
    (folder / "labels.txt").symlink_to(elsewhere)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda folder: _replace(folder / "model.onnx", BIG[:-1]),
    "one bit, same size": lambda folder: _replace(folder / "model.onnx", BIG[:-1] + bytes([BIG[-1] ^ 1])),
    "a file is gone": lambda folder: (folder / "labels.txt").unlink(),
    "a file is added": lambda folder: _replace(folder / "model.json", b"{}"),
    "a link": _link,
    "the record is gone": lambda folder: folder.parent.with_suffix(".json").unlink(),
    "the record is damaged": lambda folder: _replace(folder.parent.with_suffix(".json"), b"[" * 200_000),
    "the record is of other files": lambda folder: _replace(folder.parent.with_suffix(".json"), b'{"labels.txt": "0"}'),
}


class TestCache:
    def test_is_asked_before_storage(self, shelf: Shelf, sent: list[str], azurite: Azurite) -> None:
        shelf.publish(model_onnx=BIG)
        clients = connect(Connection("ImageStorage", azurite.connection_string))
        blobs = BlobModel(clients.blobs, shelf.folder, ModelCache(shelf.cache))
        version = blobs.current_version()
        blobs.fetch(version)
        sent.clear()
        blobs.fetch(version)
        assert sent == []
        clients.close()

    @pytest.mark.parametrize("kind", ["published", "copied"])
    @pytest.mark.parametrize("damage", list(DAMAGES.values()), ids=list(DAMAGES))
    def test_damaged_on_disk_is_fetched_again(self, shelf: Shelf, damage: Callable[[Path], object], kind: str) -> None:
        if kind == "published":
            shelf.publish(model_onnx=BIG, labels_txt=b"a")
        else:
            shelf.upload("model.onnx", BIG)
            shelf.upload("labels.txt", b"a")
        damage(shelf.blobs.fetch(shelf.blobs.current_version()))
        for _ in range(2):
            assert shelf.fetch() == {"model.onnx": BIG, "labels.txt": b"a"}

    def test_without_files_to_open_is_tried_again_later(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        shelf.publish(model_onnx=b"x")
        shelf.fetch()

        def fails(*_arguments: object) -> str:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        with monkeypatch.context() as patched:
            patched.setattr("hashlib.file_digest", fails)
            with pytest.raises(TransientError, match="for now"):
                shelf.fetch()
        assert shelf.fetch() == {"model.onnx": b"x"}

    def test_threads_that_come_together_fetch_once(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        shelf.publish(model_onnx=BIG)
        streamed: list[str] = []
        original = BlobModel._stream

        def counted(self: BlobModel, file: Any, target: Path) -> None:
            streamed.append(file.name)
            original(self, file, target)

        monkeypatch.setattr(BlobModel, "_stream", counted)
        together = threading.Barrier(8)

        def fetch(_: int) -> Path:
            together.wait()
            return shelf.blobs.fetch(shelf.blobs.current_version())

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(fetch, range(8)))) == 1
        assert streamed == ["model.onnx"]

    def test_two_processes_at_once_get_one_whole_folder(
        self, shelf: Shelf, process: Callable[..., subprocess.Popen[str]]
    ) -> None:
        shelf.publish(model_onnx=BIG, labels_txt=b"a")
        both = [process(), process()]
        folders = [one.communicate("go\n", timeout=DEADLINE_SECONDS)[0].strip() for one in both]
        assert len(set(folders)) == 1
        assert (Path(folders[0]) / "model.onnx").read_bytes() == BIG
        assert list(shelf.cache.rglob("*.partial")) == []

    def test_a_killed_download_leaves_no_trap(
        self, shelf: Shelf, process: Callable[..., subprocess.Popen[str]]
    ) -> None:
        """The kernel frees its lock, and what it left half done is swept away."""
        shelf.publish(model_onnx=BIG)
        stalled = process("stall")
        assert stalled.stdin is not None
        assert stalled.stdout is not None
        stalled.stdin.write("go\n")
        stalled.stdin.flush()
        assert stalled.stdout.readline() == "stalled\n"
        assert len(list(shelf.cache.rglob("*.partial"))) == 1
        stalled.kill()
        stalled.communicate()
        assert shelf.fetch() == {"model.onnx": BIG}
        assert list(shelf.cache.rglob("*.partial")) == []

    def test_keeps_the_last_few_versions(self, shelf: Shelf) -> None:
        for number in range(6):
            shelf.publish(model_onnx=str(number).encode())
            assert shelf.fetch() == {"model.onnx": str(number).encode()}
        assert len(list(shelf.cache.rglob("model.onnx"))) == 3

    def test_that_cannot_be_written_is_reported(self, shelf: Shelf) -> None:
        shelf.publish(model_onnx=b"x")
        shelf.cache.write_text("a file where a folder should be")
        with pytest.raises(ConfigurationError, match="MODEL_CACHE_DIR"):
            shelf.fetch()

    def test_in_the_temporary_folder_is_this_users_alone(
        self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
        shelf.publish(model_onnx=b"x")
        blobs = BlobModel(shelf.clients.blobs, shelf.folder, ModelCache())
        place = blobs.fetch(blobs.current_version())
        root = tmp_path / f"image-classifier-models-{os.getuid()}"
        assert place.is_relative_to(root)
        assert root.stat().st_mode & 0o777 == 0o700
        root.chmod(0o777)
        with pytest.raises(ConfigurationError, match="not this user's alone"):
            blobs.fetch(blobs.current_version())
