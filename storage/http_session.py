"""The HTTP session under the SDK: it sends what the SDK has made ready, and does no more.

A plain ``requests.Session`` makes every request ready once again: it looks through the whole environment for proxies
and certificates, through ``.netrc`` for passwords, merges headers, quotes the URL, keeps cookies. The SDK has seen to
that or wants none of it, and it was a quarter of a small request's CPU (``docs/adr/0009``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from collections.abc import Mapping


class Session(requests.Session):
    """A session of pooled connections for ``RequestsTransport``. Thread-safe.

    Proxies and certificates come from the environment as ever (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``
    and their like), but it is asked once per host.

    Args:
        connections: So many are kept per host. More may be open at once; those are not kept.
    """

    def __init__(self, connections: int) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=connections))
        self._routes: dict[str, Mapping[str, Any]] = {}

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send one request as ``RequestsTransport`` hands it over. Redirects are not followed: that is the SDK's part.

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
            _body = response.content  # is kept there; once it is read the connection is free
        return response

    def _route(self, url: str) -> Mapping[str, Any]:
        """Which proxies lead to a URL's host, and whose certificates are trusted."""
        host = urlsplit(url).netloc
        route = self._routes.get(host)
        if route is None:
            found = self.merge_environment_settings(url, {}, None, None, None)
            route = self._routes[host] = {name: found[name] for name in ("proxies", "verify", "cert")}
        return route
