"""The renderer and the demo model of the repository, without PyTorch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageOps

from tools.maintainer.shapes.evaluate import MODEL_FOLDER, accuracy, evaluate
from tools.sample_photos.photographs import EVALUATION, SMALL_PX, TRAINING, camera_jpeg, photograph
from tools.sample_photos.render import render
from tools.sample_photos.shapes import LABELS, shape

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("label", LABELS)
def test_the_same_seed_gives_the_same_pixels(label: str) -> None:
    first, second = render(label, 7, 96, 64), render(label, 7, 96, 64)

    assert first.size == (96, 64)
    assert first.mode == "RGB"
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != render(label, 8, 96, 64).tobytes()


@pytest.mark.parametrize("label", LABELS)
def test_a_mesh_encloses_a_volume_and_its_normals_point_outwards(label: str) -> None:
    """By the divergence theorem; the renderer would cull a quad with the wrong winding."""
    mesh = shape(label, np.random.default_rng(3))
    diagonals = np.cross(mesh.quads[:, 2] - mesh.quads[:, 0], mesh.quads[:, 3] - mesh.quads[:, 1])
    volume = np.einsum("ij,ij->", mesh.centroids, diagonals / 2) / 3

    assert volume > 0.3
    if label != "spring":  # its wire is open at both ends
        assert np.abs(diagonals.sum(axis=0)).max() < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (17, 400), (3000, 2000)], ids=["one pixel", "a strip", "six megapixels"])
def test_every_size_can_be_rendered(size: tuple[int, int]) -> None:
    assert render("ring", 1, *size).size == size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_jpeg_is_upright_once_its_orientation_is_applied(orientation: int) -> None:
    picture = render("cone", 2, 128, 96)

    with Image.open(io.BytesIO(camera_jpeg(picture, orientation=orientation, quality=95))) as file:
        upright = ImageOps.exif_transpose(file)

    assert upright.size == picture.size
    difference = np.abs(np.asarray(upright, dtype=int) - np.asarray(picture, dtype=int)).mean()
    assert difference < 8


def test_two_series_share_no_photograph() -> None:
    assert photograph(TRAINING, 5).content != photograph(EVALUATION, 5).content


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
