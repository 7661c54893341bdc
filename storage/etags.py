"""ETags as text. Headers and events quote them, listings do not; rows and sidecars keep them without quotes."""

from __future__ import annotations


def bare_etag(etag: str) -> str:
    """An ETag without its quotes."""
    return etag.strip('"')


def quoted_etag(etag: str) -> str:
    """An ETag in its quotes, as a conditional header takes it."""
    return f'"{bare_etag(etag)}"'


def same_etag(one: str | None, other: str | None) -> bool:
    """Whether two ETags name the same content, quoted or not; ``None`` is the same as nothing."""
    return one is not None and other is not None and bare_etag(one) == bare_etag(other)
