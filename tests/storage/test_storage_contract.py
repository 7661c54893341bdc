"""One suite for the account in memory and the real one: proofs on the first then hold on the second."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from storage.blobs import SourceBlobs, TooLargeError
from storage.errors import ConflictError
from storage.etags import same_etag
from storage.results.commit import ResultStore, Source
from storage.results.index_rows import index_rows
from storage.results.record import Image, Record
from storage.results.store import Results, Stored
from tests.storage.conftest import MAX_BYTES
from tests.storage.fakes import MemoryAccount, MemoryResults, MemorySource
from tests.storage.samples import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.keys import RowKeys


@dataclass
class Rig:
    """One account, fake or real."""

    results: Any
    source: Any
    image: Image
    upload: Callable[[bytes], str]
    delete: Callable[[], object]
    index: Callable[[], set[tuple[str, str]]]

    def record(self, **changes: Any) -> Record:
        return record(self.image.blob_name, container=self.image.container, **changes)


@pytest.fixture(params=["memory", "azurite"])
def rig(request: pytest.FixtureRequest) -> Rig:
    if request.param == "azurite":
        account = request.getfixturevalue("account")
        image = account.image()
        return Rig(
            account.results,
            account.source,
            image,
            lambda content: str(account.upload(image.blob_name, content)),
            lambda: account.delete(image.blob_name),
            account.index_keys,
        )
    memory = MemoryAccount()
    image = Image("incoming", "cat.jpg")
    return Rig(
        MemoryResults(memory),
        MemorySource(memory, MAX_BYTES),
        image,
        lambda content: memory.upload(image, content),
        lambda: memory.delete(image),
        lambda: {tuple(address) for address in memory.index},  # type: ignore[arg-type, misc]
    )


def other(one: Record) -> Record:
    return replace(one, etag="0x2", classified_at=one.classified_at + timedelta(seconds=1))


PLACES = {"row": ("read_row", "write_row"), "sidecar": ("read_sidecar", "write_sidecar")}


@pytest.mark.parametrize(("read", "write"), PLACES.values(), ids=PLACES.keys())
class TestConditionalWrites:
    """Rows and sidecars obey the same rules."""

    def test_nothing_is_there_at_first(self, rig: Rig, read: str, write: str) -> None:
        assert getattr(rig.results, read)(rig.image) is None

    def test_a_record_is_read_as_written(self, rig: Rig, read: str, write: str) -> None:
        raced = rig.record().superseding(other(rig.record()))
        outcome = replace(raced, shared=True)
        getattr(rig.results, write)(outcome, None)
        assert getattr(rig.results, read)(rig.image).record == outcome

    def test_a_first_write_loses_where_something_exists(self, rig: Rig, read: str, write: str) -> None:
        getattr(rig.results, write)(rig.record(), None)
        with pytest.raises(ConflictError):
            getattr(rig.results, write)(other(rig.record()), None)
        assert getattr(rig.results, read)(rig.image).record == rig.record()

    def test_a_replacement_replaces_the_version_that_was_read(self, rig: Rig, read: str, write: str) -> None:
        getattr(rig.results, write)(rig.record(), None)
        stored = getattr(rig.results, read)(rig.image)
        getattr(rig.results, write)(other(rig.record()), stored)
        again = getattr(rig.results, read)(rig.image)
        assert again.record == other(rig.record())
        assert again.etag != stored.etag

    def test_a_replacement_loses_when_another_came_first(self, rig: Rig, read: str, write: str) -> None:
        getattr(rig.results, write)(rig.record(), None)
        stored = getattr(rig.results, read)(rig.image)
        getattr(rig.results, write)(other(rig.record()), stored)
        with pytest.raises(ConflictError):
            getattr(rig.results, write)(rig.record(), stored)
        assert getattr(rig.results, read)(rig.image).record == other(rig.record())

    def test_the_same_write_again_is_conditional_too(self, rig: Rig, read: str, write: str) -> None:
        """An ETag changes with each write, also with one that changes nothing."""
        getattr(rig.results, write)(rig.record(), None)
        stored = getattr(rig.results, read)(rig.image)
        getattr(rig.results, write)(rig.record(), stored)
        with pytest.raises(ConflictError):
            getattr(rig.results, write)(rig.record(), stored)

    def test_a_replacement_of_nothing_loses(self, rig: Rig, read: str, write: str) -> None:
        getattr(rig.results, write)(replace(rig.record(), blob_name="other.jpg"), None)
        with pytest.raises(ConflictError):
            getattr(rig.results, write)(rig.record(), Stored(None, 'W/"0"' if "row" in read else "0x0"))


@pytest.mark.parametrize(
    ("read", "write", "delete"),
    [(*PLACES["row"], "delete_row"), (*PLACES["sidecar"], "delete_sidecar")],
    ids=PLACES.keys(),
)
def test_a_deletion_removes_exactly_the_version_that_was_read(rig: Rig, read: str, write: str, delete: str) -> None:
    one = rig.record()
    getattr(rig.results, write)(one, None)
    earlier = getattr(rig.results, read)(rig.image)
    getattr(rig.results, write)(other(one), earlier)
    with pytest.raises(ConflictError):
        getattr(rig.results, delete)(rig.image, earlier.etag)
    current = getattr(rig.results, read)(rig.image)
    getattr(rig.results, delete)(rig.image, current.etag)
    assert getattr(rig.results, read)(rig.image) is None
    getattr(rig.results, delete)(rig.image, current.etag)  # again: its first response may have been lost


def test_an_index_row_is_read_as_written(rig: Rig) -> None:
    row, another = index_rows(rig.record())
    rig.results.write_index_row(row)
    assert rig.results.read_index_row(row.keys).canonical_text() == row.canonical_text()
    assert rig.results.read_index_row(another.keys) is None


def test_index_rows_are_written_and_removed_any_number_of_times(rig: Rig) -> None:
    rows = index_rows(rig.record())
    for row in (*rows, *rows):
        rig.results.write_index_row(row)
    assert rig.index() == {tuple(row.keys) for row in rows}
    for row in (*rows, *rows):
        rig.results.delete_index_row(row.keys)
    assert rig.index() == set()


def test_an_index_row_can_be_removed_before_there_is_a_table(rig: Rig) -> None:
    address: RowKeys = index_rows(rig.record())[0].keys
    rig.results.delete_index_row(address)


def test_a_sidecars_path_needs_no_request(rig: Rig) -> None:
    assert rig.results.sidecar_path(rig.image) == f"{rig.results.container}/cat.jpg.json"


def test_a_source_returns_content_and_etag(rig: Rig) -> None:
    etag = rig.upload(b"miaow")
    blob = rig.source.read(rig.image)
    assert blob.content == b"miaow"
    assert same_etag(blob.info.etag, etag)
    assert blob.info.content_length == 5
    assert rig.source.info(rig.image) == blob.info
    assert rig.source.read(rig.image, unless_etag=etag) is None
    assert rig.source.is_current(rig.image, etag)


def test_a_source_follows_overwrites_and_deletions(rig: Rig) -> None:
    old = rig.upload(b"miaow")
    new = rig.upload(b"miaow")
    assert not same_etag(old, new)
    assert not rig.source.is_current(rig.image, old)
    assert rig.source.read(rig.image, unless_etag=old).content == b"miaow"
    rig.delete()
    assert not rig.source.is_current(rig.image, new)
    assert rig.source.info(rig.image) is None
    with pytest.raises(FileNotFoundError):
        rig.source.read(rig.image, unless_etag=new)


def test_a_source_refuses_a_large_blob(rig: Rig) -> None:
    rig.upload(bytes(MAX_BYTES + 1))
    lengths: list[int] = []
    with pytest.raises(TooLargeError):
        rig.source.read(rig.image, on_length=lengths.append)
    assert lengths == []
    rig.upload(bytes(MAX_BYTES))
    rig.source.read(rig.image, on_length=lengths.append)
    assert lengths == [MAX_BYTES]


def shape(signature: inspect.Signature) -> list[Any]:
    """Names, kinds and types; a default that is a function has no value to compare."""
    parameters = signature.parameters.values()
    shapes = [(one.name, one.kind, one.annotation, one.default is one.empty) for one in parameters]
    return [*shapes, signature.return_annotation]


def _public(kind: type) -> dict[str, inspect.Signature]:
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in methods if not name.startswith("_")}


@pytest.mark.parametrize(
    ("fake", "real", "port"), [(MemoryResults, Results, ResultStore), (MemorySource, SourceBlobs, Source)]
)
def test_the_fakes_have_the_signatures_of_the_real_ones(fake: type, real: type, port: type) -> None:
    real_methods = _public(real)
    for name, signature in _public(fake).items():
        assert shape(signature) == shape(real_methods[name]), name
    assert _public(port).keys() <= _public(fake).keys()
