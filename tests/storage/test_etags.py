"""Quotes do not count in an ETag."""

from __future__ import annotations

from storage.etags import bare_etag, quoted_etag, same_etag


def test_quoted_and_bare_etags_name_the_same_content() -> None:
    assert same_etag('"0x1"', "0x1")
    assert not same_etag("0x1", "0x2")


def test_a_missing_etag_equals_nothing() -> None:
    assert not same_etag(None, None)


def test_quotes_are_removed_and_added_once() -> None:
    assert bare_etag('"0x1"') == bare_etag("0x1") == "0x1"
    assert quoted_etag('"0x1"') == quoted_etag("0x1") == '"0x1"'
