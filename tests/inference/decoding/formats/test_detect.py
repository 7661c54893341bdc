"""The refusal of a file names its true content."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from inference.decoding.formats.detect import detect_format
from inference.errors import PermanentError, Reason

LOGIN = b"<html><head><title>Sign in</title></head><body><svg width='8'><path/></svg><form></form></body></html>"
TGA_HEADS = {
    kind: struct.pack("<BBBHHBHHHHBB", 0, kind in {1, 9}, kind, 0, size, 24 if size else 0, 0, 0, 64, 48, depth, flags)
    for kind, size, depth, flags in (
        (1, 256, 8, 0),
        (2, 0, 24, 0),
        (2, 0, 32, 0x28),
        (3, 0, 8, 0),
        (9, 256, 8, 0),
        (10, 0, 24, 0x20),
    )
}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (LOGIN, "a web page"),
        (b"<!DOCTYPE html>\n" + LOGIN, "a web page"),
        (b"<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>" + LOGIN, "a web page"),
        (b"\xef\xbb\xbf\r\n <!-- proxy --><!doctype html>" + LOGIN, "a web page"),
        (b"\xff\xfe" + LOGIN.decode().encode("utf-16-le"), "a web page"),
        (b"<?xml version='1.0'?><!DOCTYPE html PUBLIC 'x'><html xmlns='y'><body><svg/></body></html>", "a web page"),
        (b"<head><title>502 Bad Gateway</title></head>", "a web page"),
        (b"<?xml version='1.0'?><Error><Code>BlobNotFound</Code></Error>", "an XML document"),
        (b"<Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b"<kml xmlns='x'><svg/></kml>", "an XML document"),
        (json.dumps({"error": "not found"}).encode(), "a JSON document"),
        (json.dumps([{"a": 1}], indent=2).encode(), "a JSON document"),
        (b"{}", "a JSON document"),
        (base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(300)), "base64 text"),
        (base64.encodebytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20), "base64 text"),
        (base64.urlsafe_b64encode(bytes(range(256))), "base64 text"),
        (b"data:image/jpeg;base64,/9j/4AAQ", "base64 text"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(80), "AppleDouble"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "Git LFS pointer"),
        (bytes(1), "all zero"),
        (bytes(40_000), "all zero"),
        (b"see the other folder", "text"),
        (b"\x80\x02 nothing known", "do not start like"),
    ],
)  # fmt: skip
def test_a_file_without_a_picture_is_named(content: bytes, name: str) -> None:
    with pytest.raises(PermanentError) as refusal:
        detect_format(content)
    assert refusal.value.reason is Reason.NOT_AN_IMAGE
    assert name in refusal.value.detail
    assert refusal.value.detail.endswith(".")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        *((head + bytes(64), "a TGA picture") for head in TGA_HEADS.values()),
        (struct.pack("<HHHBBBBHHII", 0, 2, 1, 32, 32, 0, 0, 5, 5, 40, 22) + bytes(40), "a Windows cursor"),
        (b"<?xml version='1.0'?>\n<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1' 'x'>\n<svg xmlns='y'/>", "an SVG drawing"),
        (b"<!-- a drawing --><svg:svg xmlns:svg='x'></svg:svg>", "an SVG drawing"),
        (b"\xff\xfe" + "<svg width='3'></svg>".encode("utf-16-le"), "an SVG drawing"),
        (struct.pack(">I4s4s4s4s", 20, b"ftyp", b"mif3", b"avif", b"mif3"), "mif3"),
        (struct.pack(">I4s4sI4s", 20, b"ftyp", b"avci", 0, b"mif1"), "H.264"),
        (b"\x00MRM" + struct.pack(">I4s", 500, b"\x00PRD"), "Minolta MRW"),
        (b"II\x1a\x00\x00\x00HEAPCCDR" + bytes(20), "Canon CRW"),
    ],
)  # fmt: skip
def test_a_format_that_is_not_supported_is_named(content: bytes, name: str) -> None:
    with pytest.raises(PermanentError) as refusal:
        detect_format(content)
    assert refusal.value.reason is Reason.UNSUPPORTED_FORMAT
    assert name in refusal.value.detail
