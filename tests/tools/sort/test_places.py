"""Places of copies: inside their label's folder for any label, and one for each image."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from azure.storage.blob import BlobClient
from hypothesis import given
from hypothesis import strategies as st

from storage.results.record import Image
from tests.storage.samples import AWKWARD_NAMES
from tools.sort.places import folder_of, place_of

HOSTILE = ("..", ".", "", "a/b", "../x", "/", "fox.", "fox ", "con", "a\\b", "%2E%2E", "\u202egpj", "x" * 2000)
LABELS = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
NAMES = st.one_of(
    st.sampled_from(
        [*AWKWARD_NAMES.values(), "a/../b.jpg", "../../other/x.jpg", "./x", "y" * 1024, "\U0001f431" * 512]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40),
)


def url_of(place: str) -> str:
    return str(BlobClient("https://account.blob.core.windows.net", "sorted", place).url)


@given(LABELS, NAMES)
def test_a_copy_lies_in_the_folder_of_its_label_as_a_url_resolves_it(label: str, name: str) -> None:
    place = place_of(Image("incoming", name), label)
    if place is None:
        assert {".", ".."} & set(name.split("/"))
        return
    folder, _, rest = place.partition("/")
    assert folder == folder_of(label)
    assert folder not in ("", ".", "..")
    assert rest
    assert len(place.encode("utf-16-le")) // 2 <= 1024
    resolved = urlsplit(urljoin(url_of(place), urlsplit(url_of(place)).path)).path  # removes dot segments
    assert resolved.startswith(urlsplit(url_of(folder)).path + "/")


@given(LABELS, st.lists(NAMES, unique=True, max_size=6))
def test_no_two_images_share_a_place(label: str, names: list[str]) -> None:
    places = [place for name in names if (place := place_of(Image("incoming", name), label)) is not None]
    assert len(set(places)) == len(places)


def test_plain_names_stay() -> None:
    assert place_of(Image("incoming", "site a/1.jpg"), "red fox") == "red fox/site a/1.jpg"
