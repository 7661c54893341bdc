"""Two lists are compared in constant memory, and every difference is found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage.reconcile.bucket_hashes import BucketHashes

entries = st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=50)


def hashes_of(items: dict[str, str]) -> BucketHashes:
    hashes = BucketHashes()
    for key, value in items.items():
        hashes.add(key, value)
    return hashes


@given(entries, entries)
def test_every_key_that_differs_is_found(one: dict[str, str], other: dict[str, str]) -> None:
    differing = hashes_of(one).diff(hashes_of(other))
    for key in one.keys() | other.keys():
        if one.get(key) != other.get(key):
            assert key in differing
    assert bool(differing) == (one != other)


def test_order_does_not_matter_and_few_other_keys_are_selected() -> None:
    names = [f"{number:06}.jpg" for number in range(100_000)]
    forwards, backwards = BucketHashes(), BucketHashes()
    for name in names:
        forwards.add(name, "same")
    for name in reversed(names):
        backwards.add(name, "same")
    assert not forwards.diff(backwards)
    backwards.add("extra.jpg")
    differing = forwards.diff(backwards)
    assert "extra.jpg" in differing
    assert sum(name in differing for name in names) < 50
