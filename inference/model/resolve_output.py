"""Resolves which output holds the scores, how they become probabilities, and which labels belong to them.

An output is chosen by its content, not by its position: the graph runs once, and the output with one number per label
holds the scores. Outputs that hold a label's text or a class number are ignored.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.errors import ModelError
from inference.model import value_checks
from inference.model.exporters.model_json import FILE
from inference.model.labels.find import reason_for_one_true_class
from inference.model.resolve_activation import REMAINING_ACTIVATION, resolve_activation
from inference.model_spec import BackgroundClass, InputSpec, OutputSpec, Quantization
from inference.preprocess import add_batch_axis

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from inference.model.session import Session, ValueInfo
    from inference.model.sourced_values import SourcedValues

_INTEGERS = (np.dtype(np.uint8), np.dtype(np.int8))  # of quantized scores
_USUAL_NAMES = ("logits", "probabilities")  # of the scores, where an exporter adds other outputs


def resolve_output(  # noqa: PLR0913 - each argument is a separate source of evidence
    folder: Path,
    values: SourcedValues,
    *,
    graph: Path,
    session: Session,
    input_spec: InputSpec,
    last_operator: Mapping[str, str],
    candidates: Mapping[str, tuple[str, ...]],
) -> tuple[OutputSpec, tuple[str, ...]]:
    """Run the graph once and return the output's specification with its labels.

    A missing value is asked for (``values.ask``), and the specification has a placeholder for it.

    Args:
        folder: For messages.
        values: The stated values; what the graph shows is added.
        graph: The ONNX file.
        session: The loaded graph.
        input_spec: The graph's input.
        last_operator: By output name, the operator that gives its numbers their meaning.
        candidates: Lists of labels by their source.

    Raises:
        ModelError: The graph does not run or is not a classifier, or a stated value contradicts it.
    """
    results = _trial_run(session, input_spec, values)
    sizes = {
        name: None if last_operator.get(name) == "ArgMax" else _score_count(result) for name, result in results.items()
    }
    background = values.checked("output.background", value_checks.one_of(BackgroundClass)) or BackgroundClass.NONE
    named = _named_output(folder, values, sizes)
    eligible = {named: sizes[named]} if named else sizes
    extra = 0 if background is BackgroundClass.NONE else 1
    fitting = {
        (source, name): labels
        for source, labels in candidates.items()
        for name, size in eligible.items()
        if size == len(labels) + extra
    } or {
        (source, name): labels
        for source, labels in candidates.items()
        for name, size in eligible.items()
        if size == 1 and len(labels) == 2 and _positive(folder, values, source, labels) is not None
    }
    if not fitting:
        from inference.model.refusals.missing_values import ask_for_labels

        name = ask_for_labels(folder, values, session, eligible, candidates, last_operator)
        source, labels = "", tuple(map(str, range(eligible[name] or 0)))
    else:
        sources = sorted({source for source, _ in fitting})
        if len(sources) > 1:
            listed = " or ".join(json.dumps(source) for source in sources)
            values.ask("labels", f"{listed}: the labels in them differ")
        source = sources[0]
        name = _choose(values, [name for each, name in fitting if each == source], last_operator)
        labels = fitting[source, name]
        _check_keys(folder, name, results[name], source, labels)
        values.add("labels", source, source)
        if reason := reason_for_one_true_class(source):
            values.add("output.logits_activation", "softmax", f"{source}: {reason}")
        values.add("output.name", name, f"graph: the output with {eligible[name]} numbers")
        values.add("output.background", background.value, "default: as many numbers as labels")
    count = eligible[name] or 0
    positive = _positive(folder, values, source, labels) if count == 1 and len(labels) == 2 else None
    if fitting and positive is None and "output.positive" in values:
        raise ModelError(
            f"{folder}: {values.source('output.positive')} is only for one number and two labels, but output {name} has"
            f" {count} for {len(labels)}: remove it."
        )
    quantization = _quantization(folder, values, graph, name, np.asarray(results[name]).dtype)
    activation = resolve_activation(
        folder,
        values,
        name,
        last_operator.get(name, ""),
        count=count,
        session=session,
        input_spec=input_spec,
        quantization=quantization,
    )
    return OutputSpec(name, activation, background, positive, quantization), labels


def _quantization(
    folder: Path, values: SourcedValues, graph: Path, name: str, dtype: np.dtype[Any]
) -> Quantization | None:
    """Return what the integers of the output stand for; ask where no source states it."""
    if dtype not in _INTEGERS:
        if "output.quantization" in values:
            raise ModelError(
                f"{folder}: {values.source('output.quantization')} is for integers, but output {name} is {dtype}:"
                f" remove it."
            )
        return None
    from inference.model.quantization import of_output

    found = of_output(values, folder, graph, name)
    if found is None:
        values.ask(
            "output.quantization",
            f"[scale, zero point] of output {name}, which is {dtype}, as TFLite's output details list them",
        )
    return found


def _trial_run(session: Session, input_spec: InputSpec, values: SourcedValues) -> dict[str, Any]:
    """Run the graph on an image of zeros and return every output by name.

    While the input is incomplete the run may fail; zeros of the declared shapes then stand for the outputs.
    """
    try:
        return _run_on_zeros(session, input_spec)
    except ModelError:
        if not values.missing:
            raise
        return {output.name: _zeros(output) for output in session.outputs}


def _zeros(output: ValueInfo) -> Any:
    """Return zeros of an output's declared shape; an axis of unknown size has length 0, but the first has 1."""
    if not output.type.startswith("tensor"):
        return [{}]
    first, *others = (axis if isinstance(axis, int) else 0 for axis in output.shape or (1,))
    dtype = {"tensor(uint8)": np.uint8, "tensor(int8)": np.int8}.get(output.type, np.float32)
    return np.zeros((first or 1, *others), dtype)


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
    if array.dtype.kind != "f" and array.dtype not in _INTEGERS:
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


def _choose(values: SourcedValues, names: list[str], last_operator: Mapping[str, str]) -> str:
    """Return the one output that holds the scores, of those with the right size; ask where several may hold them."""
    if len(names) == 1:
        return names[0]
    probabilities = [name for name in names if last_operator.get(name) in REMAINING_ACTIVATION]
    usual = [name for name in names if name.lower() in _USUAL_NAMES]
    unsorted = [name for name in names if last_operator.get(name) != "TopK"]
    for chosen in (probabilities, usual, unsorted):
        if len(chosen) == 1:
            return chosen[0]
    listed = " or ".join(json.dumps(name) for name in names)
    values.ask("output.name", f"{listed}: each has one number per label")
    return names[0]


def _positive(folder: Path, values: SourcedValues, source: str, labels: tuple[str, ...]) -> int | None:
    """Return the index of the label that a single number belongs to, of two labels; ``None`` when it is not stated.

    Keras gives the class of index 1 in ``class_indices`` to its one sigmoid.

    Raises:
        ModelError: The stated value is none of the labels.
    """
    stated = values.get("output.positive")
    if stated is None:
        if "class_indices" not in source:
            return None
        values.add("output.positive", labels[1], f"{source}: index 1 (Keras's convention)")
        return 1
    if stated.value in labels:
        return labels.index(stated.value)
    if stated.value in (0, 1) and not isinstance(stated.value, bool):
        return int(stated.value)
    raise ModelError(f"{folder}: {stated.source} is {stated.value!r:.60}, but the labels are {' and '.join(labels)}.")
