"""YAML as text: no types, no objects, no depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from inference.errors import ModelError
from inference.model.exporters.yaml_file import parse_yaml, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

# Nine levels of ten aliases each: ten thousand million nodes for a program that follows them.
BOMB = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 11))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: [no, 0x1F, 2020-01-01, ~, 1e3]", {"a": ["no", "0x1F", "2020-01-01", "~", "1e3"]}),
        ("- A:\n- B: {c: 1}  # comment", [{"A": ""}, {"B": {"c": "1"}}]),
        ("a: &x [1, 2]\nb: *x\nc: &y z\nd: *y", {"a": ["1", "2"], "b": ["1", "2"], "c": "z", "d": "z"}),
        ("!!python/object/apply:os.system [exit]", ["exit"]),
        ("a\n--- b", "a"),
        ("", None),
    ],
)
def test_reads(text: str, value: Any) -> None:
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 200_000, "nested deeper than 32"),
        ("\n".join(f"{' ' * depth}a:" for depth in range(2000)), "nested deeper than 32"),
        ("&a [*a]", "not defined before"),
        ("a: *b", "not defined before"),
        (BOMB, "more than 1,000,000 nodes"),
        ("a: 1\na: 2", "the key 'a' twice"),
        ("? [a]\n: b", "a key that is no text"),
        ("a: [1", "not valid YAML: .* in line"),
        ("\x00", "not valid YAML"),
    ],
    ids=["flow", "block", "itself", "nothing", "aliases", "twice", "a list as key", "cut short", "zero byte"],
)
def test_refuses(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_yaml(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with pytest.raises(ModelError, match=r"a\.yaml cannot be read"):
        read_yaml(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match=r"a\.yaml is not valid YAML in UTF-8"):
        read_yaml(path)
    path.write_text("[")
    with pytest.raises(ModelError, match=r"a\.yaml is not valid YAML"):
        read_yaml(path)
    with path.open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    with pytest.raises(ModelError, match="more than 16,777,216 bytes"):
        read_yaml(path)
