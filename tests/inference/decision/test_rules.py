"""Decisions agree with a second implementation, which follows the rules' text with sets and exact fractions."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference import classifier
from inference.decision.rules import Rules, load_rules
from inference.scores import pack_scores
from tests.inference.model.model_folders import MODEL_JSON, PIXELS_JSON, RED, folder, graph, png

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LABELS = ("fox", "dog", "cat", "tomcat", "lynx", "owl")
ROOTS = ("canid", "felid", "mammal", "animal")


def rules(folder: Path, content: dict[str, Any], *, one_is_true: bool = True) -> Rules:
    path = folder / "decision.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return load_rules(path, LABELS, one_is_true=one_is_true)


def expected(
    content: dict[str, Any], scores: Sequence[float], name: str, *, one_is_true: bool
) -> tuple[str, int | None, float]:
    """The second implementation: the five rules, one after the other."""
    labels = content.get("labels", {})
    exact = [Fraction(float(np.float16(score))) for score in scores]
    by_name: dict[str, list[Fraction]] = {}
    for label, score in zip(LABELS, exact, strict=True):
        by_name.setdefault(labels.get(label, {}).get("as", label), []).append(score)
    merged = {new: sum(each, Fraction()) if one_is_true else max(each) for new, each in by_name.items()}
    prefixes = [prefix for prefix in content.get("allow", {}) if name.startswith(prefix)]
    if prefixes:
        allowed = content["allow"][max(prefixes, key=len)]
        merged = {new: score for new, score in merged.items() if new in allowed}
    parents = content.get("parents", {})

    def lineage(node: str) -> list[str]:
        return [node, *lineage(parents[node])] if node in parents else [node]

    def reaches(node: str, score: Fraction) -> bool:
        return score >= Fraction(labels.get(node, {}).get("min_score", content.get("min_score", 0)))

    def answer(node: str, score: Fraction) -> tuple[str, int | None, float]:
        return node, LABELS.index(node) if node in LABELS else None, float(min(score, Fraction(1)))

    if not merged:
        return "unknown", None, 0.0
    best, best_score = min(merged.items(), key=lambda item: -item[1])
    if reaches(best, best_score):
        return answer(best, best_score)
    for ancestor in lineage(best)[1:]:
        total = sum((score for new, score in merged.items() if ancestor in lineage(new)), Fraction())
        if reaches(ancestor, total):
            return answer(ancestor, total)
    return "unknown", None, float(min(best_score, Fraction(1)))


@st.composite
def decisions(draw: st.DrawFn) -> dict[str, Any]:
    score = st.sampled_from([0, 0.1, 0.25, 0.5, 0.75, 1]) | st.floats(0, 1)
    renamed = draw(st.dictionaries(st.sampled_from(LABELS), st.sampled_from([*LABELS, "felis", "bird"]), max_size=4))
    renamed = {old: new for old, new in renamed.items() if new not in renamed or new == old}
    names = sorted({renamed.get(label, label) for label in LABELS})
    order = [*draw(st.permutations(names)), *ROOTS]  # a parent comes later, so there are no circles
    parents: dict[str, str] = {}
    for place, name in enumerate(order[:-1]):
        if name in names or name in parents.values():
            parent = draw(st.none() | st.sampled_from(order[place + 1 :]))
            parents |= {name: parent} if parent else {}
    nodes = sorted({*names, *parents.values()})
    thresholds = draw(st.dictionaries(st.sampled_from(nodes), score, max_size=5))
    labels: dict[str, dict[str, Any]] = {old: {"as": new} for old, new in renamed.items()}
    labels |= {name: {"min_score": least} for name, least in thresholds.items() if name not in labels}
    prefixes = st.sampled_from(["", "a", "a/", "a/b/", "é/"])
    allowed = st.lists(st.sampled_from(names), unique=True)
    content: dict[str, Any] = {
        "labels": labels, "parents": parents, "allow": draw(st.dictionaries(prefixes, allowed, max_size=3)),
    }  # fmt: skip
    return content | ({"min_score": draw(score)} if draw(st.booleans()) else {})


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=decisions(),
    scores=st.lists(st.sampled_from([0.0, 0.25, 1.0]) | st.floats(0, 1), min_size=len(LABELS), max_size=len(LABELS)),
    name=st.sampled_from(["x.jpg", "a/x.jpg", "a/b/x.jpg", "a", "é/x.jpg", "e\u0301/x.jpg"]),
    one_is_true=st.booleans(),
)
def test_a_decision_agrees_with_the_second_implementation(
    tmp_path: Path,
    content: dict[str, Any],
    scores: list[float],
    name: str,
    one_is_true: bool,  # noqa: FBT001 - drawn
) -> None:
    decided = rules(tmp_path, content, one_is_true=one_is_true).decide(pack_scores(np.array(scores)), name)
    assert decided == expected(content, scores, name, one_is_true=one_is_true)


EXAMPLES: dict[str, tuple[dict[str, Any], tuple[str, int | None, float]]] = {
    "no rules": ({}, ("fox", 0, 0.375)),
    "merged labels add up": ({"labels": {"tomcat": {"as": "cat"}}}, ("cat", 2, 0.4375)),
    "a new name": ({"labels": {"tomcat": {"as": "felis"}, "cat": {"as": "felis"}}}, ("felis", None, 0.4375)),
    "the longest prefix counts": ({"allow": {"": ["fox"], "a/": ["dog", "owl"]}}, ("dog", 1, 0.125)),
    "another prefix": ({"allow": {"b/": ["dog"]}}, ("fox", 0, 0.375)),
    "nothing is allowed": ({"allow": {"a/": []}}, ("unknown", None, 0.0)),
    "too low": ({"min_score": 0.5}, ("unknown", None, 0.375)),
    "a score that is just reached": ({"min_score": 0.375}, ("fox", 0, 0.375)),
    "its own threshold": ({"min_score": 0.9, "labels": {"fox": {"min_score": 0.3}}}, ("fox", 0, 0.375)),
    "rolled up": ({"min_score": 0.5, "parents": {"fox": "canid", "dog": "canid"}}, ("canid", None, 0.5)),
    "rolled up further": (
        {
            "min_score": 0.5,
            "labels": {"canid": {"min_score": 0.9}},
            "parents": {"fox": "canid", "canid": "mammal", "cat": "mammal"},
        },
        ("mammal", None, 0.625),
    ),
    "a parent that is a label": ({"min_score": 0.5, "parents": {"fox": "dog"}}, ("dog", 1, 0.5)),
    "rolled up without what is not allowed": (
        {"min_score": 0.4, "parents": {"fox": "canid", "dog": "canid"}, "allow": {"a/": ["fox", "cat"]}},
        ("unknown", None, 0.375),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "decision"), EXAMPLES.values(), ids=EXAMPLES)
def test_by_example(tmp_path: Path, content: dict[str, Any], decision: tuple[str, int | None, float]) -> None:
    scores = np.array([0.375, 0.125, 0.25, 0.1875, 0.0625, 0.0])
    assert rules(tmp_path, content).decide(pack_scores(scores), "a/x.jpg") == decision


def test_scores_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scores"):
        rules(tmp_path, {}).decide(b"\0\0", "x.jpg")


def test_a_long_line_of_ancestors_is_followed(tmp_path: Path) -> None:
    parents = {"fox": "0"} | {str(n): str(n + 1) for n in range(20_000)}
    content = {"min_score": 0.5, "parents": parents, "labels": {"20000": {"min_score": 0.3}}}
    scores = pack_scores(np.array([0.375, *[0.1] * 5]))
    assert rules(tmp_path, content).decide(scores, "x").label == "20000"


@pytest.mark.parametrize(
    ("end", "model_json", "adds"),
    [
        ("Softmax", PIXELS_JSON, True),
        ("Sigmoid", PIXELS_JSON, False),
        (None, MODEL_JSON, True),
        (None, PIXELS_JSON | {"output": {"activation": "sigmoid"}}, False),
    ],
)
def test_scores_are_added_only_where_one_label_is_true(
    tmp_path: Path, end: str | None, model_json: dict[str, Any], *, adds: bool
) -> None:
    model = graph(operators=(end,) if end else ())
    path = folder(tmp_path / "model", model, labels_txt="red\ngreen\nblue\n", model_json=model_json)
    renamed = {"labels": {"green": {"as": "red"}}}
    (path / "decision.json").write_text(json.dumps(renamed))
    answer = classifier.load(path).classify(png(RED))
    assert answer.decision
    assert answer.scores
    red, green, _ = np.frombuffer(answer.scores, "<f2").astype(float)
    decided = answer.decision.decide(answer.scores, "x.jpg")
    assert decided == ("red", 0, min(1.0, red + green) if adds else max(red, green))


def test_the_decision_replaces_the_minimum_and_leaves_the_model_its_answer(tmp_path: Path) -> None:
    path = folder(tmp_path / "model", graph(), labels_txt="red\ngreen\nblue\n", model_json=MODEL_JSON)
    plain = classifier.load(path)
    assert plain.decision is None
    assert classifier.load(path, min_score=1.0).classify(png(RED)).label == "unknown"
    (tmp_path / "other.json").write_text('{"allow": {"": ["blue"]}}')
    (path / "decision.json").write_text('{"min_score": 1}')
    for decision, label in ((None, "unknown"), (tmp_path / "other.json", "blue")):
        model = classifier.load(path, min_score=1.0, decision=decision)
        answer = model.classify(png(RED))
        assert (answer.label, answer.predictions) == ("red", plain.classify(png(RED)).predictions)
        assert answer.decision
        assert answer.scores
        assert answer.decision.decide(answer.scores, "x.jpg").label == label
        assert model.model == plain.model, "the rules are no part of the model"
