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
    """As much of an HTTP response as the SDK's exceptions look at."""

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
    """An instance of any SDK exception, without the arguments its constructor would want."""
    error = kind.__new__(kind)
    error.args = ("https://photos/?sig=SECRET",)
    for name in ("status_code", "reason", "response", "error"):
        if isinstance(error, HttpResponseError):
            setattr(error, name, None)
    return error


def test_there_are_sdk_exceptions_to_look_at() -> None:
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
def test_the_worlds_fault_is_transient(status: int) -> None:
    error = translate(http_error(status), "reading incoming/a.jpg")
    assert type(error) is TransientError
    assert str(error) == f"reading incoming/a.jpg failed for now ({status})."


@pytest.mark.parametrize("status", [400, 401, 403, 405, 411, 413, 414, 415, 416])
def test_the_deployments_fault_is_configuration(status: int) -> None:
    error = translate(http_error(status), "reading incoming/a.jpg")
    assert type(error) is ConfigurationError
    assert str(status) in str(error)
    assert "roles" in str(error)


@pytest.mark.parametrize("kind", [ServiceRequestError, ServiceResponseError])
def test_an_error_without_an_answer_is_transient_and_named(kind: type[AzureError]) -> None:
    error = translate(kind("https://photos/?sig=SECRET"), "reading incoming/a.jpg")
    assert str(error) == f"reading incoming/a.jpg failed for now ({kind.__name__})."


def test_the_services_own_code_is_told() -> None:
    error = http_error(503)
    error.error_code = "ServerBusy"  # type: ignore[attr-defined]
    assert "(503 ServerBusy)" in str(translate(error, "writing"))


def test_a_hostile_name_cannot_begin_a_line_of_its_own() -> None:
    told = str(translate(http_error(503), "reading incoming/caf\u00e9\nimage_settled\u2028\x1b[2J"))
    assert told == "reading incoming/caf\u00e9\\nimage_settled\\u2028\\x1b[2J failed for now (503)."


def test_an_answer_that_is_cut_short_is_transient_although_the_tables_client_stumbles_over_it() -> None:
    """It looks for the response of an error that has none, and raises an error of its own while it handles that."""

    def stumble() -> None:
        try:
            raise IncompleteReadError("https://photos/?sig=SECRET")
        except HttpResponseError as error:
            error.response.headers  # type: ignore[union-attr] # noqa: B018

    with (
        pytest.raises(TransientError, match=r"^writing failed for now \(IncompleteReadError\)\.$"),
        translate_errors("writing"),
    ):
        stumble()
    with pytest.raises(AttributeError), translate_errors("writing"):
        raise AttributeError("ours")


def test_what_is_not_the_sdks_is_left_alone() -> None:
    with pytest.raises(KeyError), translate_errors("reading"):
        raise KeyError("ours")
