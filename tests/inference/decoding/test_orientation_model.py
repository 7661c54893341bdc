"""The shipped model gives the same scores for all eight orientations, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from tests.inference.decoding.image_samples import encode, encode_heif, exif_orientation
from tests.inference.decoding.test_orientation import STORED
from tools.sample_photos.render import render

if TYPE_CHECKING:
    from inference.classifier import Classifier

MODEL = Path(__file__).resolve().parents[3] / "models" / "shapes"
SCORE_TOLERANCE = 0.02
# Sizes that are no multiple of any reduction: reduced inside the JPEG decoder, reduced after decoding, and not at all.
SIZES = {"reduced twice": (1277, 941), "reduced after decoding": (803, 601), "whole": (301, 233)}


@pytest.fixture(scope="module")
def shapes() -> Classifier:
    return classifier.load(MODEL, top_k=10)


@pytest.fixture(scope="module", params=SIZES)
def picture(request: pytest.FixtureRequest) -> Image.Image:
    width, height = SIZES[request.param]
    return render("pyramid", (20_260_101, 2), width, height)


def written(picture: Image.Image, kind: str, orientation: int) -> bytes:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(picture))))
    exif = exif_orientation(orientation)
    if kind == "HEIC":
        return encode_heif(stored, exif=exif, enc_params={"preset": "ultrafast"})
    options: dict[str, Any] = {
        "JPEG": {"quality": 92},
        "WEBP": {"lossless": True, "method": 0},
        "PNG": {"compress_level": 1},
        "AVIF": {"quality": 92, "speed": 10},
    }
    return encode(stored, kind, exif=exif, **options.get(kind, {}))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"])
def test_all_orientations_give_the_same_scores(kind: str, picture: Image.Image, shapes: Classifier) -> None:
    answers = [shapes.classify(written(picture, kind, orientation)) for orientation in range(1, 9)]
    scores = np.array([[one.score for one in sorted(a.predictions, key=lambda p: p.label_index)] for a in answers])
    assert {answer.label for answer in answers} == {"pyramid"}
    assert {(answer.image.width, answer.image.height) for answer in answers} == {picture.size}
    assert np.ptp(scores, axis=0).max() <= SCORE_TOLERANCE


def test_the_label_depends_on_the_orientation_of_the_pixels(picture: Image.Image, shapes: Classifier) -> None:
    """Equal scores would show nothing if the model ignored the orientation."""
    lying = [shapes.classify(encode(picture.rotate(angle, expand=True), "PNG")).label for angle in (90, 180, 270)]
    assert "pyramid" not in lying
