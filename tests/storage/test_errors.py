"""Every error of the SDK is mapped to one class, and no secret leaves with it."""

from __future__ import annotations

import inspect
import traceback
from typing import Any, cast

import azure.core.exceptions
import azure.data.tables
import azure.identity
import azure.storage.blob
import azure.storage.queue
import pytest
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)

from inference.errors import ClassificationError, ConfigurationError, TransientError
from storage.errors import translate, translate_errors

_HOMES = (azure.core.exceptions, azure.data.tables, azure.identity, azure.storage.blob, azure.storage.queue)
SDK_EXCEPTIONS = {
    f"{home.__name__}.{name}": found
    for home in _HOMES
    for name, found in inspect.getmembers(home, inspect.isclass)
    if issubclass(found, Exception)
}


class Response:
    """The part of an HTTP response that the SDK's exceptions read."""

    reason = "because"
    headers: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code

    def text(self, encoding: str | None = None) -> str:
        return ""

    body = text


def http_error(status: int, kind: type[HttpResponseError] = HttpResponseError) -> HttpResponseError:
    return kind(message="https://photos/?sig=SECRET", response=cast(Any, Response(status)))


def made(kind: type[Exception]) -> Exception:
    """An instance of any SDK exception, without the arguments of its constructor."""
    error = kind.__new__(kind)
    error.args = ("https://photos/?sig=SECRET",)
    for name in ("status_code", "reason", "response", "error"):
        if isinstance(error, HttpResponseError):
            setattr(error, name, None)
    return error


def test_the_sdks_exceptions_are_found() -> None:
    assert len(SDK_EXCEPTIONS) > 20


@pytest.mark.parametrize("kind", SDK_EXCEPTIONS.values(), ids=SDK_EXCEPTIONS.keys())
def test_every_sdk_exception_gets_exactly_one_class(kind: type[Exception]) -> None:
    with pytest.raises(ClassificationError) as raised, translate_errors("reading incoming/a.jpg"):
        raise made(kind)
    refused = issubclass(kind, azure.core.exceptions.ClientAuthenticationError)
    assert type(raised.value) is (ConfigurationError if refused else TransientError)
    assert "SECRET" not in str(raised.value)
    assert isinstance(raised.value.__context__, kind)
    assert "SECRET" not in "".join(traceback.format_exception(raised.value)), "a host prints causes too"


@pytest.mark.parametrize("status", [408, 409, 412, 429, 500, 502, 503, 504, 404])
def test_an_unavailable_service_is_transient(status: int) -> None:
    error = translate(http_error(status), "reading incoming/a.jpg")
    assert type(error) is TransientError
    assert str(error) == f"reading incoming/a.jpg failed for now ({status})."


@pytest.mark.parametrize("status", [400, 401, 403, 405, 411, 413, 414, 415, 416])
def test_a_refused_request_is_a_configuration_error(status: int) -> None:
    error = translate(http_error(status), "reading incoming/a.jpg")
    assert type(error) is ConfigurationError
    assert str(status) in str(error)
    assert "roles" in str(error)


@pytest.mark.parametrize("kind", [ServiceRequestError, ServiceResponseError])
def test_an_error_without_a_response_is_transient_and_named(kind: type[AzureError]) -> None:
    error = translate(kind("https://photos/?sig=SECRET"), "reading incoming/a.jpg")
    assert str(error) == f"reading incoming/a.jpg failed for now ({kind.__name__})."


def test_the_message_holds_the_services_error_code() -> None:
    error = http_error(503)
    error.error_code = "ServerBusy"  # type: ignore[attr-defined]
    assert "(503 ServerBusy)" in str(translate(error, "writing"))


def test_a_hostile_name_cannot_begin_a_line() -> None:
    message = str(translate(http_error(503), "reading incoming/caf\u00e9\nimage_finished\u2028\x1b[2J"))
    assert message == "reading incoming/caf\u00e9\\nimage_finished\\u2028\\x1b[2J failed for now (503)."


def test_a_truncated_response_is_transient_although_the_tables_client_fails_on_it() -> None:
    """The client reads the response of an error that has none, and so raises another error."""

    def fail() -> None:
        try:
            raise IncompleteReadError("https://photos/?sig=SECRET")
        except HttpResponseError as error:
            error.response.headers  # type: ignore[union-attr] # noqa: B018

    with (
        pytest.raises(TransientError, match=r"^writing failed for now \(IncompleteReadError\)\.$"),
        translate_errors("writing"),
    ):
        fail()
    with pytest.raises(AttributeError), translate_errors("writing"):
        raise AttributeError("ours")


def test_other_errors_are_not_changed() -> None:
    with pytest.raises(KeyError), translate_errors("reading"):
        raise KeyError("ours")
