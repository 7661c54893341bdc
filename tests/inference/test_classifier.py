from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference import classifier
from inference.errors import PermanentError, Reason
from inference.limits import Limits
from inference.model.session import Session
from inference.predictions import UNKNOWN
from inference.resources.admission import Admission
from tests.inference.decoding.image_samples import encode
from tests.inference.model.model_folders import MODEL_JSON, RED, encoded, folder, graph, noise, png
from tests.waiting import DEADLINE_SECONDS

LINES = "red\ngreen\nblue\n"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    return folder(tmp_path / "colours", graph(), labels_txt=LINES, model_json=MODEL_JSON)


def test_three_lines_classify_bytes() -> None:
    """The example at the head of the module, with the shipped model."""
    content = png(RED, (64, 48))
    result = classifier.load(str(ROOT / "models" / "shapes")).classify(content)
    assert result.label == result.predictions[0].label
    assert 0 < result.score <= 1


def test_a_result_has_label_score_image_and_model(model_dir: Path) -> None:
    model = classifier.load(model_dir, top_k=2)
    answer = model.classify(png(RED, (30, 20)))
    assert (answer.label, answer.label_index) == ("red", 0)
    assert answer.score == pytest.approx(np.e / (np.e + 2))
    assert [one.label for one in answer.predictions] == ["red", "green"]
    assert (answer.image.width, answer.image.height, answer.image.format) == (30, 20, "png")
    assert answer.model == model.model
    assert answer.model.name == "colours"
    assert answer.decode_ms > 0
    assert answer.inference_ms > 0


def test_below_the_minimum_the_label_is_unknown_and_the_predictions_stay(model_dir: Path) -> None:
    answer = classifier.load(model_dir, min_score=0.9).classify(png(RED))
    assert (answer.label, answer.label_index) == (UNKNOWN, None)
    assert answer.predictions[0].label == "red"
    assert answer.score == answer.predictions[0].score
    assert classifier.load(model_dir, min_score=0.5).classify(png(RED)).label == "red"


def test_a_bad_image_is_a_permanent_error(model_dir: Path) -> None:
    with pytest.raises(PermanentError) as rejection:
        classifier.load(model_dir).classify(b"not an image")
    assert rejection.value.reason is Reason.NOT_AN_IMAGE


def test_limits_are_checked(model_dir: Path) -> None:
    with pytest.raises(PermanentError, match="too_many_pixels"):
        classifier.load(model_dir, limits=Limits(max_pixels=10)).classify(png())


class TestDamagedPictures:
    @pytest.fixture
    def cut(self) -> bytes:
        content = encode(noise(256, 192), "PNG")
        return content[: len(content) // 2]

    def test_they_are_refused_by_default(self, model_dir: Path, cut: bytes) -> None:
        with pytest.raises(PermanentError, match="truncated"):
            classifier.load(model_dir).classify(cut)

    def test_they_are_classified_by_what_was_decoded_where_that_is_asked_for(self, model_dir: Path, cut: bytes) -> None:
        model = classifier.load(model_dir, limits=Limits(accept_damaged=True))
        answer = model.classify(cut)
        assert answer.decoded_fraction == pytest.approx(0.5, abs=0.1)
        assert (answer.image.width, answer.image.height, answer.image.format) == (256, 192, "png")
        assert model.classify(png(RED)).decoded_fraction is None

    def test_the_model_sees_the_decoded_part_and_mid_grey(self, model_dir: Path, cut: bytes) -> None:
        model = classifier.load(model_dir, limits=Limits(accept_damaged=True))
        (tensor,) = model.preprocess(cut).tensors
        (whole,) = model.preprocess(encode(noise(256, 192), "PNG")).tensors
        assert np.array_equal(tensor[..., :3, :], whole[..., :3, :])
        assert np.allclose(tensor[..., -3:, :], 128 / 255)

    def test_a_crop_that_shows_nothing_decoded_is_refused_with_the_reason(self, tmp_path: Path) -> None:
        crop = MODEL_JSON | {"input": MODEL_JSON["input"] | {"resize": "shortest_side_crop", "shortest_side": 8}}
        model = classifier.load(
            folder(tmp_path / "m", graph(), labels_txt=LINES, model_json=crop), limits=Limits(accept_damaged=True)
        )
        content = encode(noise(64, 640), "BMP")
        for share, is_shown in ((0.6, True), (0.3, False)):
            part = content[: int(len(content) * share)]
            if is_shown:
                assert model.classify(part).decoded_fraction == pytest.approx(share, abs=0.02)
            else:
                with pytest.raises(PermanentError, match="truncated") as refused:
                    model.classify(part)
                assert refused.value.image is not None
                assert refused.value.image.height == 640


def test_images_wait_for_memory(model_dir: Path) -> None:
    admission = Admission(1)
    model = classifier.load(model_dir, admission=admission)
    with ThreadPoolExecutor(1) as pool:
        with admission.reserve(1):
            waiting = pool.submit(model.classify, png())
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
        assert waiting.result(timeout=DEADLINE_SECONDS).label == "red"


def test_eight_threads_give_the_results_of_one(model_dir: Path) -> None:
    model = classifier.load(model_dir)
    images = [encoded(noise(40, 30, seed)) for seed in range(8)]
    alone = [model.classify(image) for image in images]

    def many(number: int) -> bool:
        return all(model.classify(images[(number + turn) % 8]) == alone[(number + turn) % 8] for turn in range(100))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(many, range(8)))


def test_warming_runs_the_model_and_changes_nothing(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = classifier.load(model_dir)
    before = model.classify(png())
    run = Session.run
    shapes: list[tuple[int, ...]] = []

    def recording(session: Session, outputs: Any, inputs: Any) -> list[Any]:
        shapes.extend(tensor.shape for tensor in inputs.values())
        return run(session, outputs, inputs)

    monkeypatch.setattr(Session, "run", recording)
    model.warm()
    assert shapes == [(1, 3, 8, 8)]
    assert model.classify(png()) == before


def test_opens_no_socket_and_writes_no_file_in_the_home_folder(model_dir: Path, tmp_path: Path) -> None:
    """In a clean process: telemetry is off before onnxruntime is imported, which is lazy, and no socket is opened."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "image.png").write_bytes(png())
    script = f"""
import os, sys
def watch(event, args):
    if event.startswith("socket."):
        print("SOCKET", event, args)
    if event == "import" and args[0] == "onnxruntime":
        print("IMPORT", os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.addaudithook(watch)
from pathlib import Path
from inference import classifier
assert "onnxruntime" not in sys.modules
model = classifier.load(Path({str(model_dir)!r}))
print(model.classify(Path({str(tmp_path / "image.png")!r}).read_bytes()).label)
"""
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_SECONDS,
    )
    assert run.stdout.splitlines() == ["IMPORT 1", "red"]
    assert run.stderr == "", "no affinity noise, no warnings"
    assert list(home.rglob("*")) == []
