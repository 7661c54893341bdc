"""The refusals that several formats share, so that the same fault always reads the same."""

from __future__ import annotations

from inference.errors import PermanentError, Reason


def truncated(content: bytes, why: str) -> PermanentError:
    """Return the refusal of a file that ends before it should."""
    return PermanentError(Reason.TRUNCATED, f"The file ends too early, after {len(content):,} bytes: {why}.")


def corrupt(why: str) -> PermanentError:
    """Return the refusal of a file that contradicts itself."""
    return PermanentError(Reason.CORRUPT, f"The file is damaged: {why}.")


def unsupported(what: str) -> PermanentError:
    """Return the refusal of a known kind of file that is not decoded."""
    return PermanentError(Reason.UNSUPPORTED_FORMAT, f"The content is {what}, which is not supported.")


def chunk_name(kind: bytes) -> str:
    """Return the name of a chunk or box for a sentence; its four bytes may be anything."""
    kind = kind.rstrip(b" ")
    return kind.decode("ascii", "replace") if kind.isalnum() else "nameless"


def not_an_image(what: str) -> PermanentError:
    """Return the refusal of a file that is no picture at all."""
    return PermanentError(Reason.NOT_AN_IMAGE, f"The content is {what}.")
