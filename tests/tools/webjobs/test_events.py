"""Event Grid events as the harness and the bench make them. ``test_app`` delivers them to the real webhook."""

from __future__ import annotations

import pytest

from tools.webjobs.events import CREATED, DELETED, blob_event


@pytest.mark.parametrize(
    "url",
    [
        "https://account.blob.core.windows.net/incoming/a/b%20%231.jpg",
        "http://account.blob.localhost:12000/incoming/a/b%20%231.jpg",
        "http://127.0.0.1:10000/account/incoming/a/b%20%231.jpg",
    ],
)
def test_subject_and_url_name_the_blob(url: str) -> None:
    event = blob_event(url)
    assert event["subject"] == "/blobServices/default/containers/incoming/blobs/a/b #1.jpg"
    assert event["data"]["url"] == url


def test_kind_and_length() -> None:
    assert blob_event("https://a/c/b")["eventType"] == CREATED
    event = blob_event("https://a/c/b", kind=DELETED, content_length=7)
    assert (event["eventType"], event["data"]["api"]) == (DELETED, "DeleteBlob")
    assert event["data"]["contentLength"] == 7
