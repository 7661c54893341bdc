"""``python -m tools model``: inspect, check, bench and quantize, as a person meets them."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from inference import classifier
from inference.model.folder import load_model
from tests.inference.model.model_folders import BLUE, FLOAT, GREEN, OURS, RED, UINT8, folder, graph, noise, png
from tests.tools.model.test_add import hugging_face, model
from tools.model.check import visible
from tools.model.tensors import tensor_of
from tools.model.throughput import caller_counts

if TYPE_CHECKING:
    from pathlib import Path

LINES = "red\ngreen\nblue\n"


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    return folder(tmp_path / "colours", graph(), labels_txt=LINES, model_json=OURS)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    place = tmp_path / "photos"
    place.mkdir()
    for name, color in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        (place / f"{name}.png").write_bytes(png(color))
    return place


def test_every_subcommand_explains_itself_and_ends_with_an_example() -> None:
    for name in ("inspect", "check", "add", "publish", "bench", "quantize"):
        run = model(name, "--help")
        assert run.returncode == 0
        assert run.stdout.rstrip().splitlines()[-1].startswith("  python -m tools model "), name


class TestInspect:
    def test_names_every_fact_and_its_source(self, tmp_path: Path) -> None:
        run = model("inspect", hugging_face(tmp_path / "vit"), "--json")
        assert run.returncode == 0
        told = json.loads(run.stdout)
        assert (told["name"], told["labels"]) == ("vit", ["red", "green", "blue"])
        assert told["facts"]["input.mean"]["value"] == [0.4, 0.5, 0.6]
        assert told["facts"]["input.mean"]["source"].startswith("preprocessor_config.json: ")
        assert told["facts"]["labels"]["source"].startswith("config.json: ")
        assert told["facts"]["input.layout"]["value"] == "NCHW"
        assert all(fact["source"] for fact in told["facts"].values())

    def test_is_a_table_for_people(self, colours: Path) -> None:
        run = model("inspect", colours)
        assert run.returncode == 0
        lines = {line.split()[0]: line for line in run.stdout.splitlines() if line}
        assert lines["input.color_order"].split(maxsplit=2)[1:] == ["RGB", "model.json: input.color_order"]
        assert lines["labels"].startswith("labels ")

    def test_shows_no_hostile_text(self, tmp_path: Path) -> None:
        theirs = folder(
            tmp_path / "m", graph(), labels_txt="a\n\x1b[2Jb\nc\n", model_json={**OURS, "name": "\x1b[31mred"}
        )
        run = model("inspect", theirs)
        assert run.returncode == 0
        assert "\x1b" not in run.stdout

    def test_of_a_refused_model_is_one_sentence(self, tmp_path: Path) -> None:
        run = model("inspect", folder(tmp_path / "m", graph(), labels_txt=LINES))
        assert (run.returncode, run.stdout) == (2, "")
        assert len(run.stderr.splitlines()) == 1


class TestCheck:
    def test_draws_what_the_model_sees_and_says_what_it_answers(
        self, colours: Path, photos: Path, tmp_path: Path
    ) -> None:
        run = model("check", colours, photos / "red.png", photos / "blue.png", "-o", tmp_path / "seen", "--json")
        assert run.returncode == 0
        red, blue = (json.loads(line) for line in run.stdout.splitlines())
        assert [red["predictions"][0]["label"], blue["predictions"][0]["label"]] == ["red", "blue"]
        assert red["tensor"]["shape"] == [1, 3, 8, 8]
        assert red["tensor"]["mean"] == pytest.approx([1, 0, 0])
        assert red["output"] | {"sum": 1} == {
            "name": "logits", "shape": [1, 3], "count": 3, "min": 0, "max": 1, "sum": 1, "activation": "softmax",
        }  # fmt: skip
        with Image.open(blue["picture"]) as seen:
            assert (seen.size, seen.getpixel((4, 4))) == ((8, 8), BLUE)

    @pytest.mark.parametrize(
        ("pixels", "options"),
        [
            ({}, {}),
            ({"color_order": "BGR", "scale": 1, "mean": [104, 117, 124]}, {}),
            ({"scale": 1 / 127.5, "mean": 1}, {"shape": ("N", 8, 8, 3), "layout": "NHWC"}),
            ({"scale": 1}, {"dtype": UINT8}),
            ({}, {"shape": (3, 8, 8)}),
            ({}, {"shape": (4, 3, 8, 8)}),
        ],
        ids=["plain", "BGR", "NHWC", "uint8", "no batch axis", "batch of four"],
    )
    def test_undoes_exactly_what_preprocessing_did(
        self, tmp_path: Path, pixels: dict[str, Any], options: dict[str, Any]
    ) -> None:
        """The model's size is the image's own, so nothing but the arithmetic lies between the two."""
        ours = {"input": OURS["input"] | pixels, "output": {"activation": "softmax"}}
        made = load_model(folder(tmp_path / "m", graph(**options), labels_txt=LINES, model_json=ours))
        picture = noise(8, 8)
        (tmp_path / "noise.png").write_bytes(png())
        picture.save(tmp_path / "noise.png")
        _, tensor = tensor_of(made, (tmp_path / "noise.png").read_bytes())
        assert np.array_equal(np.asarray(visible(made.spec.input, tensor)), np.asarray(picture))

    def test_of_a_grey_model_is_grey(self, tmp_path: Path, photos: Path) -> None:
        grey = folder(
            tmp_path / "m",
            graph(shape=("N", 1, 8, 8)),
            labels_txt=LINES,
            model_json={"input": {"scale": 1, "resize": "squash"}},
        )
        run = model("check", grey, photos / "red.png", "-o", tmp_path, "--json")
        with Image.open(json.loads(run.stdout)["picture"]) as seen:
            assert (seen.mode, seen.getpixel((0, 0))) == ("L", 76)

    def test_goes_on_after_a_bad_image_and_overwrites_no_picture(
        self, colours: Path, photos: Path, tmp_path: Path
    ) -> None:
        (photos / "notes.txt").write_text("no picture")
        seen = tmp_path / "seen"
        run = model("check", colours, photos / "notes.txt", photos / "red.png", photos / "red.png", "-o", seen)
        assert run.returncode == 1
        assert "not_an_image" in run.stdout
        assert sorted(path.name for path in seen.iterdir()) == ["red.seen-1.png", "red.seen.png"]

    def test_of_no_file_is_misuse(self, colours: Path) -> None:
        assert model("check", colours, "nowhere.jpg").returncode == 2


class TestBench:
    def test_gives_numbers_that_a_machine_reads(self, colours: Path, tmp_path: Path, photos: Path) -> None:
        other = folder(tmp_path / "other", graph(), labels_txt=LINES, model_json=OURS)
        run = model("bench", colours, other, "--image", photos / "red.png", "--seconds", "0.05", "--json")
        assert run.returncode == 0
        first, second = (json.loads(line) for line in run.stdout.splitlines())
        assert (first["name"], second["name"]) == ("colours", "other")
        assert first["ratio"] == 1
        assert first["inference"][0]["callers"] == 1
        for number in (first["load_ms"], first["preprocess_ms"], *(one["images_per_s"] for one in first["inference"])):
            assert number > 0

    def test_is_a_table_for_people(self, colours: Path, photos: Path) -> None:
        run = model("bench", colours, "--image", photos / "red.png", "--seconds", "0.02")
        assert run.returncode == 0
        assert "1 caller " in run.stdout

    @pytest.mark.parametrize(("cpus", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8])])
    def test_asks_with_one_caller_up_to_one_for_each_cpu(self, cpus: int, counts: list[int]) -> None:
        assert caller_counts(cpus) == counts


def convolution() -> onnx.ModelProto:
    """A small network that weighs: int8 has something to shrink. Class n is the mean of channel n."""
    rng = np.random.default_rng(3)
    kernel = np.zeros((16, 3, 3, 3), np.float32)
    kernel[range(3), range(3), 1, 1] = 1
    kernel += rng.normal(0, 0.01, kernel.shape).astype(np.float32)
    head = np.concatenate([np.eye(3, dtype=np.float32) * 8, np.zeros((13, 3), np.float32)])
    constants = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(head, "head")]
    nodes = [
        helper.make_node("Conv", ["input", "kernel"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "small",
        [value("input", FLOAT, ["N", 3, 16, 16])],
        [value("scores", TensorProto.FLOAT, ["N", 3])],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


class TestQuantize:
    @pytest.fixture(autouse=True)
    def _brief(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tools.model.quantize._COMPARE_SECONDS", 0.05)

    @pytest.fixture
    def network(self, tmp_path: Path) -> Path:
        return folder(tmp_path / "net", convolution(), labels_txt=LINES, model_json=OURS)

    def test_writes_an_int8_sibling_that_says_the_same(self, network: Path, photos: Path) -> None:
        run = model("quantize", network, "--calibrate", photos, "--json")
        assert run.returncode == 0, run.stderr
        report = json.loads(run.stdout)
        assert (report["images"], report["top_1_agreement"]) == (3, 1)
        assert report["largest_score_difference"] < 0.05
        assert report["speed_ratio"] > 0
        sibling = network.with_name("net-int8")
        operators = {node.op_type for node in onnx.load(sibling / "model.onnx").graph.node}
        assert {"QuantizeLinear", "DequantizeLinear"} <= operators
        made = classifier.load(sibling)
        assert made.model.name == "net-int8"
        assert made.classify(png(GREEN)).label == "green"

    def test_calibrates_through_our_own_preprocessing(self, network: Path, photos: Path) -> None:
        """The range of the first activation is that of normalised pixels, 0..1, and not of bytes."""
        model("quantize", network, "--calibrate", photos)
        content = onnx.load(network.with_name("net-int8") / "model.onnx").graph
        constants = {one.name: numpy_helper.to_array(one) for one in content.initializer}
        first = next(node for node in content.node if node.op_type == "QuantizeLinear" and node.input[0] == "input")
        assert constants[first.input[1]] == pytest.approx(1 / 255, rel=0.02)
        assert constants[first.input[2]].dtype == np.uint8

    def test_leaves_out_what_is_no_image_and_says_so(self, network: Path, photos: Path) -> None:
        (photos / "notes.txt").write_text("no picture")
        run = model("quantize", network, "--calibrate", photos)
        assert run.returncode == 0
        assert "notes.txt is left out" in run.stderr
        assert "Calibrating on 3 images" in run.stderr
        assert "3 of 3 images" in run.stdout

    def test_without_an_image_is_refused(self, network: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        run = model("quantize", network, "--calibrate", tmp_path / "empty")
        assert run.returncode == 2
        assert not network.with_name("net-int8").exists()

    def test_of_an_int8_model_is_refused(self, network: Path, photos: Path) -> None:
        model("quantize", network, "--calibrate", photos)
        run = model("quantize", network.with_name("net-int8"), "--calibrate", photos)
        assert run.returncode == 2
        assert "quantised already" in run.stderr

    def test_without_its_package_is_one_sentence(
        self, network: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else find(name))
        run = model("quantize", network, "--calibrate", photos)
        assert (run.returncode, run.stderr.strip()) == (
            2,
            "Quantising needs the onnx package, which nothing else here does: pip install onnx.",
        )
