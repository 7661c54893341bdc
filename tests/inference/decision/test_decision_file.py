"""``decision.json`` is read as its schema says, and each mistake is refused with one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.decision.decision_file import KEYS, read_decision
from inference.decision.rules import load_rules
from inference.errors import ModelError, ModelFileError

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "decision.schema.json").read_text(encoding="utf-8")
)
VALID = jsonschema.Draft202012Validator(SCHEMA)
LABELS = ("fox", "dog", "cat", "tomcat", "lynx")
EXAMPLE: dict[str, Any] = {
    "$schema": "decision.schema.json",
    "min_score": 0.5,
    "labels": {"fox": {"min_score": 0.83}, "tomcat": {"as": "cat"}, "canid": {"min_score": 0.7}},
    "allow": {"": ["fox", "cat", "dog"], "site-a/": ["lynx"], "closed/": []},
    "parents": {"fox": "canid", "dog": "canid", "canid": "mammal", "cat": "mammal"},
}


def written(folder: Path, content: object) -> Path:
    path = folder / "decision.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refusal(folder: Path, content: object) -> str:
    with pytest.raises(ModelError) as caught:
        load_rules(written(folder, content), LABELS, one_is_true=True)
    sentence = str(caught.value)
    assert sentence.startswith(str(folder / "decision.json"))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def version(folder: Path, content: object) -> str:
    return read_decision(written(folder, content)).version


def test_the_schema_has_the_keys_of_the_reader() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == KEYS[""]
    assert set(SCHEMA["properties"]["labels"]["additionalProperties"]["properties"]) == KEYS["labels"]


@pytest.mark.parametrize("content", [{}, EXAMPLE, {"labels": {"fox": {}}}, {"min_score": 1}], ids=str)
def test_reader_and_schema_accept(tmp_path: Path, content: dict[str, Any]) -> None:
    VALID.validate(content)
    assert read_decision(written(tmp_path, content))


REFUSED_BY_BOTH: dict[str, tuple[object, str]] = {
    "an unknown key": ({"min_scores": 0.5}, "'min_scores' is unknown; did you mean 'min_score'"),
    "an unknown key of a label": ({"labels": {"fox": {"minscore": 0.5}}}, "'minscore' at 'fox'"),
    "a list": ([], "object"),
    "a score above 1": ({"min_score": 50}, "from 0 to 1"),
    "a negative score": ({"labels": {"fox": {"min_score": -0.1}}}, "'fox' must be a number"),
    "a score as text": ({"min_score": "0.5"}, "number"),
    "a flag as score": ({"min_score": True}, "number"),
    "a huge number": ({"min_score": 10**400}, "number"),
    "null": ({"labels": None}, "object"),
    "a label that is a number": ({"labels": {"fox": 0.5}}, "must be an object"),
    "allow is a list": ({"allow": ["fox"]}, "object"),
    "allowed labels as text": ({"allow": {"": "fox"}}, "list"),
    "an allowed label that is a number": ({"allow": {"": [1]}}, "holds 1"),
    "an empty new name": ({"labels": {"fox": {"as": " "}}}, "name of 1 to 512"),
    "a long new name": ({"labels": {"fox": {"as": "f" * 513}}}, "name of 1 to 512"),
    "a parent that is a list": ({"parents": {"fox": ["canid"]}}, "the parent of 'fox'"),
}


@pytest.mark.parametrize(("content", "part"), REFUSED_BY_BOTH.values(), ids=REFUSED_BY_BOTH)
def test_reader_and_schema_refuse(tmp_path: Path, content: object, part: str) -> None:
    assert not VALID.is_valid(content)
    assert part in refusal(tmp_path, content)


REFUSED: dict[str, tuple[object, str]] = {
    "a cut file": ('{"min_score": 0.5', "not valid JSON"),
    "NaN": ('{"min_score": NaN}', "number"),
    "infinity": ('{"labels": {"fox": {"min_score": Infinity}}}', "number"),
    "a key twice": ('{"labels": {"fox": {}, "fox": {"min_score": 0.9}}}', "'fox' stands twice"),
    "deep brackets": ('{"labels":' * 100_000, "nested too deep"),
    "a lone surrogate": ('{"labels": {"fox": {"as": "\\ud800"}}}', "printable"),
    "a new name with a line end": ({"labels": {"fox": {"as": "a\nb"}}}, "printable"),
    "a misspelt label": ({"labels": {"foks": {"min_score": 0.5}}}, "'foks', which is no label"),
    "a misspelt label, with a near one": ({"labels": {"tomcatt": {"as": "cat"}}}, "did you mean 'tomcat'"),
    "a misspelt allowed label": ({"allow": {"site-a/": ["linx"]}}, "\"allow\" at 'site-a/' names 'linx'"),
    "a misspelt child": ({"parents": {"foxx": "canid"}}, "did you mean 'fox'"),
    "an allowed label that was renamed": (
        {"labels": {"tomcat": {"as": "cat"}}, "allow": {"": ["tomcat"]}},
        "write 'cat' there",
    ),
    "a child that was renamed": (
        {"labels": {"tomcat": {"as": "cat"}}, "parents": {"tomcat": "felid"}},
        "write 'cat' there",
    ),
    "a parent that was renamed": (
        {"labels": {"cat": {"as": "felis"}}, "parents": {"lynx": "cat"}},
        "write 'felis' there",
    ),
    "an allowed parent": ({"allow": {"": ["canid"]}, "parents": {"fox": "canid"}}, "'canid', which is no label"),
    "a score beside a new name": ({"labels": {"tomcat": {"as": "cat", "min_score": 0.5}}}, "at 'cat'"),
    "a chain of new names": ({"labels": {"tomcat": {"as": "cat"}, "cat": {"as": "felid"}}}, '"as": "felid"'),
    "a parent of itself": ({"parents": {"fox": "fox"}}, "'fox' -> 'fox'"),
    "a circle": (
        {"parents": {"dog": "canid", "canid": "mammal", "mammal": "animal", "animal": "canid"}},
        "'canid' -> 'mammal' -> 'animal' -> 'canid'",
    ),
    "a large circle": ({"parents": {"fox": "0"} | {str(n): str((n + 1) % 50_000) for n in range(50_000)}}, "circle"),
}


@pytest.mark.parametrize(("content", "part"), REFUSED.values(), ids=REFUSED)
def test_the_reader_refuses(tmp_path: Path, content: object, part: str) -> None:
    sentence = refusal(tmp_path, content)
    assert part in sentence
    assert len(sentence) < 600 + len(str(tmp_path))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "decision.json").open("wb") as opened:
        opened.truncate(33 * 1024 * 1024)
    with pytest.raises(ModelError, match="32 MiB"):
        read_decision(tmp_path / "decision.json")


def test_the_file_must_exist(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(ModelFileError, match="does not exist"):
            load_rules(path, LABELS, one_is_true=True)


def test_the_version_depends_on_the_rules_alone(tmp_path: Path) -> None:
    before = version(tmp_path, EXAMPLE)
    backwards = {key: EXAMPLE[key] for key in reversed(EXAMPLE) if key != "$schema"}
    backwards["allow"] = {key: value[::-1] for key, value in EXAMPLE["allow"].items()}
    assert version(tmp_path, json.dumps(backwards, indent=7)) == before
    others = [{}, *({key: value for key, value in EXAMPLE.items() if key != left_out} for left_out in EXAMPLE)]
    versions = [version(tmp_path, other) for other in others if other.keys() | {"$schema"} != EXAMPLE.keys()]
    assert len({before, *versions}) == len(versions) + 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(["fox", "as", "min_score", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["fox", "cat", "min_score", "as", "labels", "allow", "parents"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(["labels", "allow", "parents"], _JSON)))
def test_any_json_is_read_or_refused(tmp_path: Path, content: object) -> None:
    """What the schema refuses is refused; what the reader accepts, the schema accepts."""
    path = written(tmp_path, content)
    try:
        read_decision(path)
    except ModelError:
        return
    VALID.validate(json.loads(path.read_text()))
