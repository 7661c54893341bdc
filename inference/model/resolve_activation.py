"""Resolves how the output becomes probabilities: from a stated value, from the graph's end, or from test runs.

The last operator decides where it is a softmax or a sigmoid. Other ends may still hold probabilities, such as the mean
of several softmaxes: the graph then runs on a few rendered inputs, and numbers that are never negative and always sum
to one are probabilities. Logits need a softmax where one class of a photo is true, and a sigmoid where each class is
true or not. The graph does not show which, so the exporter's file decides. What no source shows is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.errors import ModelError
from inference.model import value_checks
from inference.model.exporters.model_json import FILE
from inference.model_spec import Activation, InputSpec, OutputSpec, Quantization
from inference.preprocess import add_batch_axis, normalize

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from inference.model.session import Session
    from inference.model.sourced_values import SourcedValues

REMAINING_ACTIVATION = {  # by the operator that the graph ends with
    "Softmax": Activation.NONE,
    "Sigmoid": Activation.NONE,
    "HardSigmoid": Activation.NONE,
    "QLinearSoftmax": Activation.NONE,
    "QLinearSigmoid": Activation.NONE,
    "LogSoftmax": Activation.EXP,
}
# Operators that may end a hand-made softmax, or that map to a range of their own: they do not show what the output is.
_UNCERTAIN = {
    "", "Clip", "Div", "Erf", "Exp", "If", "LinearClassifier", "Loop", "LpNormalization", "Max", "Min", "Normalizer",
    "Pow", "Reciprocal", "SVMClassifier", "Scan", "Softplus", "Tanh", "TreeEnsembleClassifier", "Where",
}  # fmt: skip
# Operators that end an ensemble or test-time augmentation; before them may be logits or probabilities.
_AVERAGES = {"Mean", "Mul", "ReduceMax", "ReduceMean", "ReduceSum", "Sum"}
_RUNS = 4
_SORTED_CLASSES = 8  # so many numbers are never in descending order by chance in every run
_TOLERANCE = 5e-3  # float16 and int8 probabilities do not sum to one exactly


def resolve_activation(  # noqa: PLR0913 - each argument is a separate source of evidence
    folder: Path,
    values: SourcedValues,
    name: str,
    operator: str,
    *,
    count: int,
    session: Session,
    input_spec: InputSpec,
    quantization: Quantization | None,
) -> Activation:
    """Return the function to apply to the output, and add it to ``values`` or ask for it.

    Args:
        folder: For messages.
        values: The stated values.
        name: The output with the scores.
        operator: The operator that gives its numbers their meaning.
        count: Its numbers for one image, at least 1.
        session: The loaded graph; it runs only where the operator does not decide.
        input_spec: The graph's input.
        quantization: What the integers of a quantized output stand for.

    Raises:
        ModelError: The file and the graph contradict each other, or no activation fits the output.
    """
    stated: Activation | None = values.checked("output.activation", value_checks.one_of(Activation))
    remaining = REMAINING_ACTIVATION.get(operator)
    if operator == "TopK":
        raise ModelError(_sorted_scores(folder, name))
    if count == 1 and (stated is Activation.SOFTMAX or operator == "Softmax"):
        raise ModelError(
            f"{folder}: output {name} has one number, and a softmax of one number is 1 for every photo:"
            f' write "output": {{"activation": "sigmoid"}} in {FILE}, or export the model without its softmax.'
        )
    if stated is not None:
        if remaining is not None and stated is not remaining:
            raise ModelError(
                f"{folder}: {values.source('output.activation')} is {stated.value!r}, but output {name} already comes"
                f' out of {operator}: write "activation": "{remaining.value}", the step that is still missing.'
            )
        return stated
    if remaining is not None:
        activation, source = remaining, f"graph: {name} comes out of {operator}"
    elif quantization is not None and _is_probability(quantization):
        activation, source = Activation.NONE, f"graph: {name} has the scale 1/256 of TFLite's probabilities"
    elif (runs := _test_runs(values, session, input_spec, name, count, quantization)) is not None and (
        shown := _from_runs(folder, values, name, operator, runs)
    ):
        activation, source = shown
    else:
        values.ask(
            "output.activation",
            f'"none" if output {name} holds probabilities, "softmax" or "sigmoid" if it holds logits: its last operator'
            f" {operator or '(none)'} does not show it",
        )
        return Activation.NONE
    values.add("output.activation", activation.value, source)
    return activation


def one_is_true(output: OutputSpec, operator: str) -> bool:
    """Whether one label of a photo is true, so that scores may be added; each is true or not behind sigmoids.

    Args:
        output: The resolved output.
        operator: The operator that gives its numbers their meaning.
    """
    if output.positive is not None:  # one number for two labels, which exclude each other
        return True
    is_sigmoid = output.activation is Activation.NONE and operator.endswith("Sigmoid")
    return output.activation is not Activation.SIGMOID and not is_sigmoid


def _from_runs(
    folder: Path, values: SourcedValues, name: str, operator: str, runs: NDArray[np.float64]
) -> tuple[Activation, str] | None:
    """Return the activation and its source; ``None`` if the numbers of the runs, (runs, count), do not show it."""
    count = runs.shape[1]
    if count > 1 and _are_probabilities(runs):
        return Activation.NONE, f"graph: {name} is never negative and sums to one in {_RUNS} test runs"
    if count > 1 and runs.max() <= _TOLERANCE and _are_probabilities(np.exp(runs)):
        return Activation.EXP, f"graph: the exponentials of {name} sum to one in {_RUNS} test runs"
    descends = bool(np.all(np.diff(runs, axis=1) <= 0)) and bool(np.all(runs[:, 0] > runs[:, -1]))
    if count >= _SORTED_CLASSES and descends:
        raise ModelError(_sorted_scores(folder, name))
    in_range = runs.min() >= 0 and runs.max() <= 1
    if operator in _UNCERTAIN or (operator in _AVERAGES and (in_range or count == 1)):
        return None
    if count == 1:
        return Activation.SIGMOID, f"graph: {name} is one number out of {operator}, so it holds a logit"
    evidence = values.get("output.logits_activation")
    if evidence is None:
        values.ask(
            "output.activation",
            f'"softmax" if one class of a photo is true, "sigmoid" if several can be: output {name} comes out of'
            f" {operator}, so it holds logits",
        )
        return None
    return Activation(evidence.value), evidence.source


def _are_probabilities(runs: NDArray[np.float64]) -> bool:
    return bool(runs.min() >= -_TOLERANCE and np.all(np.abs(runs.sum(axis=1) - 1) <= _TOLERANCE))


def _is_probability(quantization: Quantization) -> bool:
    """Whether the integers stand for 0 to 255/256: TFLite's softmax and logistic fix this scale and zero point."""
    return abs(quantization.scale * 256 - 1) < 1e-4 and quantization.zero_point in (0, -128)


