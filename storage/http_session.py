"""The HTTP session below the SDK: it sends the requests that the SDK has prepared and does nothing else.

A plain ``requests.Session`` prepares every request a second time: it searches the environment for proxies and
certificates and ``.netrc`` for passwords, merges headers, quotes the URL, keeps cookies. The SDK has already done that
or does not need it, and it took a quarter of a small request's CPU time (``docs/adr/0009``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from collections.abc import Mapping


class PreparedRequestSession(requests.Session):
    """A session of pooled connections for ``RequestsTransport``. Thread-safe.

    Proxies and certificates come from the environment as usual (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``
    and the like), but are read once per host.

    Args:
        connections: How many are kept per host. More may be open at once; those are closed after use.
    """

    def __init__(self, connections: int) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=connections))
        self._routes: dict[str, Mapping[str, Any]] = {}

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send one request of ``RequestsTransport``. Redirects are not followed: the SDK does that.

        Raises:
            requests.RequestException: As ``requests.Session.request`` does.
        """
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.headers = method, url, CaseInsensitiveDict(options["headers"])
        prepared.prepare_body(options.get("data"), options.get("files"))
        stream = options.get("stream", False)
        response = self.get_adapter(url).send(
            prepared, stream=stream, timeout=options.get("timeout"), **self._route(url)
        )
        if not stream:
            _body = response.content  # reading the body, which the response keeps, frees the connection
        return response

    def _route(self, url: str) -> Mapping[str, Any]:
        """The proxies for a URL's host, and the certificates that are trusted."""
        host = urlsplit(url).netloc
        route = self._routes.get(host)
        if route is None:
            found = self.merge_environment_settings(url, {}, None, None, None)
            route = self._routes[host] = {name: found[name] for name in ("proxies", "verify", "cert")}
        return route
