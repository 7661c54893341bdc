"""The written form of the scores of all labels, in the sidecar.

It is ``{"encoding": "f16le+base64", "count": N, "data": "..."}``. ``inference.scores.unpack_scores`` turns the bytes
into an array.
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from typing import Any

ENCODING = "f16le+base64"
MAX_SCORES = 300_000
"""More are not written: these take 800,000 bytes of the mebibyte that a sidecar has at most."""

_SCORE_BYTES = 2
_ONE = 0x3C00  # 1.0 as float16. As whole numbers, the float16 from 0.0 to 1.0 are the smallest, in their order.


def to_json(scores: bytes | None) -> dict[str, Any] | None:
    """Return the written form of float16 scores, or ``None`` where there are none or more than ``MAX_SCORES``."""
    count = len(scores or b"") // _SCORE_BYTES
    if not scores or count > MAX_SCORES:
        return None
    return {"encoding": ENCODING, "count": count, "data": b64encode(scores).decode()}


def from_json(written: Any) -> bytes | None:
    """Return the float16 scores, or ``None`` for anything that ``to_json`` does not write: this never raises.

    A sidecar may come from anywhere, and its scores are an addition: without them the rest is still read.
    """
    if not isinstance(written, dict) or written.get("encoding") != ENCODING:
        return None
    count, data = written.get("count"), written.get("data")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count <= MAX_SCORES:
        return None
    try:
        scores = b64decode(data, validate=True) if isinstance(data, str) else b""
    except ValueError:
        return None
    if len(scores) != count * _SCORE_BYTES:
        return None
    numbers = array("H", scores)
    if sys.byteorder == "big":
        numbers.byteswap()
    return scores if max(numbers) <= _ONE else None  # NaN, infinity and negative numbers are larger
