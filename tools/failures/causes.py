"""Explains failed storage requests, without the SDK's messages: they can contain URLs with tokens."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from urllib3.exceptions import NewConnectionError

from storage.errors import error_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.connection import Connection

_NO_ROLE = frozenset({"AuthorizationPermissionMismatch", "InsufficientAccountPermissions"})
_SERVER_ERROR = 500
_MAX_CAUSES = 10  # of one exception


def explain_failure(error: Exception, url: str, connection: Connection, role: str) -> str:
    """Explain why a request failed, and state the remedy.

    Args:
        error: The SDK's exception.
        url: Of the request; its query is not printed.
        connection: The client's connection setting.
        role: The role that allows an identity this request.
    """
    target = address(url)
    if isinstance(error, HttpResponseError) and error.status_code:
        return _refusal(error.status_code, error_code(error), target, connection, role)
    if isinstance(error, ClientAuthenticationError):
        return _no_token(connection)
    return _unreachable(error, url, connection)


def is_unconnected(error: Exception) -> bool:
    """Whether a request of ``requests`` failed before there was a connection, so that the service saw nothing."""
    unconnected = (NewConnectionError, requests.exceptions.ConnectTimeout, requests.exceptions.SSLError)
    return any(isinstance(each, (*unconnected, requests.exceptions.ProxyError)) for each in _causes(error))


def address(url: str) -> str:
    """Return a URL without user information and query, which can contain a SAS."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _refusal(status: int, code: str, target: str, connection: Connection, role: str) -> str:
    name, answer = connection.name, f"{status} {code}".strip()
    if code == "AuthenticationFailed":
        reason = (
            "the token is for another account" if connection.connection_string is None else "the key or SAS is wrong"
        )
        return f"{target} rejects the credential ({answer}): {reason}, or this machine's clock is wrong; check {name}."
    if code in _NO_ROLE:
        return f"{target} denies access ({answer}): assign this identity the role {role}, and wait a few minutes."
    if code == "AuthorizationFailure":
        return (
            f"{target} denies access ({answer}): the account's network rules exclude this machine. The emulator gives "
            f"the same answer to a wrong key in {name}."
        )
    if code == "KeyBasedAuthenticationNotPermitted":
        settings = f"{name}__blobServiceUri, __queueServiceUri and __tableServiceUri"
        return f"{target} does not accept keys ({answer}): use {settings}."
    if status in {401, 403}:
        return f"{target} denies access ({answer}): check {name} and, for an identity, the role {role}."
    is_client_error = status < _SERVER_ERROR
    remedy = "check that this is a storage account's address" if is_client_error else "check the account's health"
    return f"{target} answers {answer}: {remedy}."


def _unreachable(error: Exception, url: str, connection: Connection) -> str:
    target, host = address(url), urlsplit(url).hostname
    explanations = {
        requests.exceptions.ProxyError: (
            f"the proxy for {target} cannot be used: check HTTP_PROXY, HTTPS_PROXY and NO_PROXY."
        ),
        socket.gaierror: (
            f"the host name {host} cannot be resolved: check the account name in {connection.name}, and the DNS of "
            "this machine."
        ),
        ConnectionRefusedError: (
            f"nothing listens at {target}: start the emulator (`python -m tools dev`), or correct the port in "
            f"{connection.name}."
        ),
        requests.exceptions.SSLError: f"{target} does not use TLS, or its certificate is not trusted on this machine.",
        requests.exceptions.Timeout: f"{target} does not answer: check for a firewall.",
    }
    for each in _causes(error):
        for kind, sentence in explanations.items():
            if isinstance(each, kind):
                return sentence
    return f"{target} cannot be reached ({type(error).__name__}): check this machine's network."


def _no_token(connection: Connection) -> str:
    if connection.managed_identity:
        return (
            f"there is no token for the managed identity of {connection.name}, which exists only on Azure. On this "
            f"machine, unset {connection.name}__credential and sign in with `az login`."
        )
    return "there is no token: sign in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and a secret."


def _causes(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if each is None:
            return
        yield each
        each = getattr(each, "inner_exception", None) or each.__cause__ or each.__context__
