"""Published models are recognised by their SHA-256."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from inference import classifier
from inference.model.exporters import catalogue
from tests.inference.model.loading import refusal
from tests.inference.model.model_folders import folder, graph, png

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_model_of_the_zoo_is_recognised_by_its_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path, graph(), synset_txt="n01440764 red\nn01443537 green\nn01484850 blue\n")
    assert "colour order" in refusal(path)
    digest = hashlib.sha256((path / "model.onnx").read_bytes()).hexdigest()
    entry = next(iter(catalogue._models().values()))
    entry = entry | {"input": entry["input"] | {"size": [8, 8], "shortest_side": 9}}
    monkeypatch.setattr(catalogue, "_models", lambda: {digest: entry})
    answer = classifier.load(path).classify(png())
    assert answer.label == "red"


def test_every_entry_is_complete() -> None:
    for digest, model in catalogue._models().items():
        assert len(digest) == 64
        assert set(model["input"]) >= {
            "layout",
            "color_order",
            "size",
            "resize",
            "shortest_side",
            "scale",
            "mean",
            "std",
        }
        assert model["output"]["activation"] in ("softmax", "none")
        assert model["source"].startswith("onnx/models ")
