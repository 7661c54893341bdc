"""Table keys: legal, bounded, reversible and unique for every name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import keys
from tests.storage.samples import AWKWARD_NAMES

# Text as a blob name may hold it: anything but lone surrogates, which no URL can carry.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
hostile = st.text(
    st.sampled_from("/\\#?%|='+ .a\u00e9e\u0301\x00\x1f\x7f\x9f\U0001f431\ud7ff\ue000\uffff"), max_size=1024
)
blob_names = st.one_of(texts, hostile, st.sampled_from(list(AWKWARD_NAMES.values()))).filter(bool)
times = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001

_CUT = re.compile(r"==[0-9a-f]{64}$")
_FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f%']")


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def assert_legal(key: str) -> None:
    assert not _FORBIDDEN.search(key)
    assert units(key) <= 512
    key.encode()  # a cut in the middle of a surrogate pair would raise here


@given(blob_names)
def test_keys_of_any_name_are_legal_and_bounded(blob_name: str) -> None:
    for key in keys.image_keys("incoming", blob_name):
        assert_legal(key)
    assert_legal(keys.index_partition("label", blob_name, datetime(2026, 1, 1, tzinfo=UTC)))
    assert_legal(keys.index_row_key("incoming", blob_name, datetime(2026, 1, 1, tzinfo=UTC)))


def decode(key: str) -> str:
    """Undo the encoding of a key that was not cut."""
    parts = (re.sub("(?:=[0-9A-F]{2})+", lambda match: _from_hex(match[0]), part) for part in key.split("|"))
    return "/".join(parts)


def _from_hex(escapes: str) -> str:
    return bytes.fromhex(escapes.replace("=", "")).decode()


@given(blob_names)
def test_a_key_that_is_not_cut_decodes_to_the_name(blob_name: str) -> None:
    address = keys.image_keys("incoming", blob_name)
    if not any(_CUT.search(key) for key in address):
        assert f"{decode(address.partition_key)}/{decode(address.row_key)}" == f"incoming/{blob_name}"
    else:
        assert units(keys.encode_path(f"incoming/{blob_name}")) >= 512


@given(blob_names, blob_names)
def test_two_names_never_share_a_row_an_index_row_or_a_sidecar(one: str, other: str) -> None:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    same = one == other
    assert (keys.image_keys("incoming", one) == keys.image_keys("incoming", other)) is same
    assert (keys.index_row_key("c", one, time) == keys.index_row_key("c", other, time)) is same
    assert (keys.sidecar_name(one) == keys.sidecar_name(other)) is same


@pytest.mark.parametrize(
    "stem", ["a", "#", "\U0001f431", "\u00e9", "/"], ids=["ascii", "escaped", "emoji", "accent", "slash"]
)
def test_names_of_full_length_that_differ_in_the_last_character_stay_apart(stem: str) -> None:
    body = (stem * 1024)[:1020]
    seen = {keys.image_keys("incoming", body + end) for end in ("xyz1", "xyz2")}
    assert len(seen) == 2
    for address in seen:
        for key in address:
            assert_legal(key)


@pytest.mark.parametrize("odd", range(4))
def test_a_cut_never_splits_a_surrogate_pair(odd: int) -> None:
    assert_legal(keys.image_keys("incoming", "a" * odd + "\U0001f431" * 500).row_key)


def test_composed_and_decomposed_accents_are_two_images() -> None:
    assert keys.image_keys("c", "caf\u00e9.jpg") != keys.image_keys("c", "cafe\u0301.jpg")


def test_a_name_that_looks_like_a_cut_key_is_not_one() -> None:
    name = "x" + "==" + "0" * 64
    assert not _CUT.search(keys.image_keys("c", name).row_key)
    assert decode(keys.image_keys("c", name).row_key) == name


@pytest.mark.parametrize(
    ("blob_name", "folder", "file_name"),
    [
        ("cat.jpg", "incoming", "cat.jpg"),
        ("a/b/cat.jpg", "incoming|a|b", "cat.jpg"),
        ("a//cat.jpg", "incoming|a|", "cat.jpg"),
        ("/cat.jpg", "incoming|", "cat.jpg"),
        ("a/", "incoming|a", ""),
        ("50% off?.jpg", "incoming", "50=25 off=3F.jpg"),
    ],
)
def test_keys_can_be_read_in_a_table_browser(blob_name: str, folder: str, file_name: str) -> None:
    assert keys.image_keys("incoming", blob_name) == (folder, file_name)


@given(blob_names)
def test_a_sidecar_name_fits_and_ends_in_json(blob_name: str) -> None:
    name = keys.sidecar_name(blob_name[:1024])
    assert name.endswith(".json")
    assert units(name) <= 1024


def test_a_short_name_keeps_its_name_in_the_sidecar() -> None:
    assert keys.sidecar_name("a/b/cat.jpg") == "a/b/cat.jpg.json"


def test_no_name_has_the_sidecar_of_a_long_name() -> None:
    long_name = "n" * 1024
    imitation = keys.sidecar_name(long_name).removesuffix(".json")
    assert keys.sidecar_name(imitation) != keys.sidecar_name(long_name)


@given(times, times)
def test_index_keys_sort_the_newest_first(one: datetime, other: datetime) -> None:
    assert (keys.index_row_key("c", "a", one) < keys.index_row_key("c", "a", other)) is (one > other)
    days = (one.date() > other.date(), keys.inverted_day(one) < keys.inverted_day(other))
    assert days[0] is days[1]


def test_microseconds_apart_is_apart() -> None:
    time = datetime(9000, 1, 1, 0, 0, 0, 999_999, UTC)
    later = time + timedelta(microseconds=1)
    assert int(keys.inverted_time(time)) - int(keys.inverted_time(later)) == 1


def test_a_day_is_the_utc_day_in_every_zone() -> None:
    time = datetime(2026, 1, 1, 2, 0, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert keys.inverted_day(time) == keys.inverted_day(time.astimezone(UTC)) == "79748768"


@given(texts, texts, times)
def test_one_labels_rows_are_one_key_range_that_no_other_label_enters(one: str, other: str, time: datetime) -> None:
    lowest = keys.index_prefix("label", one)
    highest = lowest[:-1] + "}"
    key = keys.index_partition("label", other, time)
    assert (lowest <= key < highest) is (one == other)
