"""Downloads one file: continues an interrupted download, checks the SHA-256, and shows the file when it is complete.

The bytes are collected in ``NAME.partial``. ``NAME.partial.json`` holds a hash of their URL and the validator that the
server sent with them (``If-Range``, RFC 9110, section 13.1.5): a file that changed in between is downloaded from the
start, and two versions are never joined. ``requests`` honours ``HTTPS_PROXY``, ``NO_PROXY`` and ``REQUESTS_CA_BUNDLE``.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inference.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from pathlib import Path

    import requests

_CHUNK_BYTES = 1 << 16
_TIMEOUT_SECONDS = (10, 60)  # to connect, and between two chunks
_RETRY_DELAYS_SECONDS = (0.5, 1.0, 2.0, 4.0)

OnProgress = Callable[[int, int | None], object]
"""Called with the bytes received and the bytes expected, ``None`` when the server does not state them."""


class _InterruptedError(Exception):
    """The connection ended before the file did, or the server failed: a retry continues."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    on_progress: OnProgress = lambda _received, _total: None,
    sleep: Callable[[float], object] = time.sleep,
) -> str:
    """Download ``url`` to ``target`` and return its SHA-256 as 64 hex digits.

    Args:
        url: ``https://`` or ``http://``.
        target: Appears when the download is complete; its folder must exist.
        sha256: The expected SHA-256; another file is refused and deleted.
        on_progress: Called for every chunk.
        sleep: Waits between retries.

    Raises:
        ConfigurationError: The URL is not a web address, the server refuses, or it sends another file.
        TransientError: The connection fails repeatedly; the received bytes are kept for the next run.
    """
    shown = without_secrets(url)
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc:
        raise ConfigurationError(f"{shown} is not a web address: it must begin with https://.")
    if sha256 is not None and target.is_file() and _sha256(target) == sha256:
        return sha256
    part = _Partial(target, url)
    resumed = part.size > 0
    try:
        _fetch(url, shown, part, on_progress, sleep)
        digest = _sha256(part.path)
        if sha256 is not None and digest != sha256 and resumed:  # the kept bytes were damaged: download all again
            part.forget()
            _fetch(url, shown, part, on_progress, sleep)
            digest = _sha256(part.path)
    except OSError as error:
        raise ConfigurationError(f"{part.path} cannot be written: {error.strerror or error}.") from error
    if sha256 is not None and digest != sha256:
        part.forget()
        raise ConfigurationError(
            f"{shown} has the SHA-256 {digest}, not {sha256}: it is another file, and was deleted."
        )
    part.path.replace(target)
    part.forget()
    return digest


def without_secrets(url: str) -> str:
    """Return a URL without user, query and fragment: a signature may be in any of them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Partial:
    """The received bytes of one file, and their validator."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}.partial")
        self._note = target.with_name(f"{target.name}.partial.json")
        self._key = hashlib.sha256(url.encode()).hexdigest()  # the URL itself may hold a signature
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            note = None
        if not isinstance(note, dict) or note.get("url") != self._key:
            self.forget()
            note = {}
        self.validator: str | None = note.get("validator")

    @property
    def size(self) -> int:
        """The number of bytes from which the download can continue; 0 without a validator."""
        return self.path.stat().st_size if self.validator and self.path.exists() else 0

    def begin(self, validator: str | None) -> None:
        """Start from no bytes, with a new validator."""
        self.validator = validator
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps({"url": self._key, "validator": validator}), encoding="utf-8")

    def forget(self) -> None:
        """Delete the received bytes and the note."""
        self.validator = None
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _fetch(
    url: str,
    shown: str,
    part: _Partial,
    on_progress: OnProgress,
    sleep: Callable[[float], object],
) -> None:
    """Complete the partial file. The retries start again after every attempt that received bytes."""
    delays = iter(_RETRY_DELAYS_SECONDS)
    while True:
        before = part.size
        try:
            _try_once(url, shown, part, on_progress)
        except _InterruptedError as error:
            if part.size > before:
                delays = iter(_RETRY_DELAYS_SECONDS)
            delay = next(delays, None)
            if delay is None:
                kept = " The received bytes are kept: run the command again to continue." if part.size else ""
                raise TransientError(f"{shown} could not be downloaded: {error}.{kept}") from error
            sleep(delay)
        else:
            return


def _try_once(url: str, shown: str, part: _Partial, on_progress: OnProgress) -> None:
    import requests

    headers = {"Accept-Encoding": "identity"}  # ranges count the bytes of the file, not of its compressed form
    if part.size:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator or ""}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            total = _prepare(response, shown, part)
            on_progress(part.path.stat().st_size, total)
            with part.path.open("ab") as file:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                    on_progress(file.tell(), total)
                size = file.tell()
    except requests.RequestException as error:
        raise _InterruptedError(_description(error)) from error
    if total is not None and size < total:
        raise _InterruptedError(f"the connection ended after {size:,} of {total:,} bytes")
    if total is not None and size > total:
        part.forget()
        raise _InterruptedError(f"the server sent {size:,} bytes instead of {total:,}")


def _prepare(response: requests.Response, shown: str, part: _Partial) -> int | None:
    """Prepare the partial file for the response's body; return the length of the whole file, if it is stated."""
    status = response.status_code
    if status == 416:  # no bytes follow the kept ones: they are the whole file, or of another one
        part.forget()
        raise _InterruptedError("the server has no more bytes than the kept ones")
    if status in {408, 425, 429} or status >= 500:
        raise _InterruptedError(f"the server answers {status}")
    if status not in {200, 206}:
        raise ConfigurationError(f"{shown} answers {status} {response.reason}: check the address.")
    length = response.headers.get("Content-Length")
    stated = int(length) if length and length.isdigit() and "Content-Encoding" not in response.headers else None
    if status == 206 and part.size:
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if span.partition("-")[0] == str(part.size) and total.isdigit():
            return int(total)
        part.forget()
        raise _InterruptedError("the server sent another range than the requested one")
    part.begin(_validator(response.headers))
    return stated


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _validator(headers: Any) -> str | None:
    """Return a validator for ``If-Range``: a strong ETag, else the time of the last change."""
    etag: str | None = headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    modified: str | None = headers.get("Last-Modified")
    return modified


def _description(error: Exception) -> str:
    """Describe a failed request without its URL, which may hold a signature."""
    name = type(error).__name__
    return {
        "ConnectionError": "the connection failed or broke",
        "ConnectTimeout": "the server did not answer in time",
        "ReadTimeout": "no data arrived for a minute",
        "ChunkedEncodingError": "the connection broke",
        "SSLError": "the server's certificate is not trusted (REQUESTS_CA_BUNDLE names another authority)",
        "ProxyError": "the proxy refused (HTTPS_PROXY)",
    }.get(name, name)
