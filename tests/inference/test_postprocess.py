from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.errors import ModelError
from inference.model_spec import Activation, BackgroundClass, ModelSpec, OutputSpec
from inference.postprocess import scores, top_predictions
from inference.predictions import ModelIdentity
from tests.inference.test_preprocess import spec as input_spec

LABELS = ("a", "b", "c")


def spec(activation: Activation, background: BackgroundClass = BackgroundClass.NONE) -> ModelSpec:
    output = OutputSpec("scores", activation, background)
    return ModelSpec(ModelIdentity("m", "0" * 12), Path("model.onnx"), LABELS, input_spec(), output, {})


LOGITS = st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=3, max_size=3)


@given(LOGITS)
def test_softmax_gives_probabilities_that_sum_to_one_and_keep_the_order(logits: list[float]) -> None:
    values = scores(spec(Activation.SOFTMAX), np.array([logits], np.float32))
    assert values.sum() == pytest.approx(1)
    assert values[int(np.argmax(logits))] == values.max()


@given(LOGITS)
def test_sigmoid_never_overflows_and_need_not_sum_to_one(logits: list[float]) -> None:
    values = scores(spec(Activation.SIGMOID), np.array([logits], np.float32))
    assert np.all((values >= 0) & (values <= 1))


def test_probabilities_are_not_changed() -> None:
    values = scores(spec(Activation.NONE), np.array([[0.9, 0.8, 0.1]], np.float32))
    assert values == pytest.approx([0.9, 0.8, 0.1])


def test_float16_probabilities_slightly_outside_the_range_are_clipped() -> None:
    assert scores(spec(Activation.NONE), np.array([[1.001, -0.0005, 0]], np.float16)).tolist() == [1.0, 0.0, 0.0]


def test_log_probabilities_become_probabilities() -> None:
    assert scores(spec(Activation.EXP), np.log([[0.7, 0.2, 0.1]])) == pytest.approx([0.7, 0.2, 0.1])


@pytest.mark.parametrize(
    ("background", "kept"), [(BackgroundClass.FIRST, slice(1, 4)), (BackgroundClass.LAST, slice(0, 3))]
)
def test_background_class_keeps_its_share_but_has_no_label(background: BackgroundClass, kept: slice) -> None:
    logits = np.array([[1.0, 2.0, 3.0, 4.0]])
    whole = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert scores(spec(Activation.SOFTMAX, background), logits) == pytest.approx(whole[kept])


@pytest.mark.parametrize(
    "output",
    [
        np.array([[1.0, 2, 3]]),
        np.array([1.0, 2, 3]),
        np.array([[[[1.0]], [[2]], [[3]]]]),
        np.array([[1.0, 2, 3]] * 4),
        [{"c": 3.0, "a": 1.0, "b": 2.0}],
        [{2: 3.0, 0: 1.0, 1: 2.0}],
    ],
    ids=["[N,C]", "[C]", "[N,C,1,1]", "a batch of four", "names to numbers", "indices to numbers"],
)
def test_every_shape_of_output_is_in_the_order_of_the_labels(output: Any) -> None:
    values = scores(spec(Activation.SOFTMAX), output)
    assert values == pytest.approx(np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum())


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        pytest.param([[np.nan, 0, 0]], "NaN or infinity", id="NaN"),
        pytest.param([[np.inf, 0, 0]], "NaN or infinity", id="infinity"),
        pytest.param([[7.5, -2, 0]], '7.5.*"activation": "softmax"', id="logits where probabilities were promised"),
        pytest.param([[0.5, 0.5]], "2 numbers, not 3", id="another count than at load"),
    ],
)
def test_an_invalid_output_is_a_model_error(output: Any, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        scores(spec(Activation.NONE), np.array(output))


def test_predictions_are_best_first_and_ties_keep_the_order_of_the_labels() -> None:
    best = top_predictions(LABELS, np.array([0.2, 0.5, 0.2]), 5)
    assert [(one.label, one.label_index) for one in best] == [("b", 1), ("a", 0), ("c", 2)]
    assert len(top_predictions(LABELS, np.array([0.2, 0.5, 0.3]), 2)) == 2
