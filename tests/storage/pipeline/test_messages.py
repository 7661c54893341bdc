"""Messages on ``classify-requests``: a request is read as written, and malformed messages have one class."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.pipeline.messages import MAX_BLOBS, MessageError, Request, batches, from_blob_poison

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
    text = request.to_json()
    encoded = base64.b64encode(text.encode())
    for body in (
        text,
        text.encode(),
        b"\xef\xbb\xbf" + text.encode(),
        encoded,
        b" " + encoded[:8] + b"\n" + encoded[8:],
    ):
        assert Request.from_body(body) == request


def test_a_message_without_our_optional_fields_is_a_first_attempt() -> None:
    text = '{"container": "incoming", "blobs": ["a/b.jpg"], "extra": 1}'
    assert Request.from_body(text) == Request("incoming", ("a/b.jpg",))


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
        {"container": "incoming", "blobs": ["a.jpg"], "attempt": -1},
        {"container": "incoming", "blobs": ["a.jpg"], "attempt": 10**400},
        {"container": "incoming", "blobs": ["a.jpg"], "attempt": True},
        {"container": "incoming", "blobs": ["a.jpg"], "redo_before": "soon"},
        {"container": "incoming", "blobs": ["a.jpg"], "redo_before": 7},
        {"container": "incoming", "blobs": ["a.jpg"], "redo_before": "2026-01-01T00:00:00"},
        {"container": "incoming", "blobs": ["a" * 1025]},
        {"container": "incoming", "blobs": ["\ud800"]},
        {"container": "i" * 2000, "blobs": ["a.jpg"]},
    ],
    ids=lambda message: json.dumps(message)[:70],
)
def test_a_malformed_request_raises_one_class(message: Any) -> None:
    with pytest.raises(MessageError):
        Request.from_body(json.dumps(message))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b"classify a.jpg", "its text is neither JSON (Expecting value, at character 1) nor Base64"),
        (b'{"container": "incoming"', "at character 25) nor Base64"),
        (b"//4A", "its text is Base64, but its content cannot be read (it is not UTF-8 text)"),
        (base64.b64encode(b"please"), "its text is Base64, but its content cannot be read (Expecting value"),
        (b"null", "it is JSON, but not an object"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"attempt": 1' + b"0" * 5000 + b"}", "a number is too long"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_message_without_a_json_object_names_the_reason(body: bytes, reason: str) -> None:
    for read in (Request.from_body, from_blob_poison):
        with pytest.raises(MessageError) as refused:
            read(body)
        assert reason in str(refused.value)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    for read in (Request.from_body, from_blob_poison):
        with suppress(MessageError):
            assert read(body).blobs


@given(requests, st.integers(1, 100))
def test_parts_hold_every_name_once_and_keep_the_rest(request: Request, times: int) -> None:
    large = replace(request, blobs=request.blobs * times)
    parts = list(large.parts())
    assert [name for part in parts for name in part.blobs] == list(large.blobs)
    assert {replace(part, blobs=request.blobs) for part in parts} == {request}
    assert max(len(part.blobs) for part in parts) <= MAX_BLOBS


def test_a_message_of_the_blob_poison_queue_names_one_blob() -> None:
    host_message = {"Type": "BlobTrigger", "ContainerName": "incoming", "BlobName": "a/b.jpg", "ETag": '"0x1"'}
    text = json.dumps(host_message, indent=2)
    for body in (text, base64.b64encode(text.encode())):
        assert from_blob_poison(body) == Request("incoming", ("a/b.jpg",))


@pytest.mark.parametrize("message", [[], {}, {"ContainerName": "incoming"}, {"ContainerName": 1, "BlobName": "a"}])
def test_a_malformed_poison_message_raises_one_class(message: Any) -> None:
    with pytest.raises(MessageError, match="it "):
        from_blob_poison(json.dumps(message))


def test_batches_are_limited_in_names_and_in_bytes() -> None:
    short = list(batches("incoming", [f"{i}.jpg" for i in range(70)]))
    assert [len(request.blobs) for request in short] == [32, 32, 6]
    hostile = ["\x01" * 1024, "\U0001f431" * 512] * 20
    packed = list(batches("incoming", hostile))
    assert [name for request in packed for name in request.blobs] == hostile
    assert len(packed) == 5, "160 KiB of names"
    # The limit counts the bytes that are sent: 40 KiB of names, and less than 1 KiB for the rest of the message.
    assert max(len(request.to_json().encode()) for request in packed) <= 41 * 1024
