"""The names of downloaded files."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tools.query.file_names import colliding, file_path, safe_part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import PurePosixPath


def folded(path: object) -> str:
    """The path as a file system compares it that ignores case and the composition of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())


def listing(names: Collection[str], folder: str) -> set[str]:
    """What a listing by the delimiter `/` returns for a folder, without the folder."""
    below = [name.removeprefix(folder) for name in names if name.startswith(folder)]
    return {f"{name.partition('/')[0]}/" if "/" in name else name for name in below}


def naming(names: Collection[str], *, known: bool = True) -> Callable[[str], PurePosixPath]:
    """Names each blob as one run does for a container of these blobs."""
    return lambda name: file_path(name, lambda folder: colliding(listing(names, folder)) if known else None)


def without_hash(path: PurePosixPath) -> str:
    return re.sub("~[0-9a-f]{12}", "~", str(path))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("site a/cat.jpg", "site a/cat.jpg"),
        ("Site A/IMG_1.JPG", "Site A/IMG_1.JPG"),
        ("why?.jpg", "why%3F.jpg"),
        ("100%.jpg", "100%.jpg"),
        ("a%20b.jpg", "a%2520b.jpg"),
        ("../x.jpg", "%2E%2E/x.jpg"),
        ("/etc/passwd", "%2F/etc/passwd"),
        ("C:\\x.jpg", "C%3A%5Cx.jpg"),
        ("nul", "%6Eul"),
        ("Com1.tar.gz", "%43om1.tar.gz"),
        ("dots...", "dots%2E%2E%2E"),
        ("a//b.jpg", "a/%2F/b.jpg"),
        ("end ", "end%20"),
        ("lab/a.jpg/b.jpg", "lab/a.jpg/b.jpg"),
        (".partial/x.jpg", ".partial~/x.jpg"),
        (".PARTIAL/x.jpg", ".PARTIAL~/x.jpg"),
        ("caf\u00e9.jpg", "caf\u00e9.jpg"),
        ("cafe\u0301.jpg", "cafe\u0301.jpg"),
        ("A~c88c8fcaab74.jpg", "A~~.jpg"),
    ],
)
def test_only_names_that_a_system_would_refuse_are_changed(name: str, path: str) -> None:
    others = ["other.jpg", f"{name.rpartition('/')[0]}/other.jpg"]
    assert without_hash(naming([name, *others])(name)) == path


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["a.jpg", "A.JPG", "b.jpg"], ["a~.jpg", "A~.JPG", "b.jpg"]),
        (["lab", "lab/x.jpg", "lab/X.png"], ["lab~", "lab~/x.jpg", "lab~/X.png"]),
        (["Lab/x.jpg", "lab/x.jpg", "Lab/y.jpg"], ["Lab~/x.jpg", "lab~/x.jpg", "Lab~/y.jpg"]),
        (["a/x.jpg", "b/X.jpg"], ["a/x.jpg", "b/X.jpg"]),
        (["a//x.jpg", "a/"], ["a/%2F~/x.jpg", "a/%2F~"]),
        (["con", "CON"], ["%63on", "%43ON"]),
    ],
)
def test_each_of_two_names_that_collide_is_marked(names: list[str], paths: list[str]) -> None:
    assert [without_hash(naming(names)(name)) for name in names] == paths


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("site 3/2026.05.01/a.jpg", "site 3/2026.05.01/a.jpg"),
        ("IMG_1.JPG", "IMG_1~.JPG"),
        ("Site 3/a.jpg", "Site 3~/a.jpg"),
        ("a.jpg/b.jpg", "a~.jpg/b.jpg"),
        ("lab/a", "lab/a~"),
        ("cafe\u0301.jpg", "caf\u00e9~.jpg"),
    ],
)
def test_every_name_that_might_collide_is_marked_where_the_others_are_unknown(name: str, path: str) -> None:
    assert without_hash(naming([name], known=False)(name)) == path


def test_a_long_part_keeps_its_extension() -> None:
    part = safe_part("\u661f" * 400 + ".jpeg")
    assert len(part.encode()) <= 255
    assert part.endswith(".jpeg")
    assert part != safe_part("\u661f" * 401 + ".jpeg")


blob_names = st.text(
    st.sampled_from("aA\u00e9e\u0301./\\% :C~") | st.characters(codec="utf-8"), min_size=1, max_size=20
)


@settings(max_examples=40)
@given(
    names=st.lists(blob_names, min_size=1, max_size=8, unique=True),
    runs=st.lists(st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=8), max_size=5),
    unknown=st.sets(st.sampled_from(["", "a/", "A/"])),
)
@example(names=["a.jpg", "A.JPG", "a.JPG"], runs=[[(1, True)], [(0, False), (2, True)]], unknown=set())
@example(names=["a.jpg", "A.jpg", "A~c88c8fcaab74.jpg"], runs=[[(2, True)], [(0, True)]], unknown=set())
@example(names=["a.jpg", "a.jpg/b.jpg", "A.jpg/b.jpg"], runs=[[(2, True)], [(0, True), (1, True)]], unknown={""})
@example(names=["caf\u00e9", "cafe\u0301", "CAF\u00c9/b"], runs=[[(1, True)], [(2, True)]], unknown=set())
@example(names=["a", "a/b", "A/b", "a/b/c", "a/B"], runs=[[(3, False)], [(1, True)], [(4, True)]], unknown={"a/"})
@example(names=[".partial/x", ".Partial", "nul", "NUL", "nul."], runs=[], unknown=set())
@example(names=["x" * 255 + ".jpg", "X" * 255 + ".jpg", "\u0958" * 340], runs=[[(1, True)]], unknown={""})
def test_each_blob_has_one_file_of_its_own_on_every_system(
    names: list[str], runs: list[list[tuple[int, bool]]], unknown: set[str]
) -> None:
    """Each run asks for some blobs in some order, and may be killed before it has written a file."""

    def path_of(name: str) -> PurePosixPath:
        return file_path(name, lambda folder: None if folder in unknown else colliding(listing(names, folder)))

    everything = [(number, True) for number in range(len(names))]
    alone = {name: path_of(name) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for run in [*runs, everything]:
            for number, is_written in run:
                name = names[number % len(names)]
                path = Path(folder) / path_of(name)
                if is_written:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(name, encoding="utf-8", newline="")
        written = {path.relative_to(folder): path for path in Path(folder).rglob("*") if path.is_file()}
        contents = {path.read_bytes().decode(): place for place, path in written.items()}
    assert contents == {name: Path(path) for name, path in alone.items()}
    paths = [folded(path) for path in alone.values()]
    assert len(set(paths)) == len(names)
    for each in alone.values():
        assert not each.is_absolute()
        assert not {".", ".."} & set(each.parts)
        assert folded(each.parts[0]) != ".partial"
        assert not any(other.startswith(f"{folded(each)}/") for other in paths)
        assert all(len(part.encode()) <= 255 and part.rstrip(". ") == part for part in each.parts)
        assert not set(str(each)) & set('<>:"|?*\\')


@given(st.lists(st.text("aAbB\u00e9\u00c9", min_size=1, max_size=3), min_size=1, max_size=8, unique=True))
def test_a_name_is_plain_unless_another_one_collides(names: list[str]) -> None:
    times = Counter(map(folded, names))
    for name in names:
        assert (str(naming(names)(name)) == name) == (times[folded(name)] == 1)
