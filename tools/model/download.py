"""Downloads one file: goes on where the last try stopped, checks what came, and shows it only when it is whole.

The bytes gather in ``NAME.partial``; ``NAME.partial.json`` remembers which URL they are of and under which validator
the server gave them (``If-Range``, RFC 9110, section 13.1.5): a file that changed meanwhile is begun anew, never
glued together. Proxies are honoured as ``requests`` does (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE``).
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inference.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = (10, 60)  # to connect, and between two pieces
_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0)


class _BrokenOffError(Exception):
    """The connection ended before the file did, or the server is out of order: the next try goes on."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    tell: Callable[[int, int | None], object] = lambda _done, _total: None,
    sleep: Callable[[float], object] = time.sleep,
) -> str:
    """Download ``url`` to ``target`` and return its SHA-256 as 64 hex digits.

    Args:
        url: ``https://`` or ``http://``.
        target: Appears whole or not at all; its folder must exist.
        sha256: What the file must have; another one is refused and not kept.
        tell: Called with the bytes that are there and the bytes there will be, as they come.
        sleep: Waits between tries.

    Raises:
        ConfigurationError: The URL is no web address, the server refuses, or it gives another file.
        TransientError: The connection breaks again and again; what came is kept for the next run.
    """
    shown = without_secrets(url)
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
        raise ConfigurationError(f"{shown} is no web address: it must begin with https://.")
    if sha256 is not None and target.is_file() and _sha256(target) == sha256:
        return sha256
    part = _Partial(target, url)
    resumed = part.size > 0
    try:
        _fetch(url, shown, part, tell, sleep)
        digest = _sha256(part.path)
        if sha256 is not None and digest != sha256 and resumed:  # what was kept was bad: once more, from the start
            part.forget()
            _fetch(url, shown, part, tell, sleep)
            digest = _sha256(part.path)
    except OSError as error:
        raise ConfigurationError(f"{part.path} cannot be written: {error.strerror or error}.") from error
    if sha256 is not None and digest != sha256:
        part.forget()
        raise ConfigurationError(
            f"{shown} has the SHA-256 {digest}, not {sha256}: it is another file; nothing was kept."
        )
    part.path.replace(target)
    part.forget()
    return digest


def without_secrets(url: str) -> str:
    """Return a URL without user, query and fragment: a signature may be in any of them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Partial:
    """What has come so far of one file, and under which validator."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}.partial")
        self._note = target.with_name(f"{target.name}.partial.json")
        self._key = hashlib.sha256(url.encode()).hexdigest()  # the URL itself may hold a signature
        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            note = None
        if not isinstance(note, dict) or note.get("url") != self._key:
            self.forget()
            note = {}
        self.validator: str | None = note.get("validator")

    @property
    def size(self) -> int:
        """Bytes that are there and can be gone on from."""
        return self.path.stat().st_size if self.validator and self.path.exists() else 0

    def begin(self, validator: str | None) -> None:
        """Start anew under another validator."""
        self.validator = validator
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps({"url": self._key, "validator": validator}))

    def forget(self) -> None:
        """Remove every trace."""
        self.validator = None
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _fetch(
    url: str,
    shown: str,
    part: _Partial,
    tell: Callable[[int, int | None], object],
    sleep: Callable[[float], object],
) -> None:
    """Bring the partial file to its full length, in as many tries as it takes while tries bring something."""
    delays = iter(_DELAYS_SECONDS)
    while True:
        before = part.size
        try:
            _try_once(url, shown, part, tell)
        except _BrokenOffError as error:
            if part.size > before:
                delays = iter(_DELAYS_SECONDS)
            delay = next(delays, None)
            if delay is None:
                kept = " What came is kept: run the command again to go on." if part.size else ""
                raise TransientError(f"{shown} could not be downloaded: {error}.{kept}") from error
            sleep(delay)
        else:
            return


def _try_once(url: str, shown: str, part: _Partial, tell: Callable[[int, int | None], object]) -> None:
    import requests

    headers = {"Accept-Encoding": "identity"}  # ranges count the bytes of the file, not of its compressed form
    if part.size:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator or ""}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            total = _place(response, shown, part)
            tell(part.path.stat().st_size, total)
            with part.path.open("ab") as file:
                for piece in response.iter_content(_CHUNK_BYTES):
                    file.write(piece)
                    tell(file.tell(), total)
                size = file.tell()
    except requests.RequestException as error:
        raise _BrokenOffError(_words(error)) from error
    if total is not None and size < total:
        raise _BrokenOffError(f"the connection ended after {size:,} of {total:,} bytes")
    if total is not None and size > total:
        part.forget()
        raise _BrokenOffError(f"{size:,} bytes came where {total:,} were promised")


def _place(response: requests.Response, shown: str, part: _Partial) -> int | None:
    """Make the partial file ready for this answer's body and return the whole file's length, if it is told."""
    status = response.status_code
    if status == 416:  # there is nothing behind what we have: it is whole, or not of this file
        part.forget()
        raise _BrokenOffError("the server has no more of it than came before")
    if status in {408, 425, 429} or status >= 500:
        raise _BrokenOffError(f"the server answers {status}")
    if status not in {200, 206}:
        raise ConfigurationError(f"{shown} answers {status} {response.reason}: check the address.")
    length = response.headers.get("Content-Length")
    told = int(length) if length and length.isdigit() and "Content-Encoding" not in response.headers else None
    if status == 206 and part.size:
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] == str(part.size) and total.isdigit():
            return int(total)
        part.forget()
        raise _BrokenOffError("the server answered with another part than was asked for")
    part.begin(_validator(response.headers))
    return told


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _validator(headers: Any) -> str | None:
    """Return what ``If-Range`` may be given: a strong ETag, else the time of the last change."""
    etag: str | None = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    modified: str | None = headers.get("Last-Modified")
    return modified


def _words(error: Exception) -> str:
    """Say what broke in words that hold no URL."""
    name = type(error).__name__
    return {
        "ConnectionError": "the connection failed or broke",
        "ConnectTimeout": "nobody answered in time",
        "ReadTimeout": "nothing came for a minute",
        "ChunkedEncodingError": "the connection broke",
        "SSLError": "the server's certificate is not trusted (REQUESTS_CA_BUNDLE names another authority)",
        "ProxyError": "the proxy refused (HTTPS_PROXY)",
    }.get(name, name)
