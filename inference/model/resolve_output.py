"""Resolves which output holds the scores, how they become probabilities, and which labels belong to them.

An output is chosen by its content, not by its position: the graph runs once, and the output with one number per label
holds the scores. Outputs that hold a label's text or a class number are ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.errors import ModelError
from inference.model import value_checks
from inference.model.exporters.model_json import FILE
from inference.model_spec import Activation, BackgroundClass, InputSpec, OutputSpec
from inference.preprocess import add_batch_axis

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.session import Session
    from inference.model.sourced_values import SourcedValues

_REMAINING_ACTIVATION = {  # by the operator that the graph ends with
    "Softmax": Activation.NONE,
    "Sigmoid": Activation.NONE,
    "HardSigmoid": Activation.NONE,
    "LogSoftmax": Activation.EXP,
}
# Operators that may end a hand-made softmax, or that map to a range of their own: they do not show what the output is.
_UNCERTAIN = {
    "", "Clip", "Div", "Erf", "Exp", "If", "LinearClassifier", "Loop", "LpNormalization", "Max", "Min", "Normalizer",
    "Pow", "Reciprocal", "SVMClassifier", "Scan", "Softplus", "Tanh", "TreeEnsembleClassifier", "Where",
}  # fmt: skip
_USUAL_NAMES = ("logits", "probabilities")  # of the scores, where an exporter adds other outputs


def resolve_output(  # noqa: PLR0913 - each argument is a separate source of evidence
    folder: Path,
    values: SourcedValues,
    *,
    session: Session,
    input_spec: InputSpec,
    last_operator: Mapping[str, str],
    candidates: Mapping[str, tuple[str, ...]],
) -> tuple[OutputSpec, tuple[str, ...]]:
    """Run the graph once and return the output's specification with its labels.

    Args:
        folder: For messages.
        values: The stated values; what the graph shows is added.
        session: The loaded graph.
        input_spec: The graph's input.
        last_operator: By output name, the operator that gives its numbers their meaning.
        candidates: Lists of labels by their source.

    Raises:
        ModelError: The graph does not run, is not a classifier, or its outputs do not fit the labels.
    """
    results = _run_on_zeros(session, input_spec)
    sizes = {name: _score_count(result) for name, result in results.items()}
    background = values.checked("output.background", value_checks.one_of(BackgroundClass)) or BackgroundClass.NONE
    named = _named_output(folder, values, sizes)
    eligible = {named: sizes[named]} if named else sizes
    extra = 0 if background is BackgroundClass.NONE else 1
    fitting = {
        (source, name): labels
        for source, labels in candidates.items()
        for name, size in eligible.items()
        if size == len(labels) + extra
    }
    if not fitting:
        from inference.model.missing_values import no_output_fits

        raise ModelError(no_output_fits(folder, values, session, eligible, candidates))
    sources = {source for source, _ in fitting}
    if len(sources) > 1:
        raise ModelError(
            f"{folder} holds different labels in {' and '.join(sorted(sources))}: add"
            f' "labels": "{min(sources)}" to {FILE} to choose.'
        )
    source = sources.pop()
    name = _choose(folder, [name for _, name in fitting], last_operator)
    labels = fitting[source, name]
    _check_keys(folder, name, results[name], source, labels)
    values.add("labels", source, source)
    values.add("output.name", name, f"graph: the output with {eligible[name]} numbers")
    values.add("output.background", background.value, "default: as many numbers as labels")
    activation = _activation(folder, values, name, last_operator.get(name, ""))
    return OutputSpec(name, activation, background), labels


def _run_on_zeros(session: Session, input_spec: InputSpec) -> dict[str, Any]:
    """Run the graph on an image of zeros and return every output by name."""
    zeros = add_batch_axis(input_spec, np.zeros(input_spec.image_shape, input_spec.dtype))
    names = [output.name for output in session.outputs]
    return dict(zip(names, session.run(names, {input_spec.name: zeros}), strict=True))


def _score_count(result: Any) -> int | None:
    """Return how many numbers an output has for one image, or ``None`` when it is not a list of scores."""
    if isinstance(result, list):
        return len(result[0]) if result and isinstance(result[0], dict) else None
    array = np.asarray(result)
    if array.dtype.kind != "f":
        return None
    axes = [axis for axis in (array.shape if array.ndim == 1 else array.shape[1:]) if axis != 1]
    return None if len(axes) > 1 else axes[0] if axes else 1


def _check_keys(folder: Path, name: str, result: Any, source: str, labels: tuple[str, ...]) -> None:
    """Compare a ZipMap's class names with the labels."""
    if not isinstance(result, list):
        return
    keys = set(result[0])
    expected = set(range(len(labels))) if all(isinstance(key, int) for key in keys) else set(labels)
    if keys != expected:
        raise ModelError(
            f"{folder}: output {name} calls its classes {sorted(keys)!s:.100}, but {source} says"
            f' {sorted(expected)!s:.100}: give the label file of this model as "labels" in {FILE}.'
        )


def _named_output(folder: Path, values: SourcedValues, sizes: Mapping[str, int | None]) -> str | None:
    stated = values.get("output.name")
    if stated is None:
        return None
    if stated.value not in sizes:
        raise ModelError(f"{folder}: {stated.source} is {stated.value!r:.60}, but the graph has {', '.join(sizes)}.")
    return str(stated.value)


def _choose(folder: Path, names: list[str], last_operator: Mapping[str, str]) -> str:
    """Return the one output that holds the scores, of those with the right size."""
    if len(names) == 1:
        return names[0]
    probabilities = [name for name in names if last_operator.get(name) in _REMAINING_ACTIVATION]
    usual = [name for name in names if name.lower() in _USUAL_NAMES]
    for chosen in (probabilities, usual):
        if len(chosen) == 1:
            return chosen[0]
    raise ModelError(
        f"{folder}: outputs {', '.join(names)} all have one number per label:"
        f' add "output": {{"name": "{names[0]}"}} to {FILE} to choose.'
    )


def _activation(folder: Path, values: SourcedValues, name: str, operator: str) -> Activation:
    stated: Activation | None = values.checked("output.activation", value_checks.one_of(Activation))
    remaining = _REMAINING_ACTIVATION.get(operator)
    if stated is not None:
        if remaining is not None and stated is not remaining:
            raise ModelError(
                f"{folder}: {values.source('output.activation')} is {stated.value!r}, but output {name} already comes"
                f' out of {operator}: write "activation": "{remaining.value}", the step that is still missing.'
            )
        return stated
    multi_label = values.get("output.multi_label")
    if remaining is not None:
        activation, source = remaining, f"graph: {name} comes out of {operator}"
    elif operator in _UNCERTAIN:
        raise ModelError(
            f"{folder} does not state whether output {name} holds logits or probabilities, and its last operator"
            f' {operator or "(none)"} does not show it: add "output": {{"activation": "none"}} (probabilities),'
            f' "softmax" or "sigmoid" (logits) to {FILE}.'
        )
    elif multi_label is not None and multi_label.value:
        activation, source = Activation.SIGMOID, multi_label.source
    else:
        activation, source = Activation.SOFTMAX, f"graph: {name} comes out of {operator}, so it holds logits"
    values.add("output.activation", activation.value, source)
    return activation
