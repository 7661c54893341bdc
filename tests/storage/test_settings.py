from __future__ import annotations

from typing import Any

import pytest

from storage.clients import connect
from storage.connection import DEVELOPMENT_STORAGE, Connection, read_connection
from storage.errors import SettingsError
from storage.settings import Settings

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="  # no real key: it says "secret" in Base64
STRING = f"DefaultEndpointsProtocol=https;AccountName=photos;AccountKey={SECRET};EndpointSuffix=core.windows.net"
SAS = "BlobEndpoint=https://photos.blob.core.windows.net;SharedAccessSignature=sv=2024&sig=" + SECRET
IDENTITY = {
    "ImageStorage__blobServiceUri": "https://photos.blob.core.windows.net",
    "ImageStorage__queueServiceUri": "https://photos.queue.core.windows.net/",
    "ImageStorage__tableServiceUri": "https://photos.table.core.windows.net",
}


def settings(**environ: str) -> Settings:
    return Settings.from_environ({"ImageStorage": STRING, **environ})


def test_a_connection_string_alone_is_enough() -> None:
    made = settings()
    assert (made.incoming_container, made.results_container) == ("incoming", "results")
    assert (made.results_table, made.index_table) == ("classifications", "classificationsindex")
    assert (made.top_k, made.min_score, made.decode_budget_mib) == (5, None, None)
    assert made.retry_delays_seconds == (60, 300, 900, 1800, 3600)
    assert made.blob_trigger_source == "LogsAndContainerScan"


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("INCOMING_CONTAINER", "photos-2026", "incoming_container", "photos-2026"),
        ("RESULTS_TABLE", "Rows", "results_table", "Rows"),
        ("REQUESTS_QUEUE", "q" * 55, "requests_queue", "q" * 55),
        ("TOP_K", " 1 ", "top_k", 1),
        ("MIN_SCORE", "0.25", "min_score", 0.25),
        ("MIN_SCORE", "", "min_score", None),
        ("MAX_IMAGE_BYTES", "1000", "max_image_bytes", 1000),
        ("DECODE_BUDGET_MIB", "512", "decode_budget_mib", 512),
        ("RETRY_DELAYS_SECONDS", "1, 2,3", "retry_delays_seconds", (1, 2, 3)),
        ("BLOB_TRIGGER_SOURCE", "EventGrid", "blob_trigger_source", "EventGrid"),
        ("TAG_IMAGES", "yes", "tag_images", True),
        ("NOTIFY_QUEUE", "foxes", "notify_queue", "foxes"),
        ("NOTIFY_QUEUE", "", "notify_queue", None),
        ("NOTIFY_LABELS", "", "notify_labels", frozenset()),
        (
            "NOTIFY_LABELS",
            'fox, red deer,"tench, fish"',
            "notify_labels",
            {"fox", "red deer", "tench, fish"},
        ),
    ],
)
def test_a_setting_is_read(name: str, value: str, attribute: str, expected: Any) -> None:
    assert getattr(settings(**{name: value}), attribute) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INCOMING_CONTAINER", "Photos"),
        ("INCOMING_CONTAINER", "a--b"),
        ("INCOMING_CONTAINER", "ab"),
        ("INCOMING_CONTAINER", "x" * 64),
        ("RESULTS_CONTAINER", "-results"),
        ("RESULTS_TABLE", "1st"),
        ("RESULTS_TABLE", "a-b"),
        ("RESULTS_TABLE", "t" * 59),
        ("REQUESTS_QUEUE", "q" * 56),
        ("REQUESTS_QUEUE", "Requests"),
        ("REQUESTS_QUEUE", "a--b"),
        ("REQUESTS_QUEUE", "requests-poison"),
        ("REQUESTS_QUEUE", "requests-refused"),
        ("NOTIFY_QUEUE", "Foxes"),
        ("NOTIFY_LABELS", "fox,,wolf"),
        ("NOTIFY_LABELS", '"fox'),
        ("TOP_K", "0"),
        ("TOP_K", "many"),
        ("TOP_K", "2.5"),
        ("MIN_SCORE", "1.1"),
        ("MIN_SCORE", "nan"),
        ("MAX_IMAGE_BYTES", "-1"),
        ("MAX_IMAGE_PIXELS", "99999999999"),
        ("DECODE_BUDGET_MIB", "0"),
        ("RETRY_DELAYS_SECONDS", "60,soon"),
        ("RETRY_DELAYS_SECONDS", "0"),
        ("RETRY_DELAYS_SECONDS", "604801"),
        ("BLOB_TRIGGER_SOURCE", "eventgrid"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} ") as raised:
        settings(**{name: value})
    assert str(raised.value).endswith(".")


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environ({"TOP_K": "x", "MIN_SCORE": "2", "RESULTS_TABLE": "1", "RETRY_DELAYS_SECONDS": "-"})
    for name in ("ImageStorage", "TOP_K", "MIN_SCORE", "RESULTS_TABLE", "RETRY_DELAYS_SECONDS"):
        assert name in str(raised.value)


