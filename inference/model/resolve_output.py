"""Settles which output holds the scores, what they are, and which labels they belong to.

Outputs are chosen by what they are, not by position: the graph answers once, and an output with one number per label
is the one. Labels that come out as text or as a class number are left aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.errors import ModelError
from inference.model import value_checks
from inference.model.exporters.model_json import FILE
from inference.model_spec import Activation, Background, InputSpec, Layout, OutputSpec
from inference.preprocess import batched

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.session import Session
    from inference.model.sourced_values import Facts

_DONE = {
    "Softmax": Activation.NONE,
    "Sigmoid": Activation.NONE,
    "HardSigmoid": Activation.NONE,
    "LogSoftmax": Activation.EXP,
}
# Operators that may end a hand-made softmax, or that squash in their own way: behind them nobody can say what it is.
_UNCERTAIN = {
    "", "Clip", "Div", "Erf", "Exp", "If", "LinearClassifier", "Loop", "LpNormalization", "Max", "Min", "Normalizer",
    "Pow", "Reciprocal", "SVMClassifier", "Scan", "Softplus", "Tanh", "TreeEnsembleClassifier", "Where",
}  # fmt: skip
_KNOWN_NAMES = ("logits", "probabilities")  # of the outputs that exporters add others beside
_BOX_WORDS = ("box", "bbox", "nms", "detection", "num_det")


def resolve_output(  # noqa: PLR0913 - one call, and each is a witness of its own
    folder: Path,
    facts: Facts,
    *,
    session: Session,
    input_spec: InputSpec,
    last_operator: Mapping[str, str],
    candidates: Mapping[str, tuple[str, ...]],
) -> tuple[OutputSpec, tuple[str, ...]]:
    """Let the graph answer once and return the output's specification with its labels.

    Args:
        folder: For sentences.
        facts: What is stated; what is found is added.
        session: The loaded graph.
        input_spec: What it wants.
        last_operator: Output name to the operator behind its numbers.
        candidates: Lists of labels by the file they came from.

    Raises:
        ModelError: The graph does not run, is no classifier, or its outputs do not fit the labels.
    """
    answers = _answers(session, input_spec)
    sizes = {name: _score_count(answer) for name, answer in answers.items()}
    background = facts.checked("output.background", value_checks.one_of(Background)) or Background.NONE
    named = _named_output(folder, facts, sizes)
    wanted = {named: sizes[named]} if named else sizes
    extra = 0 if background is Background.NONE else 1
    fitting = {
        (source, name): labels
        for source, labels in candidates.items()
        for name, size in wanted.items()
        if size == len(labels) + extra
    }
    if not fitting:
        raise ModelError(_misfit(folder, facts, session, wanted, candidates))
    sources = {source for source, _ in fitting}
    if len(sources) > 1:
        raise ModelError(
            f"{folder} holds different labels in {' and '.join(sorted(sources))}: add"
            f' "labels": "{min(sources)}" to {FILE} to choose.'
        )
    source = sources.pop()
    name = _choose(folder, [name for _, name in fitting], last_operator)
    labels = fitting[source, name]
    _check_keys(folder, name, answers[name], source, labels)
    facts.state("labels", source, source)
    facts.state("output.name", name, f"graph: the output with {wanted[name]} numbers")
    facts.state("output.background", background.value, "default: as many numbers as labels")
    activation = _activation(folder, facts, name, last_operator.get(name, ""))
    return OutputSpec(name, activation, background), labels


def _answers(session: Session, input_spec: InputSpec) -> dict[str, Any]:
    """Run on zeros and return every output by name."""
    shape = (input_spec.channels, input_spec.height, input_spec.width)
    if input_spec.layout is Layout.NHWC:
        shape = (*shape[1:], shape[0])
    zeros = batched(input_spec, np.zeros(shape, input_spec.dtype))
    names = [port.name for port in session.outputs]
    return dict(zip(names, session.run(names, {input_spec.name: zeros}), strict=True))


def _score_count(answer: Any) -> int | None:
    """Return how many numbers an output has for one image, ``None`` where it is no list of scores."""
    if isinstance(answer, list):
        return len(answer[0]) if answer and isinstance(answer[0], dict) else None
    array = np.asarray(answer)
    if array.dtype.kind != "f":
        return None
    axes = [axis for axis in (array.shape if array.ndim == 1 else array.shape[1:]) if axis != 1]
    return None if len(axes) > 1 else axes[0] if axes else 1


def _check_keys(folder: Path, name: str, answer: Any, source: str, labels: tuple[str, ...]) -> None:
    """Compare the names that a ZipMap gives its classes with the labels."""
    if not isinstance(answer, list):
        return
    keys = set(answer[0])
    expected = set(range(len(labels))) if all(isinstance(key, int) for key in keys) else set(labels)
    if keys != expected:
        raise ModelError(
            f"{folder}: output {name} calls its classes {sorted(keys)!s:.100}, but {source} says"
            f' {sorted(expected)!s:.100}: give the label file of this model as "labels" in {FILE}.'
        )


def _named_output(folder: Path, facts: Facts, sizes: Mapping[str, int | None]) -> str | None:
    fact = facts.get("output.name")
    if fact is None:
        return None
    if fact.value not in sizes:
        raise ModelError(f"{folder}: {fact.source} is {fact.value!r:.60}, but the graph has {', '.join(sizes)}.")
    return str(fact.value)


def _choose(folder: Path, names: list[str], last_operator: Mapping[str, str]) -> str:
    """Return the one output that holds the scores, of those with the right size."""
    if len(names) == 1:
        return names[0]
    known = [name for name in names if name.lower() in _KNOWN_NAMES]
    finished = [name for name in names if last_operator.get(name) in _DONE]
    for few in (finished, known):
        if len(few) == 1:
            return few[0]
    raise ModelError(
        f"{folder}: outputs {', '.join(names)} all have one number per label:"
        f' add "output": {{"name": "{names[0]}"}} to {FILE} to choose.'
    )


def _activation(folder: Path, facts: Facts, name: str, operator: str) -> Activation:
    stated: Activation | None = facts.checked("output.activation", value_checks.one_of(Activation))
    if stated is not None:
        if operator in _DONE and stated is not _DONE[operator]:
            raise ModelError(
                f"{folder}: {facts.source('output.activation')} is {stated.value!r}, but output {name} already comes"
                f' out of {operator}: write "activation": "{_DONE[operator].value}", what is still to be done.'
            )
        return stated
    multi_label = facts.get("output.multi_label")
    if operator in _DONE:
        found, source = _DONE[operator], f"graph: {name} comes out of {operator}"
    elif operator in _UNCERTAIN:
        raise ModelError(
            f"{folder} does not say whether output {name} holds logits or probabilities, and its last operator"
            f' {operator or "(none)"} does not tell: add "output": {{"activation": "none"}} (probabilities),'
            f' "softmax" or "sigmoid" (logits) to {FILE}.'
        )
    elif multi_label is not None and multi_label.value:
        found, source = Activation.SIGMOID, multi_label.source
    else:
        found, source = Activation.SOFTMAX, f"graph: {name} comes out of {operator}, so it holds logits"
    facts.state("output.activation", found.value, source)
    return found


def _misfit(
    folder: Path,
    facts: Facts,
    session: Session,
    sizes: Mapping[str, int | None],
    candidates: Mapping[str, tuple[str, ...]],
) -> str:
    """Say why no output has one number per label."""
    shapes = ", ".join(f"{port.name} {list(port.shape) or port.type}" for port in session.outputs)
    lists = {name: size for name, size in sizes.items() if size is not None}
    if any(word in name.lower() for name in sizes for word in _BOX_WORDS):
        return f"{folder} holds a detector, not a classifier: its outputs are {shapes}."
    if not lists:
        return f"{folder} holds no classifier, but perhaps a detector or a feature extractor: its outputs are {shapes}."
    name, size = max(lists.items(), key=lambda item: item[1])
    if not candidates:
        return (
            f"{folder} does not name its labels (looked in {facts.looked}): add"
            f' "labels": ["first", "second", ...] with {size} names, or the name of a label file, to {FILE}.'
        )
    source, labels = next(iter(candidates.items()))
    if size == len(labels) + 1:
        return (
            f"{folder}: output {name} has {size} numbers and {source} has {len(labels)} labels: if the model counts"
            f' a background class, add "output": {{"background": "first"}} (or "last") to {FILE},'
            f" else complete the labels."
        )
    if size == 1 and len(labels) == 2:
        return (
            f"{folder}: output {name} has 1 number for the 2 labels of {source}, and which one it counts is written"
            f" nowhere: export the model with one output per label."
        )
    return (
        f"{folder}: output {name} has {size} numbers and {source} has {len(labels)} labels: give the label file of this"
        f' model as "labels" in {FILE}; if it was never trained to name things, it is a feature extractor.'
    )
