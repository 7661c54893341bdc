"""Ends a command at once where its first request cannot reach storage, and says why.

A wrong account name, a wrong port or a blocked network does not pass by itself, so retries would only delay the answer.
Once a service has answered, the same errors mean an outage, and the SDK retries them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from inference.errors import ConfigurationError
from storage.clients import POOL_SIZE
from storage.http_session import PreparedRequestSession
from tools.failures.causes import address, explain_failure, is_unconnected

if TYPE_CHECKING:
    from storage.connection import Connection

# Long enough for a slow line. A service that does not accept a connection in this time is blocked or does not exist.
_CONNECT_SECONDS = 4.0


class UnreachableError(ConfigurationError):
    """A storage service was not reached by the first request to it.

    Attributes:
        reason: Why, with the way out; the text after the colon of "ImageStorage cannot be used: ...".
    """

    def __init__(self, connection: Connection, reason: str) -> None:
        super().__init__(f"{connection.name} cannot be used: {reason}")
        self.reason = reason


class FirstRequestSession(PreparedRequestSession):
    """A session whose first request to each host must reach it. Thread-safe.

    Args:
        connection: The account that the session reaches.
        connections: How many are kept per host.
    """

    def __init__(self, connection: Connection, connections: int = POOL_SIZE) -> None:
        super().__init__(connections)
        self._connection = connection
        self._reached: set[str] = set()
        self._unreachable: dict[str, str] = {}  # the reason, for requests that follow, such as those of doctor

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send one request.

        Raises:
            UnreachableError: A host that has not answered yet cannot be reached, or is no storage service.
            requests.RequestException: Any other failure; the SDK retries it.
        """
        service = urlsplit(url)._replace(path="", query="").geturl()
        if service in self._reached:
            return super().request(method, url, **options)
        if known := self._unreachable.get(service):
            raise UnreachableError(self._connection, known)
        try:
            response = super().request(method, url, **{**options, "timeout": _shortened(options.get("timeout"))})
        except requests.RequestException as error:
            if service in self._reached or not is_unconnected(error):
                raise
            reason = explain_failure(error, service, self._connection, "")
        else:
            if not _is_of_another_server(response):
                self._reached.add(service)
                return response
            code = response.status_code
            reason = f"{address(service)} answers {code}: check that this is a storage account's address."
        self._unreachable[service] = reason
        raise UnreachableError(self._connection, reason)


def _is_of_another_server(response: requests.Response) -> bool:
    """Whether a refusal came from a proxy or a web server: storage gives each of its answers an ID of its own."""
    return response.status_code in range(400, 500) and not any(
        name.lower().startswith("x-ms-") for name in response.headers
    )


def _shortened(timeout: Any) -> Any:
    """Limit the time to connect; the time to read stays. Both in seconds, as ``requests`` takes them."""
    connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return (min(connect or _CONNECT_SECONDS, _CONNECT_SECONDS), read)
