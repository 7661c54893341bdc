"""Several models classify one image: it is decoded once, and each gives the result that it gives alone."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from inference import classifier
from inference.decoding.decode import decode
from inference.errors import PermanentError
from inference.predictions import UNKNOWN
from tests.inference.model.model_folders import BLUE, MODEL_JSON, RED, folder, graph, noise, png

if TYPE_CHECKING:
    from pathlib import Path

MODEL_JSON_BGR = MODEL_JSON | {"input": MODEL_JSON["input"] | {"color_order": "BGR"}}
LINES = "red\ngreen\nblue\n"


def jpeg() -> bytes:
    """Return a JPEG large enough to be reduced by the decoder."""
    buffer = io.BytesIO()
    Image.blend(noise(1600, 1200), Image.new("RGB", (1600, 1200), RED), 0.3).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def rgb(tmp_path: Path) -> Path:
    return folder(tmp_path / "rgb", graph(), labels_txt=LINES, model_json=MODEL_JSON)


@pytest.fixture
def bgr(tmp_path: Path) -> Path:
    return folder(tmp_path / "bgr", graph(shape=("N", 3, 64, 64)), labels_txt=LINES, model_json=MODEL_JSON_BGR)


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    settings = {**MODEL_JSON, "input": {**MODEL_JSON["input"], "color_order": "GREY"}}
    return folder(
        tmp_path / "grey", graph(shape=("N", 1, 8, 8), classes=2), labels_txt="light\ndark\n", model_json=settings
    )


def test_each_model_answers_and_the_label_is_the_first_model_s(rgb: Path, bgr: Path, grey: Path) -> None:
    answer = classifier.load(rgb, bgr, grey).classify(png(RED))
    assert [(one.model.name, one.label) for one in answer.answers] == [
        ("rgb", "red"),
        ("bgr", "blue"),
        ("grey", "light"),
    ]
    first = answer.answers[0]
    assert (answer.label, answer.label_index, answer.score, answer.predictions) == (
        first.label,
        first.label_index,
        first.score,
        first.predictions,
    )
    assert classifier.load(bgr, rgb).classify(png(RED)).label == "blue"


def test_each_model_gives_the_result_that_it_gives_alone(rgb: Path, bgr: Path, grey: Path) -> None:
    """The image is reduced by the decoder, and less than for the smaller input alone."""
    photo = jpeg()
    together = classifier.load(rgb, bgr, grey).classify(photo)
    for path, answer in zip((rgb, bgr, grey), together.answers, strict=True):
        alone = classifier.load(path).classify(photo)
        assert (answer.model, answer.label) == (alone.model, alone.label)
        assert [one.score for one in answer.predictions] == pytest.approx(
            [one.score for one in alone.predictions], abs=5e-3
        )


def test_an_image_is_decoded_once_at_the_largest_size_needed(
    rgb: Path, bgr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Any] = []

    def counted(*positional: Any, **named: Any) -> Any:
        decoded.append(decode(*positional, **named))
        return decoded[-1]

    monkeypatch.setattr("inference.classifier.decode", counted)
    classifier.load(rgb, bgr).classify(jpeg())
    (one,) = decoded
    assert one.image.height >= 2 * 64


def test_one_model_has_no_list_of_answers(rgb: Path) -> None:
    assert classifier.load(rgb).classify(png()).answers == ()


def test_the_identity_depends_on_all_models_and_their_order(rgb: Path, bgr: Path) -> None:
    alone, both, turned = (
        classifier.load(rgb).model,
        classifier.load(rgb, bgr).model,
        classifier.load(bgr, rgb).model,
    )
    assert both.name == "rgb+bgr"
    assert len({alone.version, both.version, turned.version}) == 3
    assert classifier.load(rgb, bgr).classify(png()).model == both


def test_a_change_of_the_second_model_is_another_version(rgb: Path, bgr: Path) -> None:
    before = classifier.load(rgb, bgr).model.version
    (bgr / "labels.txt").write_text("a\nb\nc\n")
    assert classifier.load(rgb, bgr).model.version != before


def test_the_minimum_applies_to_each_model(rgb: Path, grey: Path) -> None:
    answer = classifier.load(rgb, grey, min_score=0.6).classify(png(BLUE))
    assert [one.label for one in answer.answers] == [UNKNOWN, UNKNOWN]
    answer = classifier.load(rgb, grey, min_score=0.55).classify(png(BLUE))
    assert [one.label for one in answer.answers] == ["blue", UNKNOWN]


def test_a_bad_image_is_rejected(rgb: Path, bgr: Path) -> None:
    with pytest.raises(PermanentError):
        classifier.load(rgb, bgr).classify(b"no image")


def test_grey_models_alone_get_a_grey_image(grey: Path, tmp_path: Path) -> None:
    other = folder(
        tmp_path / "other",
        graph(shape=("N", 1, 16, 16), classes=2),
        labels_txt="light\ndark\n",
        model_json={**MODEL_JSON, "input": {**MODEL_JSON["input"], "color_order": "GREY"}},
    )
    answer = classifier.load(grey, other).classify(png(RED))
    assert [one.label for one in answer.answers] == ["light", "light"]
