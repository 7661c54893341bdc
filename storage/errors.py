"""The one place that maps ``azure.core`` errors to this app's classes.

``ServiceRequestError`` and ``ServiceResponseError`` (connection refused, dropped, timed out) are *not*
``HttpResponseError``; credential errors have no response; malformed responses are not even ``AzureError``. Expected
responses (404 on a read, 409 and 412 on a conditional write, 304 on a conditional read) are handled where they are
expected and never reach this module.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DeserializationError,
    HttpResponseError,
    SerializationError,
)

from inference.errors import ConfigurationError, TransientError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.errors import ClassificationError

SDK_ERRORS = (AzureError, DeserializationError, SerializationError)
"""Every exception of the SDK descends from one of these; a test enumerates them."""

REFUSED_STATUSES = frozenset({400, 401, 403, 405, 411, 413, 414, 415, 416})
"""The service refuses the request itself and will refuse it again, so a person has to act."""


class ConflictError(Exception):
    """A conditional write failed because another attempt wrote first. Control flow of the commit protocol only."""


class ProtectedSidecarError(TransientError):
    """A sidecar that cannot be replaced or removed: a lease, a legal hold or an immutability policy keeps it."""


class SettingsError(ConfigurationError):
    """Settings that are missing or wrong. The message lists every problem by setting name, never a secret value."""


def error_code(error: Exception) -> str:
    """The service's error code; an empty text where there is none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def translate(error: Exception, action: str) -> ClassificationError:
    """Map an SDK error to a class of this app.

    Args:
        error: The error that the SDK raised.
        action: What the app was doing, for the sentence: ``"reading incoming/a.jpg"``.

    Returns:
        ``ConfigurationError`` for refused credentials and requests, else ``TransientError``. The message holds the
        status and the service's error code only: SDK messages may quote URLs with SAS tokens.
    """
    action = printable(action)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    cause = " ".join(str(part) for part in (status, error_code(error)) if part) or type(error).__name__
    if isinstance(error, ClientAuthenticationError) or status in REFUSED_STATUSES:
        return ConfigurationError(
            f"{action} was refused by storage ({cause}): check the connection settings and the roles of this identity; "
            "`python -m tools doctor` names the fault."
        )
    return TransientError(f"{action} failed for now ({cause}).")


@contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise SDK errors of the block as this app's own classes; see ``translate``.

    The SDK's error is not kept as the cause: a host prints causes too, and SDK messages quote URLs with SAS tokens.

    Raises:
        TransientError: Storage failed for now.
        ConfigurationError: Storage refused the request.
    """
    try:
        yield
    except SDK_ERRORS as error:
        raise translate(error, action) from None
    except AttributeError as error:
        # azure-data-tables (12.7) raises this where a response was cut short and the error has no response.
        if isinstance(error.__context__, HttpResponseError):
            raise translate(error.__context__, action) from None
        raise
