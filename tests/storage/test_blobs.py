"""Reading and listing blobs on the emulator; rules that the memory account shares are in ``test_storage_contract``."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import ContentSettings

from inference.errors import Reason, TransientError
from storage import blobs
from storage.blobs import SourceBlobs, TooLargeError
from storage.clients import connect
from storage.connection import Connection
from storage.listing import folder_pages
from storage.results.record import Image
from tests.storage.conftest import MAX_BYTES
from tests.storage.samples import AWKWARD_NAMES
from tests.storage.wire import Wire, wire
from tools.azurite.azurite import connection_string
from tools.process_stats import resident, restart_peak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.clients import Clients
    from tests.storage.conftest import Account
    from tools.azurite.azurite import Azurite


@pytest.fixture
def between(azurite: Azurite) -> Iterator[Wire]:
    """A wire to the emulator's blob service."""
    with wire(azurite.ports.blob) as made:
        yield made


@pytest.fixture
def open_account(azurite: Azurite, between: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """Clients whose blob requests pass through the wire, and that retry without waiting."""
    text = connection_string(azurite.ports._replace(blob=between.port))
    monkeypatch.setattr("azure.storage.blob._shared.policies.StorageRetryPolicy.sleep", lambda *_: None)
    made = connect(Connection("ImageStorage", text), max_blob_bytes=MAX_BYTES)
    yield made
    made.close()


def test_reading_is_one_request(account: Account, azurite: Azurite, sent: list[str]) -> None:
    account.upload("cat.jpg", bytes(MAX_BYTES))
    fresh = connect(Connection("ImageStorage", azurite.connection_string), max_blob_bytes=MAX_BYTES)
    sent.clear()
    assert SourceBlobs(fresh.blobs, MAX_BYTES).read(account.image()) is not None
    assert sent == [f"GET {account.incoming}/cat.jpg"]


def test_an_empty_blob_is_empty_bytes(account: Account) -> None:
    account.upload("empty.jpg", b"")
    lengths: list[int] = []
    blob = account.source.read(account.image("empty.jpg"), on_length=lengths.append)
    assert blob is not None
    assert (blob.content, blob.info.content_length) == (b"", 0)


@pytest.mark.parametrize("name", AWKWARD_NAMES.values(), ids=AWKWARD_NAMES.keys())
def test_names_of_all_kinds_are_read(account: Account, name: str) -> None:
    etag = account.upload(name, name.encode())
    blob = account.source.read(account.image(name))
    assert blob is not None
    assert blob.content == name.encode()
    assert account.source.is_current(account.image(name), etag)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux reports the peak")
def test_a_body_is_held_once(account: Account, azurite: Azurite) -> None:
    """Admission counts the length once; joining several chunks would need it twice."""
    size = 16 * 1024 * 1024
    account.upload("large.jpg", bytes(size))
    fresh = connect(Connection("ImageStorage", azurite.connection_string), max_blob_bytes=size)
    source = SourceBlobs(fresh.blobs, size)
    source.info(account.image("large.jpg"))  # so that memory of a first request does not count
    before = restart_peak()
    blob = source.read(account.image("large.jpg"))
    peak_bytes = resident().peak - before.now
    assert blob is not None
    assert len(blob.content) == size
    assert peak_bytes < 1.5 * size


@pytest.mark.parametrize("quoted", [False, True], ids=["bare", "quoted"])
def test_an_unchanged_blob_is_not_downloaded(
    account: Account,
    open_account: Clients,
    between: Wire,
    quoted: bool,  # noqa: FBT001
) -> None:
    etag = account.upload("cat.jpg", b"miaow")
    known = f'"{etag}"' if quoted else etag
    assert SourceBlobs(open_account.blobs, MAX_BYTES).read(account.image(), unless_etag=known) is None
    assert between.body_bytes == 0
    assert len(between.requests) == 1
    assert account.source.is_current(account.image(), known)


def test_an_unchanged_empty_blob_is_not_downloaded(account: Account) -> None:
    etag = account.upload("empty.jpg", b"")
    assert account.source.read(account.image("empty.jpg"), unless_etag=etag) is None


def test_a_blob_that_is_too_large_is_refused_before_its_body(
    account: Account, azurite: Azurite, open_account: Clients, between: Wire
) -> None:
    """The wire counts the bytes it passed on: socket buffers may hold a little of the body, never all of it."""
    size = 8 * 1024 * 1024
    account.upload("huge.jpg", bytes(size))
    lengths: list[int] = []
    with pytest.raises(TooLargeError, match="8,388,608 bytes; the limit is 1,000 ") as raised:
        SourceBlobs(open_account.blobs, 1000).read(account.image("huge.jpg"), on_length=lengths.append)
    assert raised.value.reason is Reason.TOO_MANY_BYTES
    assert raised.value.info.content_length == size
    assert lengths == []
    assert between.body_bytes <= MAX_BYTES
    assert len(between.requests) == 1


def test_an_error_of_on_length_is_raised(account: Account) -> None:
    def refuse(_length: int) -> None:
        raise TransientError("no memory")

    account.upload("cat.jpg", b"x")
    with pytest.raises(TransientError, match="no memory"):
        account.source.read(account.image(), on_length=refuse)


@pytest.mark.parametrize("content", [b"miaow", b"", b"x" * (MAX_BYTES - 1)], ids=["short", "empty", "long"])
def test_a_stored_md5_is_wrong_when_two_reads_agree(
    account: Account, clients: Clients, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The property is the uploader's word."""
    monkeypatch.setattr(blobs, "_PIECE_BYTES", 100_000)
    account.upload("cat.jpg", content)
    blob = clients.blobs.get_blob_client(account.incoming, "cat.jpg")
    right = account.source.read(account.image())
    blob.set_http_headers(ContentSettings(content_md5=bytearray(16)))
    wrong = account.source.read(account.image())
    assert right is not None
    assert wrong is not None
    assert (right.content, right.md5_mismatch) == (content, False)
    assert (wrong.content, wrong.md5_mismatch) == (content, True)


def test_two_reads_that_differ_are_an_error(
    account: Account, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.upload("cat.jpg", b"miaow")
    clients.blobs.get_blob_client(account.incoming, "cat.jpg").set_http_headers(
        ContentSettings(content_md5=bytearray(16))
    )
    monkeypatch.setattr(SourceBlobs, "_md5_again", lambda *_: b"another")
    with pytest.raises(TransientError, match="MD5"):
        account.source.read(account.image())


def test_a_truncated_body_is_an_error(account: Account, open_account: Clients, between: Wire) -> None:
    account.upload("cat.jpg", b"x" * 10_000)
    between.body_limit = 5000
    with pytest.raises(TransientError, match=r"^reading .*/cat.jpg "):
        SourceBlobs(open_account.blobs, MAX_BYTES).read(account.image())


@pytest.mark.parametrize("missing", ["blob", "container"])
def test_a_missing_blob_is_a_file_not_found_error(account: Account, missing: str) -> None:
    image = account.image("gone.jpg") if missing == "blob" else Image("no-such-container", "cat.jpg")
    with pytest.raises(FileNotFoundError):
        account.source.read(image)
    assert account.source.info(image) is None
    assert not account.source.is_current(image, "0x1")


def test_an_unavailable_server_is_transient(account: Account, open_account: Clients, between: Wire) -> None:
    between.close()
    source = SourceBlobs(open_account.blobs, MAX_BYTES)
    for call in (source.read, source.info):
        with pytest.raises(TransientError):
            call(account.image())
    with pytest.raises(TransientError):
        source.is_current(account.image(), "0x1")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_bytes_are_read_as_stored_with_any_encoding(account: Account, clients: Clients, encoding: str) -> None:
    """Decoded bytes would not have the length in the headers, and the image would be retried without end."""
    stored = gzip.compress(b"pixels" * 100)
    blob = clients.blobs.get_blob_client(account.incoming, "cat.jpg")
    blob.upload_blob(stored, content_settings=ContentSettings(content_encoding=encoding))
    read = account.source.read(account.image())
    assert read is not None
    assert read.content == stored


def test_bytes_of_two_contents_are_never_mixed(account: Account, open_account: Clients, between: Wire) -> None:
    """The connection breaks within the body, and the blob is overwritten before the SDK asks again."""
    account.upload("cat.jpg", b"x" * 200_000)
    between.body_limit = 100_000

    def overwrite(_line: str) -> bool:
        if len(between.requests) == 1:
            account.upload("cat.jpg", b"y" * 200_000)
        else:
            between.body_limit = None
        return False

    between.lose_answer = overwrite
    with pytest.raises(TransientError, match="changed from"):
        SourceBlobs(open_account.blobs, MAX_BYTES).read(account.image())
    read = SourceBlobs(open_account.blobs, MAX_BYTES).read(account.image())
    assert read is not None
    assert set(read.content) == set(b"y")


def test_a_folder_has_blobs_and_subfolders_but_no_directory_markers(account: Account) -> None:
    container = account.clients.blobs.get_container_client(account.incoming)
    for name in ("a/1.jpg", "a/b/2.jpg", "a/b/3.jpg", "a//4.jpg", "a/", "a.jpg", "A/5.jpg"):
        container.upload_blob(name, b"x")
    container.upload_blob("a/b", b"", metadata={"hdi_isfolder": "true"})
    assert list(folder_pages(container, "a/")) == [["a//", "a/b/", "a/", "a/1.jpg"]]


def test_awkward_names_are_listed_as_they_are(account: Account) -> None:
    container = account.clients.blobs.get_container_client(account.incoming)
    names = [name for name in AWKWARD_NAMES.values() if "\\" not in name]  # a client makes a slash of it
    for name in names:
        container.upload_blob(name, b"x")
    tops = {name.partition("/")[0] + "/" if "/" in name else name for name in names}
    assert {name for page in folder_pages(container, "") for name in page} == tops


def test_a_container_that_does_not_exist_has_no_names(account: Account) -> None:
    assert list(folder_pages(account.clients.blobs.get_container_client("missing"), "")) == []
