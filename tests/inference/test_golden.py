"""Models that the real libraries exported: the tensors and scores are those that the libraries themselves gave.

``tools/maintainer/golden`` made the recordings; its README says how.
Each folder holds the export as its user copies it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from inference.classifier import Classifier
from inference.model.folder import load_model
from tests.inference.model.model_folders import encoded
from tools.maintainer.golden.pictures import SIZES, render
from tools.maintainer.golden.recording import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

GOLDEN = Path(__file__).parent / "golden"
DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"


class Limit(NamedTuple):
    """The largest differences that are accepted, in units of the tensor (about -2 to 2) and of the score."""

    tensor: float
    score: float


LIMITS: dict[str, Limit] = {
    "torch-legacy": Limit(1e-6, 1e-5),
    "torch-dynamo": Limit(1e-6, 1e-5),
    "timm": Limit(1e-6, 1e-5),
    "optimum": Limit(1e-6, 1e-5),
    "ultralytics": Limit(1e-6, 1e-5),
    "keras": Limit(1e-6, 1e-5),
    "tflite": Limit(1e-6, 0.004),  # one step of the quantized scores: another CPU may round a sum the other way
}


def recordings(exporter: str) -> list[Path]:
    return sorted(path.parent for path in (GOLDEN / exporter).glob("*/recording.npz"))


FOLDERS = [folder for exporter in LIMITS for folder in recordings(exporter)]


def differences(folder: Path, name: str) -> tuple[float, float]:
    """Return the largest difference of the samples of a picture's tensor, and of its scores."""
    with np.load(folder / "recording.npz") as recording:
        held: dict[str, NDArray[Any]] = {key.removeprefix(f"{name}."): recording[key] for key in recording}
    model = load_model(folder)
    (tensor,) = Classifier([model]).preprocess(encoded(render(name))).tensors
    assert tensor.shape == tuple(held["shape"])
    predictions = model.predictions(model.run(tensor), len(CLASSES))
    scores = {best.label: best.score for best in predictions}
    samples = tensor.ravel()[:: int(held["stride"])].astype(np.float64)
    assert samples.shape == held["samples"].shape
    return (
        float(np.abs(samples - held["samples"]).max()),
        float(np.abs(np.array([scores[label] for label in CLASSES]) - held["scores"]).max()),
    )


@pytest.mark.parametrize("picture", SIZES)
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_tensor_and_scores_are_those_of_the_library(folder: Path, picture: str) -> None:
    tensor, score = differences(folder, picture)
    limit = LIMITS[folder.parent.name]
    assert tensor <= limit.tensor
    assert score <= limit.score


def test_every_recording_is_held() -> None:
    """A folder without a limit, or without a recording, would be read by no test."""
    assert {path.name for path in GOLDEN.iterdir()} == LIMITS.keys()
    assert all((path / "recording.npz").is_file() for exporter in GOLDEN.iterdir() for path in exporter.iterdir())
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 2**20


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_scores_depend_on_the_picture(folder: Path) -> None:
    """Scores that are the same for every picture would hide a wrong tensor."""
    with np.load(folder / "recording.npz") as recording:
        scores = np.array([recording[f"{name}.scores"] for name in SIZES])
    assert np.ptp(scores, axis=0).max() > 10 * LIMITS[folder.parent.name].score


@pytest.mark.parametrize("exporter", LIMITS)
def test_the_document_states_versions_counts_and_limits(exporter: str) -> None:
    (row,) = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {exporter} |")]
    versions, first_time, stated, refused, _, tensor, score = [cell.strip() for cell in row.split("|")[2:-1]]
    folders = recordings(exporter)
    held = [json.loads((folder / "versions.json").read_text(encoding="utf-8")) for folder in folders]
    assert all(each.items() >= dict(pair.split(" ") for pair in versions.split(", ")).items() for each in held)
    with_facts = sum((folder / "model.json").is_file() for folder in folders)
    assert (int(first_time), int(stated), int(refused)) == (len(folders) - with_facts, with_facts, 0)
    assert Limit(float(tensor), float(score)) == LIMITS[exporter]
