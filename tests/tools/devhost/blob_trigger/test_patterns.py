from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.errors import ConfigurationError
from tools.devhost.blob_trigger.patterns import PathPattern

# What a blob may be called: anything but a line break, which no capture takes (nor does the real host's).
blob_names = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1, max_size=40)
literals = st.text(st.characters(exclude_characters="\n\r{}", exclude_categories=["Cs"]), min_size=1, max_size=10)


@given(blob_names)
@example("a/b/c.jpg")
@example("%2F {x} (y)* [z]+.?$^|\\")
def test_one_capture_takes_the_whole_name_unchanged(name: str) -> None:
    assert PathPattern.parse("incoming/{name}").match("incoming", name) == {"name": name}


@given(blob_names)
def test_a_container_alone_takes_every_blob_and_captures_nothing(name: str) -> None:
    assert PathPattern.parse("incoming").match("incoming", name) == {}


@given(literals, blob_names)
@example("a.b", "axb")
def test_a_path_without_captures_takes_exactly_that_blob(path: str, name: str) -> None:
    pattern = PathPattern.parse(f"incoming/{path}")
    assert pattern.match("incoming", path) == {}
    assert (pattern.match("incoming", name) is not None) == (name == path)


@given(before=literals, name=blob_names, after=literals)
def test_literals_around_a_capture_must_stand_at_both_ends(before: str, name: str, after: str) -> None:
    pattern = PathPattern.parse(f"incoming/{before}{{name}}{after}")
    assert pattern.match("incoming", f"{before}{name}{after}") == {"name": name}
    assert pattern.match("incoming", f"{before}{name}") is None or f"{before}{name}".endswith(after)


@given(blob_names)
def test_base_and_extension_part_at_the_last_dot(name: str) -> None:
    found = PathPattern.parse("incoming/{base}.{ext}").match("incoming", name)
    base, dot, ext = name.rpartition(".")
    assert found == ({"base": base, "ext": ext} if dot else None)


@pytest.mark.parametrize(
    ("path", "container", "blob", "captured"),
    [
        ("incoming/{name}.jpg", "incoming", "a.JPG", None),
        ("incoming/{name}.jpg", "incoming", "a.jpg", {"name": "a"}),
        ("incoming/{a}{b}", "incoming", "xyz", {"a": "xyz", "b": ""}),
        ("incoming/{{{name}}}", "incoming", "{x}", {"name": "x"}),
        ("incoming/photos/{name}", "incoming", "other/x", None),
        ("incoming/{name}", "incoming-old", "x", None),
        ("incoming", "INCOMING", "x", {}),
        ("incoming/{name}", "INCOMING", "x", None),
    ],
    ids=[
        "extension-case-counts",
        "extension",
        "first-capture-takes-all",
        "doubled-braces-are-literal",
        "folder",
        "container-is-no-prefix",
        "plain-container-ignores-case",
        "captured-container-does-not",
    ],
)
def test_corner_cases(path: str, container: str, blob: str, captured: dict[str, str] | None) -> None:
    assert PathPattern.parse(path).match(container, blob) == captured


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/x",
        "in{x}/y",
        "in\\x/y",
        "in/",
        "in/{",
        "in/}",
        "in/{}",
        "in/{a.b}",
        "in/{rand-guid}",
        "in/{1a}",
        "in/{ a}",
    ],
)
def test_what_the_real_host_would_not_index_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError):
        PathPattern.parse(path)
