"""Names files that hold no picture: web pages, data and placeholders with a picture's file name, and XML drawings."""

from __future__ import annotations

import re

from inference.decoding.formats.refusals import not_an_image, unsupported
from inference.errors import PermanentError, Reason

_SIGNATURES = (
    (b"\x00\x05\x16\x07", "the AppleDouble file (._) that macOS writes beside a file, not the file itself"),
    (b"\x00\x05\x16\x00", "an AppleSingle file of macOS"),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer: the file itself was not fetched"),
    (b"version https://hawser.github.com/spec/", "a Git LFS pointer: the file itself was not fetched"),
)
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# What may stand before the root element of XML.
_PROLOG = rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!doctype\s+(?!html)[^>\[]*(?:\[.*?\]\s*)?>)*"
_PATTERNS = (
    (rb"<!doctype\s+html|<html[\s>]|<(head|body|title|meta|script|div|center|h1|p)[\s>]", "a web page (HTML)"),
    (rb"<\?xml|<!--|<!doctype|<[a-z_][\w.:-]*[\s/>]", "an XML document"),
    (rb'\{\s*("|\})|\[\s*["{\[\]\d-]', "a JSON document"),
    (rb"data:image/[\w.+-]+;base64,", "a picture as base64 text; only the picture's own bytes are decoded"),
    (rb"(?=[^\r\n]{40})[A-Za-z0-9+/\r\n_-]+={0,2}\s*\Z", "base64 text; only the picture's own bytes are decoded"),
)
_CONTROLS = bytes([*range(9), *range(14, 27), *range(28, 32)])


def refuse_no_image(content: bytes, head: bytes) -> PermanentError:
    """Return the refusal of content that is no known image format.

    Args:
        content: The whole file.
        head: Its first bytes, which are searched.
    """
    if not content.strip(b"\0"):
        detail = f"The file's {len(content):,} bytes are all zero: it was never written, or its disk lost it."
        return PermanentError(Reason.NOT_AN_IMAGE, detail)
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return not_an_image(name)
    text = _as_utf8(head)
    prolog = re.match(rb"(?si)" + _PROLOG, text)
    root = text[prolog.end() :] if prolog else text
    if re.match(rb"(?i)<(\w+:)?svg[\s>]", root):
        return unsupported("an SVG drawing")
    for pattern, name in _PATTERNS:
        if re.match(rb"(?si)" + pattern, root) or re.match(rb"(?si)\s*" + pattern, text):
            return not_an_image(name)
    if not text.translate(None, bytes(set(range(256)) - set(_CONTROLS))):
        return not_an_image("text")
    detail = f"The file's {len(content):,} bytes do not start like any known image format."
    return PermanentError(Reason.NOT_AN_IMAGE, detail)


def _as_utf8(head: bytes) -> bytes:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "ignore").encode()
    return head
