"""The scores of all labels come back from their compact form, and a classifier hands over those of its first model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from inference import classifier
from inference.scores import pack_scores, unpack_scores
from tests.inference.model.model_folders import MODEL_JSON, RED, folder, graph, png

if TYPE_CHECKING:
    from pathlib import Path


def test_they_come_back_to_three_digits_in_their_order() -> None:
    values = np.array([0.0, -0.0, 1.0, 1 / 3, 1e-5, 0.9996])
    packed = pack_scores(values)
    assert packed[:6] == b"\0\0\0\0\x00\x3c"  # 0.0, 0.0 and 1.0: the low byte first
    restored = unpack_scores(packed)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, values, rtol=5e-4, atol=3e-8)
    with pytest.raises(ValueError, match="multiple"):
        unpack_scores(packed[:-1])


def test_a_classifier_hands_over_all_scores_of_its_first_model(tmp_path: Path) -> None:
    first = folder(tmp_path / "colours", graph(), labels_txt="red\ngreen\nblue\n", model_json=MODEL_JSON)
    second = folder(tmp_path / "two", graph(classes=2), labels_txt="light\ndark\n", model_json=MODEL_JSON)
    answer = classifier.load(first, second, top_k=1).classify(png(RED, (30, 20)))
    assert answer.scores is not None
    rest = 1 / (np.e + 2)
    np.testing.assert_allclose(unpack_scores(answer.scores), [np.e * rest, rest, rest], rtol=5e-4)
