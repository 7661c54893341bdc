"""The one place where ``azure.core`` errors are given a class: whose fault is it?

``ServiceRequestError`` and ``ServiceResponseError`` (connection refused, dropped, timed out) are *not*
``HttpResponseError``; credential errors carry no response at all; garbled answers are not even ``AzureError``.
Expected answers (404 on a read, 409 and 412 on a guarded write, 304 on a conditional read) are handled where they are
expected and never come here.
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

from inference.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inference.errors import ClassificationError

SDK_ERRORS = (AzureError, DeserializationError, SerializationError)
"""Every exception of the SDK descends from one of these; a test enumerates them."""

# What a person must mend: the request itself is refused, and will be refused again.
_REFUSED = frozenset({400, 401, 403, 405, 411, 413, 414, 415, 416})


class ConflictError(Exception):
    """A guarded write lost: somebody else wrote first. Control flow of the commit protocol, never shown to a person."""


class SettingsError(ConfigurationError):
    """Settings that are missing or wrong. The message lists every problem by setting name, never a secret value."""


def one_line(text: str) -> str:
    """Text that cannot begin a line of its own or move a cursor: blob names are hostile, and messages are logged."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def translate(error: Exception, action: str) -> ClassificationError:
    """Give an SDK error its class.

    Args:
        error: What the SDK raised.
        action: What was being done, for the sentence: ``"reading incoming/a.jpg"``.

    Returns:
        ``ConfigurationError`` for refused credentials and requests, else ``TransientError``. The message holds the
        status and the service's error code only: SDK messages may quote URLs with SAS tokens.
    """
    action = one_line(action)
    status = error.status_code if isinstance(error, HttpResponseError) else None
    code = getattr(error, "error_code", None)
    told = " ".join(str(part) for part in (status, getattr(code, "value", code)) if part) or type(error).__name__
    if isinstance(error, ClientAuthenticationError) or status in _REFUSED:
        return ConfigurationError(
            f"{action} was refused by storage ({told}): check the connection settings and the roles of this identity."
        )
    return TransientError(f"{action} failed for now ({told}).")


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise SDK errors of the block as our own classes; see ``translate``.

    They do not go along as causes: a host prints those too, and the SDK's messages quote URLs with SAS tokens.
    """
    try:
        yield
    except SDK_ERRORS as error:
        raise translate(error, action) from None
    except AttributeError as error:
        # Where an answer is cut short there is no response, and azure-data-tables (12.7) stumbles over that.
        if isinstance(error.__context__, HttpResponseError):
            raise translate(error.__context__, action) from None
        raise
