"""Messages on ``classify-requests``: a request is read as written, and malformed messages have one class."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.pipeline.messages import Request, batches, from_blob_poison

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
requests = st.builds(
    Request,
    container=names,
    blobs=st.lists(names, min_size=1, max_size=5).map(tuple),
    attempt=st.integers(0, 5),
    redo_before=st.none() | st.datetimes(datetime(2020, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)


@given(requests)
def test_a_request_comes_back(request: Request) -> None:
    assert Request.from_json(request.to_json()) == request


def test_a_message_without_our_optional_fields_is_a_first_attempt() -> None:
    text = '{"container": "incoming", "blobs": ["a/b.jpg"], "extra": 1}'
    assert Request.from_json(text) == Request("incoming", ("a/b.jpg",))


@pytest.mark.parametrize(
    "message",
    [
        [],
        {},
        {"container": "incoming"},
        {"container": "incoming", "blobs": []},
        {"container": "incoming", "blobs": "a.jpg"},
        {"container": "incoming", "blobs": [""]},
        {"container": "incoming", "blobs": [7]},
        {"container": "", "blobs": ["a.jpg"]},
        {"container": "incoming", "blobs": ["a.jpg"], "attempt": "soon"},
        {"container": "incoming", "blobs": ["a.jpg"], "redo_before": "soon"},
    ],
    ids=json.dumps,
)
def test_a_malformed_request_raises_one_class(message: Any) -> None:
    with pytest.raises(ValueError):
        Request.from_json(json.dumps(message))


def test_a_message_of_the_blob_poison_queue_names_one_blob() -> None:
    host_message = {"Type": "BlobTrigger", "ContainerName": "incoming", "BlobName": "a/b.jpg", "ETag": '"0x1"'}
    assert from_blob_poison(json.dumps(host_message)) == Request("incoming", ("a/b.jpg",))


@pytest.mark.parametrize("message", [[], {}, {"ContainerName": "incoming"}, {"ContainerName": 1, "BlobName": "a"}])
def test_a_malformed_poison_message_raises_one_class(message: Any) -> None:
    with pytest.raises(ValueError, match="poisoned blob message"):
        from_blob_poison(json.dumps(message))


def test_batches_are_limited_in_names_and_in_bytes() -> None:
    short = list(batches("incoming", [f"{i}.jpg" for i in range(70)]))
    assert [len(request.blobs) for request in short] == [32, 32, 6]
    hostile = ["\x01" * 1024, "\U0001f431" * 512] * 20
    packed = list(batches("incoming", hostile))
    assert [name for request in packed for name in request.blobs] == hostile
    # The limit counts the bytes that are sent: 40 KiB of names, and less than 1 KiB for the rest of the message.
    assert max(len(request.to_json().encode()) for request in packed) <= 41 * 1024
