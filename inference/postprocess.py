"""Turns the model's output into scores in the order of the label file, and scores into predictions.

The output is checked: NaN, or a value outside [0, 1] where the model should give probabilities, is a ``ModelError``.
It is never written as the result of an image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from inference.errors import ModelError
from inference.model_spec import Activation, BackgroundClass, ModelSpec
from inference.predictions import Prediction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_TOLERANCE = 5e-3  # how far the probabilities of float16 and int8 models may be outside [0, 1]


def raw_scores(spec: ModelSpec, output: Any) -> NDArray[np.float64]:
    """Return the first image's raw numbers as (C,) float64, one per class, background included.

    Where ``OutputSpec.positive`` is set, that is one number for two labels.

    Args:
        spec: The model; its labels are the keys of outputs that are maps.
        output: The graph's output: (N, C), (N, C, 1, 1) or (C,) of any number type, or a list of maps from label or
            class index to number (ZipMap), in any order. Quantized integers become the numbers they stand for.

    Raises:
        ModelError: The output is not one number per class.
    """
    expected = len(spec.labels) + (spec.output.background is not BackgroundClass.NONE)
    if spec.output.positive is not None:
        expected = 1
    if isinstance(output, list):
        values = _from_map(spec.labels, output[0]) if output and isinstance(output[0], dict) else np.empty(0)
    else:
        array = np.asarray(output)
        squeezed = array.reshape(-1) if array.size == expected else array[0].reshape(-1) if array.ndim else array[None]
        values = squeezed.astype(np.float64)
        if spec.output.quantization is not None:
            values = (values - spec.output.quantization.zero_point) * spec.output.quantization.scale
    if values.size != expected:
        raise ModelError(f"{spec.graph}: output {spec.output.name} holds {values.size} numbers, not {expected}.")
    return values


def scores(spec: ModelSpec, output: Any) -> NDArray[np.float64]:
    """Return one probability in [0, 1] per label, in the order of the label file.

    Softmax gives numbers that sum to one (a background class keeps its share); independent sigmoids do not.

    Raises:
        ModelError: The output does not fit the labels, holds NaN, or holds a value that is not a probability.
    """
    values = raw_scores(spec, output)
    if not np.all(np.isfinite(values)):
        raise ModelError(f"{spec.graph}: output {spec.output.name} holds NaN or infinity, so it has no best label.")
    match spec.output.activation:
        case Activation.SOFTMAX:
            exponentials = np.exp(values - values.max())
            values = exponentials / exponentials.sum()
        case Activation.SIGMOID:
            values = np.exp(-np.logaddexp(0, -values))
        case Activation.EXP:
            values = np.exp(np.minimum(values, 1.0))
    if values.min() < -_TOLERANCE or values.max() > 1 + _TOLERANCE:
        raise ModelError(
            f"{spec.graph}: output {spec.output.name} holds {values[np.argmax(np.abs(values))]:.4g}, which is not"
            f' a probability: add "output": {{"activation": "softmax"}} (one true class) or "sigmoid" to model.json.'
        )
    values = np.clip(values, 0.0, 1.0)
    if spec.output.positive is not None:
        return np.array([1 - values[0], values[0]])[:: 1 if spec.output.positive == 1 else -1]
    match spec.output.background:
        case BackgroundClass.FIRST:
            return values[1:]
        case BackgroundClass.LAST:
            return values[:-1]
    return values


def top_predictions(labels: tuple[str, ...], values: NDArray[np.float64], top_k: int) -> tuple[Prediction, ...]:
    """Return the ``top_k`` best predictions, best first; equal scores in the order of the label file."""
    best = np.argsort(-values, kind="stable")[:top_k]
    return tuple(Prediction(labels[index], int(index), float(values[index])) for index in best)


def _from_map(labels: tuple[str, ...], scores_by_key: dict[Any, float]) -> NDArray[np.float64]:
    """Order a ZipMap's numbers by the label file: string keys are labels, integer keys are class indices.

    The keys are part of the graph, and were compared with the labels when the model was loaded.
    """
    by_index = all(isinstance(key, int) for key in scores_by_key)
    keys: Iterable[Any] = range(len(scores_by_key)) if by_index else labels
    return np.array([scores_by_key[key] for key in keys], dtype=np.float64)