def test_results_that_would_feed_the_trigger_are_refused() -> None:
    with pytest.raises(SettingsError, match="INCOMING_CONTAINER and RESULTS_CONTAINER are the same container"):
        settings(INCOMING_CONTAINER="photos", RESULTS_CONTAINER="photos")


@pytest.mark.parametrize(
    "name", ["INCOMING_CONTAINER", "RESULTS_CONTAINER", "RESULTS_TABLE", "TOP_K", "MIN_SCORE", "BLOB_TRIGGER_SOURCE"]
)
def test_a_secret_pasted_into_the_wrong_setting_is_not_repeated(name: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings(**{name: STRING})
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("text", [STRING, SAS], ids=["account key", "SAS"])
def test_no_repr_shows_a_secret(text: str) -> None:
    made = Settings.from_environ({"ImageStorage": text})
    assert made.image_storage.connection_string == text
    assert SECRET not in repr(made) + str(made) + repr(made.image_storage)


@pytest.mark.parametrize(
    "text",
    [
        f"AccountName=photos;AccountKey={SECRET}!;EndpointSuffix=core.windows.net",
        f"AccountKey={SECRET}",
        f"AccountName=;;=={SECRET}",
    ],
    ids=["damaged key", "no account", "noise"],
)
def test_a_connection_string_that_cannot_be_read_is_refused_without_being_quoted(text: str) -> None:
    try:
        connect(Connection("ImageStorage", text)).close()
    except SettingsError as error:
        assert SECRET not in str(error)  # noqa: PT017 - a damaged key may also pass until its first use
        assert "ImageStorage" in str(error)  # noqa: PT017
        assert error.__cause__ is None  # noqa: PT017


def test_the_emulators_short_form_is_written_out() -> None:
    assert read_connection({"X": "UseDevelopmentStorage=true"}, "X").connection_string == DEVELOPMENT_STORAGE


def test_something_that_is_no_connection_string_is_refused_without_being_quoted() -> None:
    with pytest.raises(SettingsError, match=r"^X is not a connection string") as raised:
        read_connection({"X": "hunter2"}, "X")
    assert "hunter2" not in str(raised.value)


def test_an_identity_needs_three_service_uris() -> None:
    made = read_connection(IDENTITY, "ImageStorage")
    assert made.connection_string is None
    assert made.blob_uri == "https://photos.blob.core.windows.net"
    assert made.queue_uri == "https://photos.queue.core.windows.net"
    assert made.table_uri == "https://photos.table.core.windows.net"
    assert (made.managed_identity, made.client_id) == (False, None)


def test_a_managed_identity_is_named_by_its_client_id() -> None:
    made = read_connection(
        IDENTITY | {"ImageStorage__credential": "managedidentity", "ImageStorage__clientId": "an-id"}, "ImageStorage"
    )
    assert (made.managed_identity, made.client_id) == (True, "an-id")


def test_an_account_name_stands_for_its_three_services() -> None:
    made = read_connection({"X__accountName": "photos"}, "X")
    assert made.table_uri == "https://photos.table.core.windows.net"


def test_a_missing_service_uri_is_named() -> None:
    partial = {name: value for name, value in IDENTITY.items() if "blob" in name}
    with pytest.raises(SettingsError, match="queueServiceUri and ImageStorage__tableServiceUri"):
        read_connection(partial, "ImageStorage")


def test_a_token_is_never_sent_in_the_clear_and_every_bad_uri_is_named() -> None:
    clear = {name: value.replace("https", "http") for name, value in IDENTITY.items()}
    with pytest.raises(SettingsError, match="https://") as raised:
        read_connection(clear, "ImageStorage")
    for name in IDENTITY:
        assert name in str(raised.value)


def test_clients_for_an_identity_are_made_without_a_request() -> None:
    connect(read_connection(IDENTITY, "ImageStorage")).close()


@pytest.mark.parametrize(
    "name",
    [
        "classify-requests",
        "classify-requests-poison",
        "classify-requests-refused",
        "webjobs-blobtrigger-poison",
        "azure-webjobs-blobtrigger-abc",
    ],
)
def test_messages_do_not_go_to_a_queue_of_the_app_or_the_host(name: str) -> None:
    with pytest.raises(SettingsError, match=r"NOTIFY_QUEUE names a queue of the app or of the host.+a name of its own"):
        settings(NOTIFY_QUEUE=name)
