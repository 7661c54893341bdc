"""The demo model that ships, and the program that measures it, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from tools.maintainer.shapes.evaluate import MODEL_FOLDER, accuracy, evaluate
from tools.sample_photos.photographs import SMALL_PX
from tools.sample_photos.shapes import LABELS

ROOT = Path(__file__).parents[4]


def test_labels_file_outputs_and_renderer_agree() -> None:
    session = onnxruntime.InferenceSession(str(MODEL_FOLDER / "model.onnx"), providers=["CPUExecutionProvider"])
    facts = json.loads((MODEL_FOLDER / "model.json").read_text(encoding="utf-8"))
    (logits,) = session.run(None, {"image": np.zeros((3, 3, *facts["input"]["size"]), dtype=np.float32)})

    assert (MODEL_FOLDER / "labels.txt").read_text(encoding="utf-8").splitlines() == list(LABELS)
    assert logits.shape == (3, len(LABELS))


def test_the_model_file_is_below_one_megabyte() -> None:
    assert (MODEL_FOLDER / "model.onnx").stat().st_size < 1_000_000


def test_the_model_classifies_new_renders() -> None:
    """Small photographs keep this fast; the model card has the accuracy for all sizes."""
    assert accuracy(evaluate(100, long_sides_px=SMALL_PX)) >= 0.95


def test_evaluation_reports_its_number_of_renders() -> None:
    command = [sys.executable, "-m", "tools.maintainer.shapes.evaluate", "--count", "10"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert "on 10 fresh renders" in finished.stdout


def test_only_training_needs_pytorch() -> None:
    modules = "tools.sample_photos.samples, tools.maintainer.shapes.evaluate, tools.sample_photos.render"
    probe = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True)
