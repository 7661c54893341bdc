"""Why storage did not answer, in words: the SDK's own message may quote URLs with tokens, so none of it is used."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.connection import Connection

_NO_ROLE = frozenset({"AuthorizationPermissionMismatch", "InsufficientAccountPermissions"})
_SERVER_FAULT = 500
_CHAIN = 10  # an exception's causes, at most


def cause(error: Exception, url: str, connection: Connection, role: str) -> str:
    """Say why a request failed, and what to do.

    Args:
        error: What the SDK raised.
        url: Where the request went; its query is not shown.
        connection: The setting behind the client.
        role: The role that allows the request to an identity.
    """
    where = address(url)
    if isinstance(error, HttpResponseError) and error.status_code:
        code = str(getattr(error.error_code, "value", error.error_code) or "") if hasattr(error, "error_code") else ""
        return _refusal(error.status_code, code, where, connection, role)
    if isinstance(error, ClientAuthenticationError):
        return _no_token(connection)
    return _unreachable(error, url, connection)


def address(url: str) -> str:
    """A URL without its query, which may hold a SAS."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _refusal(status: int, code: str, where: str, connection: Connection, role: str) -> str:
    name, told = connection.name, f"{status} {code}".strip()
    if code == "AuthenticationFailed":
        who = "the token is not for this account" if connection.connection_string is None else "the key or SAS is wrong"
        return f"{where} does not believe us ({told}): {who}, or this machine's clock is wrong; look at {name}."
    if code in _NO_ROLE:
        return f"{where} forbids it ({told}): give this identity the role {role}, and wait a few minutes."
    if code == "AuthorizationFailure":
        return (
            f"{where} keeps us out ({told}): the account's network rules do not let this machine in; the emulator says "
            f"the same of a wrong key in {name}."
        )
    if code == "KeyBasedAuthenticationNotPermitted":
        return f"{where} takes no keys ({told}): use {name}__blobServiceUri, __queueServiceUri and __tableServiceUri."
    if status in {401, 403}:
        return f"{where} refuses us ({told}): look at {name}, and at the role {role} where it names an identity."
    ask = "is that the address of a storage account's service?" if status < _SERVER_FAULT else "is the account healthy?"
    return f"{where} answers {told}: {ask}"


def _unreachable(error: Exception, url: str, connection: Connection) -> str:
    where, host = address(url), urlsplit(url).hostname
    said = {
        socket.gaierror: f"no machine is called {host}: is the account's name in {connection.name} right, and is there "
        "DNS here?",
        ConnectionRefusedError: f"nothing listens at {where}: is the emulator started (`python -m tools dev`), and is "
        f"the port in {connection.name} right?",
        requests.exceptions.SSLError: f"{where} has a certificate that this machine does not trust, or speaks no TLS.",
        requests.exceptions.Timeout: f"{where} does not answer: does a firewall stand between?",
    }
    for each in _causes(error):
        for kind, sentence in said.items():
            if isinstance(each, kind):
                return sentence
    return f"{where} cannot be reached ({type(error).__name__}): is this machine connected?"


def _no_token(connection: Connection) -> str:
    if connection.managed_identity:
        return (
            f"there is no token for the managed identity of {connection.name}: there is one on Azure only. Here, leave "
            f"out {connection.name}__credential and sign in with `az login`."
        )
    return "there is no token: sign in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and a secret."


def _causes(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    for _ in range(_CHAIN):
        if each is None:
            return
        yield each
        each = getattr(each, "inner_exception", None) or each.__cause__ or each.__context__