def _test_runs(  # noqa: PLR0913, PLR0917 - what one run needs
    values: SourcedValues,
    session: Session,
    input_spec: InputSpec,
    name: str,
    count: int,
    quantization: Quantization | None,
) -> NDArray[np.float64] | None:
    """Run the graph on rendered noise of several brightnesses and return the output's numbers, (runs, count).

    ``None`` if it does not run because the input is still incomplete, or gives numbers that are not finite.
    """
    if not count:
        return None
    rng = np.random.default_rng(0)
    rows = []
    for number in range(_RUNS):
        shape = (input_spec.height, input_spec.width, input_spec.channels)
        pixels = rng.integers(0, 256 >> number, shape, dtype=np.uint8)
        tensor = add_batch_axis(input_spec, normalize(input_spec, pixels))
        try:
            (result,) = session.run([name], {input_spec.name: tensor})
        except ModelError:
            if values.missing:
                return None
            raise
        numbers = _numbers(result)[:count]
        rows.append(numbers if quantization is None else (numbers - quantization.zero_point) * quantization.scale)
    runs = np.array(rows, dtype=np.float64)
    return runs if np.isfinite(runs).all() else None


def _numbers(result: Any) -> NDArray[np.float64]:
    if isinstance(result, list):
        return np.array(list(result[0].values()), dtype=np.float64)
    return np.asarray(result, dtype=np.float64).reshape(-1)


def _sorted_scores(folder: Path, name: str) -> str:
    return (
        f"{folder}: output {name} holds sorted scores (TopK), so the first is the best of every photo and not the first"
        f" class: export the model without TopK."
    )
