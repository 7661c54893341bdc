"""What a folder says decides everything; what it does not say is refused with one sentence that names the way out."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference import classifier
from inference.errors import ModelError
from inference.model.exporters import catalogue
from inference.model.exporters.model_json import KEYS
from tests.inference.model.model_folders import OURS, folder, graph, png

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
LINES = "red\ngreen\nblue\n"


def with_input(**changes: Any) -> dict[str, Any]:
    return {"input": OURS["input"] | changes}


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as refused:
        classifier.load(path)
    said = str(refused.value)
    assert "\n" not in said, "one sentence"
    assert str(path) in said, "that names the folder"
    return said


class TestImpostors:
    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            pytest.param(b"", "is empty", id="empty"),
            pytest.param(b"<!DOCTYPE html><html><body>404</body></html>", "web page", id="web page"),
            pytest.param(b"\n  <html lang='en'>", "web page", id="web page after spaces"),
            pytest.param(
                b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "git lfs pull", id="LFS pointer"
            ),
            pytest.param(b'{"error": "gone"}', "JSON text", id="JSON"),
            pytest.param(b"PK\x03\x04rest", "ZIP archive", id="archive"),
            pytest.param(b"GIF89a\xff\xff\xff\xff\xff", "not an ONNX file", id="a picture"),
            pytest.param(b"\x00" * 100, "not an ONNX file", id="zeros"),
        ],
    )
    def test_a_file_that_is_no_onnx_is_named_for_what_it_is(
        self, tmp_path: Path, content: bytes, sentence: str
    ) -> None:
        assert sentence in refusal(folder(tmp_path, content, labels_txt=LINES, model_json=OURS))

    @pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
    def test_a_file_cut_short_is_refused(self, tmp_path: Path, part: float) -> None:
        whole = graph().SerializeToString()
        refusal(folder(tmp_path, whole[: int(len(whole) * part)], labels_txt=LINES, model_json=OURS))

    def test_missing_weights_are_named(self, tmp_path: Path) -> None:
        model = graph()
        onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
        folder(tmp_path, b"", labels_txt=LINES, model_json=OURS)
        onnx.save(model, tmp_path / "model.onnx")
        version = classifier.load(tmp_path).model.version
        content = (tmp_path / "weights.bin").read_bytes()
        (tmp_path / "weights.bin").write_bytes(content[:-4] + np.float32(5).tobytes())
        assert classifier.load(tmp_path).model.version != version, "the weights are part of the model"
        (tmp_path / "weights.bin").unlink()
        assert "weights.bin" in refusal(tmp_path)

    @pytest.mark.parametrize("place", ["/dev/zero", "../weights.bin", "pipe"])
    def test_weights_elsewhere_are_refused_before_they_are_read(self, tmp_path: Path, place: str) -> None:
        """A graph may come from strangers: a device or a pipe never ends, other files are not theirs to read."""
        model = graph()
        onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
        folder(tmp_path / "model", b"", labels_txt=LINES, model_json=OURS)
        onnx.save(model, tmp_path / "model" / "model.onnx")
        (tmp_path / "model" / "weights.bin").rename(tmp_path / "weights.bin")
        os.mkfifo(tmp_path / "model" / "pipe")
        saved = onnx.load(tmp_path / "model" / "model.onnx", load_external_data=False)
        for tensor in saved.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = place
        (tmp_path / "model" / "model.onnx").write_bytes(saved.SerializeToString())
        assert "keeps its weights in" in refusal(tmp_path / "model")

    def test_an_operator_that_onnxruntime_lacks_is_named(self, tmp_path: Path) -> None:
        model = graph()
        model.graph.node[0].op_type = "TurboEncabulator"
        assert "TurboEncabulator" in refusal(folder(tmp_path, model, labels_txt=LINES, model_json=OURS))

    def test_an_opset_from_the_future_is_refused(self, tmp_path: Path) -> None:
        said = refusal(folder(tmp_path, graph(opset=99), labels_txt=LINES, model_json=OURS))
        assert "it has opset 99, and this one reads up to" in said

    def test_no_folder_no_graph_and_a_file_for_a_folder(self, tmp_path: Path) -> None:
        assert "does not exist" in refusal(tmp_path / "nowhere")
        (tmp_path / "empty").mkdir()
        assert "no .onnx file" in refusal(tmp_path / "empty")
        (tmp_path / "model.onnx").write_bytes(graph().SerializeToString())
        assert "give the folder" in refusal(tmp_path / "model.onnx")


class TestNoClassifier:
    @staticmethod
    def with_outputs(**outputs: tuple[int, ...]) -> onnx.ModelProto:
        """A graph that answers constants of these shapes beside nothing else."""
        model = graph()
        del model.graph.output[:]
        for name, shape in outputs.items():
            model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), f"{name}_value"))
            model.graph.node.add(op_type="Identity", input=[f"{name}_value"], output=[name])
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return model

    def test_a_detector(self, tmp_path: Path) -> None:
        model = self.with_outputs(detected_boxes=(1, 64, 4), detected_scores=(1, 64))
        assert "detector" in refusal(folder(tmp_path, model, labels_txt=LINES, model_json=OURS))

    def test_a_feature_extractor(self, tmp_path: Path) -> None:
        for shape in ((1, 768, 7, 7), (1, 768)):
            path = tmp_path / str(len(shape))
            model = self.with_outputs(last_hidden_state=shape)
            assert "feature extractor" in refusal(folder(path, model, labels_txt=LINES, model_json=OURS))

    def test_two_inputs(self, tmp_path: Path) -> None:
        model = graph()
        model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
        assert "has 2 inputs (input, mask)" in refusal(folder(tmp_path, model, labels_txt=LINES, model_json=OURS))

    def test_an_input_that_is_no_image(self, tmp_path: Path) -> None:
        model = graph()
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
        assert "int64" in refusal(folder(tmp_path, model, labels_txt=LINES, model_json=OURS))

    def test_a_class_number_beside_the_scores_is_left_aside_wherever_it_stands(self, tmp_path: Path) -> None:
        for place in (0, 1):
            model = graph()
            model.graph.node.add(op_type="ArgMax", input=["logits"], output=["best"])
            info = helper.make_tensor_value_info("best", TensorProto.INT64, ["a", "b"])
            outputs = [*model.graph.output]
            outputs.insert(place, info)
            del model.graph.output[:]
            model.graph.output.extend(outputs)
            path = folder(tmp_path / str(place), model, labels_txt=LINES, model_json=OURS)
            assert classifier.load(path).spec.output.name == "logits"

    def test_two_outputs_that_could_be_it_are_not_chosen_between(self, tmp_path: Path) -> None:
        model = graph(output="first")
        model.graph.node.add(op_type="Neg", input=["first"], output=["second"])
        model.graph.output.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, ["N", 3]))
        path = folder(tmp_path, model, labels_txt=LINES, model_json=OURS)
        assert '"output": {"name": "first"}' in refusal(path)
        folder(tmp_path, model, model_json=OURS | {"output": {"name": "first"}})
        assert classifier.load(path).classify(png()).label == "red"


class TestLabels:
    def test_missing_labels_are_asked_for_with_their_number(self, tmp_path: Path) -> None:
        said = refusal(folder(tmp_path, graph(), model_json=OURS))
        assert '"labels": ["first", "second", ...] with 3 names' in said
        assert "label files" in said, "where we looked"

    def test_a_count_that_does_not_fit(self, tmp_path: Path) -> None:
        said = refusal(folder(tmp_path, graph(classes=8), labels_txt=LINES, model_json=OURS))
        assert "8 numbers and labels.txt has 3 labels" in said

    def test_one_sigmoid_for_two_labels_does_not_say_which(self, tmp_path: Path) -> None:
        model = graph(classes=1, ending=("Sigmoid",))
        said = refusal(folder(tmp_path, model, labels_txt="cat\ndog", model_json=OURS))
        assert "one output per label" in said

    def test_a_background_class_must_be_stated(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(classes=4), labels_txt=LINES, model_json=OURS)
        assert '"output": {"background": "first"}' in refusal(path)
        folder(path, graph(classes=4), model_json=OURS | {"output": {"background": "first"}})
        answer = classifier.load(path).classify(png((0, 255, 0)))
        assert (answer.label, answer.label_index) == ("red", 0), "class 1 is label 0"
        folder(path, graph(classes=4), model_json=OURS | {"output": {"background": "last"}})
        assert classifier.load(path).classify(png((0, 255, 0))).label == "green"

    def test_two_label_files_that_differ_are_not_chosen_between(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(), labels_txt=LINES, synset_txt="a\nb\nc", model_json=OURS)
        assert "labels.txt and synset.txt" in refusal(path)
        folder(path, graph(), model_json=OURS | {"labels": "synset.txt"})
        assert classifier.load(path).spec.labels == ("a", "b", "c")

    def test_the_label_file_that_fits_is_taken(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(), labels_txt=LINES, classes_txt="a\nb", model_json=OURS)
        assert classifier.load(path).spec.labels == ("red", "green", "blue")

    def test_a_list_in_model_json_wins_over_every_file(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(), labels_txt=LINES, model_json=OURS | {"labels": ["x", "y", "z"]})
        assert classifier.load(path).spec.labels == ("x", "y", "z")

    def test_files_of_other_names_are_found_by_their_words(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(), model_json=OURS, README_md="# hello", training_log_txt="epoch 1")
        (path / "my-labels-v2.txt").write_text(LINES)
        assert classifier.load(path).spec.labels == ("red", "green", "blue")


class TestModelJson:
    @pytest.mark.parametrize(
        ("ours", "sentence"),
        [
            pytest.param(with_input(colour_order="RGB"), 'unknown key "colour_order".*mean "color_order"', id="typo"),
            pytest.param({"inputs": {}}, 'unknown key "inputs".*"input"', id="typo at the top"),
            pytest.param(with_input(color_order="RBG"), "'RBG'.*one of RGB, BGR, GREY", id="no such order"),
            pytest.param(with_input(scale="1/255"), "input.scale is '1/255'.*number above 0", id="text for a number"),
            pytest.param(with_input(scale=0), "number above 0", id="zero scale"),
            pytest.param(with_input(std=[1, 0, 1]), "none of them 0", id="zero std"),
            pytest.param(with_input(mean=[1, 2]), "list of 3", id="two means for three channels"),
            pytest.param(with_input(mean=float("nan")), "a number or a list", id="NaN"),
            pytest.param(with_input(size=[9, 9]), "input.size says .9, 9., but input input.*8, 8", id="another size"),
            pytest.param(with_input(size=[0, 8]), "from 1 to 8192", id="no size"),
            pytest.param(with_input(layout="NHWC"), "says .NHWC., but", id="another layout"),
            pytest.param(with_input(color_order="GREY"), "says .GREY., but", id="grey for three channels"),
            pytest.param(with_input(resize="shortest_side_crop"), '"shortest_side": 256', id="a crop from nothing"),
            pytest.param(
                with_input(resize="shortest_side_crop", shortest_side=7), "7, smaller than the input", id="small side"
            ),
            pytest.param(with_input(pad_color=[0, 0]), "red, green, blue", id="pad colour"),
            pytest.param({"input": []}, '"input" must be an object', id="not an object"),
            pytest.param(OURS | {"graph": "../elsewhere.onnx"}, "leads out of the folder", id="a graph elsewhere"),
            pytest.param(OURS | {"graph": "other.onnx"}, "not there", id="a graph that is not there"),
            pytest.param(OURS | {"labels": "/etc/passwd"}, "leads out of the folder", id="labels elsewhere"),
            pytest.param(OURS | {"output": {"name": "nothing"}}, "graph has logits", id="no such output"),
            pytest.param(OURS | {"output": {"activation": "none"}}, None, id="probabilities, says its author"),
        ],
    )  # fmt: skip
    def test_what_makes_no_sense_is_refused_by_key(self, tmp_path: Path, ours: Any, sentence: str | None) -> None:
        path = folder(tmp_path, graph(), labels_txt=LINES, model_json=ours)
        if sentence is None:
            classifier.load(path)
        else:
            with pytest.raises(ModelError, match=sentence):
                classifier.load(path)

    def test_softmax_twice_is_refused(self, tmp_path: Path) -> None:
        ours = OURS | {"output": {"activation": "softmax"}}
        path = folder(tmp_path, graph(ending=("Softmax",)), labels_txt=LINES, model_json=ours)
        assert 'already comes out of Softmax: write "activation": "none"' in refusal(path)

    def test_an_ending_that_does_not_tell_is_asked_about(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(ending=("Exp",)), labels_txt=LINES, model_json=OURS)
        assert '"output": {"activation": "none"}' in refusal(path)

    @pytest.mark.parametrize("text", ["{", "[]", '"x"', "\ud800"])
    def test_broken_json_is_refused_with_its_name(self, tmp_path: Path, text: str) -> None:
        path = folder(tmp_path, graph(), labels_txt=LINES)
        (path / "model.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        assert "model.json" in refusal(path)

    def test_several_graphs_are_not_chosen_between(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(), name="a.onnx", labels_txt=LINES, model_json=OURS)
        folder(path, graph(), name="b.onnx")
        assert '"graph": "a.onnx"' in refusal(path)
        folder(path, graph(), name="b.onnx", model_json=OURS | {"graph": "b.onnx"})
        assert classifier.load(path).spec.graph.name == "b.onnx"

    def test_it_wins_over_the_exporters_files_and_the_rest_is_still_read(self, tmp_path: Path) -> None:
        processor = {"size": 8, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
        path = folder(
            tmp_path,
            graph(),
            labels_txt=LINES,
            preprocessor_config_json=processor,
            model_json={"name": "mine", "input": {"color_order": "BGR"}},
        )
        spec = classifier.load(path).spec
        assert (spec.identity.name, spec.input.color_order, spec.input.interpolation) == ("mine", "BGR", "bicubic")
        assert spec.values["input.color_order"].source == "model.json: input.color_order"
        assert spec.values["input.interpolation"].source == "preprocessor_config.json: resample"

    def test_scale_mean_and_std_are_never_mixed_from_two_sources(self, tmp_path: Path) -> None:
        processor = {"size": 8, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        ours = {"input": {"scale": 1}}
        path = folder(tmp_path, graph(), labels_txt=LINES, preprocessor_config_json=processor, model_json=ours)
        spec = classifier.load(path).spec.input
        assert (spec.scale, spec.mean, spec.std) == (1, (0,) * 3, (1,) * 3)


class TestSchema:
    SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "model.schema.json").read_text())

    def test_it_is_a_schema_and_knows_the_keys_that_the_reader_knows(self) -> None:
        jsonschema.Draft202012Validator.check_schema(self.SCHEMA)
        assert set(self.SCHEMA["properties"]) == KEYS[""]
        for section in ("input", "output"):
            assert set(self.SCHEMA["properties"][section]["properties"]) == KEYS[section]

    @pytest.mark.parametrize("ours", [OURS, OURS | {"output": {"background": "last"}, "labels": ["a"]}], ids=str)
    def test_it_accepts_what_we_accept(self, ours: dict[str, Any]) -> None:
        jsonschema.Draft202012Validator(self.SCHEMA).validate(ours)

    @pytest.mark.parametrize(
        "ours",
        [with_input(scale=0), with_input(color_order="RBG"), {"inputs": {}}, with_input(size=[0, 8]), {"labels": 3}],
        ids=str,
    )
    def test_it_refuses_what_we_refuse(self, ours: dict[str, Any]) -> None:
        assert not jsonschema.Draft202012Validator(self.SCHEMA).is_valid(ours)

    def test_the_model_that_ships_fits_it(self) -> None:
        shipped = json.loads((ROOT / "models" / "shapes" / "model.json").read_text())
        jsonschema.Draft202012Validator(self.SCHEMA).validate(shipped)


class TestCatalogue:
    def test_a_zoo_model_is_known_by_its_hash(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = folder(tmp_path, graph(), synset_txt="n01440764 red\nn01443537 green\nn01484850 blue\n")
        assert "colour order" in refusal(path)
        digest = hashlib.sha256((path / "model.onnx").read_bytes()).hexdigest()
        entry = next(iter(catalogue._models().values()))
        entry = entry | {"input": entry["input"] | {"size": [8, 8], "shortest_side": 9}}
        monkeypatch.setattr(catalogue, "_models", lambda: {digest: entry})
        answer = classifier.load(path).classify(png())
        assert answer.label == "red"

    def test_every_entry_is_complete(self) -> None:
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


class TestIdentity:
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda path: folder(path, graph(ending=("Identity",))), id="graph"),
            pytest.param(lambda path: folder(path, graph(), labels_txt="red\ngreen\nviolet\n"), id="labels"),
            pytest.param(lambda path: folder(path, graph(), model_json=with_input(mean=0.5)), id="preprocessing"),
        ],
    )
    def test_another_answer_is_another_version(self, tmp_path: Path, change: Callable[[Path], Path]) -> None:
        path = folder(tmp_path, graph(), labels_txt=LINES, model_json=OURS)
        before = classifier.load(path).model
        assert len(before.version) == 12
        assert int(before.version, 16) >= 0
        change(path)
        assert classifier.load(path).model.version != before.version

    def test_the_same_model_elsewhere_has_the_same_version(self, tmp_path: Path) -> None:
        one = folder(tmp_path / "one", graph(), labels_txt=LINES, model_json=OURS)
        two = folder(tmp_path / "two", graph(), labels_txt=LINES, model_json=OURS, notes_md="unknown files are ignored")
        assert classifier.load(one).model.version == classifier.load(two).model.version
        assert classifier.load(one).model.name == "one"
