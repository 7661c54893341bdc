"""One folder per exporter, in the exact shape it leaves, and the answer that only the right preprocessing gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inference import classifier
from inference.decoding.decode import DecodedImage
from inference.errors import ModelError
from inference.model_spec import Activation, ColorOrder, Interpolation, Layout, ResizeMode
from inference.predictions import ImageInfo
from inference.preprocess import preprocess
from tests.inference.model.model_folders import (
    BLUE,
    FLOAT16,
    GREEN,
    OURS,
    RED,
    UINT8,
    folder,
    graph,
    noise,
    png,
    zip_map_graph,
)

if TYPE_CHECKING:
    from inference.model_spec import InputSpec

NAMES = ["red", "green", "blue"]
LINES = "red\ngreen\nblue\n"
OPTIMUM_SHAPE = ("batch_size", "num_channels", "height", "width")
ID2LABEL = {"id2label": {"0": "red", "1": "green", "2": "blue"}, "model_type": "vit"}
VIT = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 8, "width": 8},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 0.00392156862745098,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def hugging_face(path: Path, processor: dict[str, Any], config: dict[str, Any] | None = None, **kind: Any) -> Path:
    model = graph(**{"shape": OPTIMUM_SHAPE, "input_name": "pixel_values", "output_shape": ("batch_size", 3), **kind})
    return folder(path, model, config_json=config or ID2LABEL, preprocessor_config_json=processor)


def spec_of(path: Path) -> InputSpec:
    return classifier.load(path).spec.input


def assert_tells_colours_apart(path: Path) -> None:
    model = classifier.load(path)
    for name, color in zip(NAMES, (RED, GREEN, BLUE), strict=True):
        assert model.classify(png(color)).label == name


def tensor(path: Path, image: Image.Image) -> np.ndarray[Any, Any]:
    return preprocess_alone(spec_of(path), image)


def preprocess_alone(spec: InputSpec, image: Image.Image) -> np.ndarray[Any, Any]:
    batch: np.ndarray[Any, Any] = preprocess(spec, DecodedImage(image, ImageInfo(image.width, image.height, "png")))
    first: np.ndarray[Any, Any] = batch[0]
    return first


class TestHuggingFace:
    def test_a_vit_as_optimum_exports_it(self, tmp_path: Path) -> None:
        path = hugging_face(tmp_path, VIT)
        assert_tells_colours_apart(path)
        image = noise(8, 8)
        expected = (np.asarray(image) / 255 - np.array(VIT["image_mean"])) / np.array(VIT["image_std"])
        np.testing.assert_allclose(tensor(path, image), expected.transpose(2, 0, 1), atol=1e-5)

    def test_graph_in_the_onnx_folder_and_the_newer_processor_file(self, tmp_path: Path) -> None:
        path = folder(
            tmp_path,
            graph(shape=OPTIMUM_SHAPE),
            name="onnx/model.onnx",
            config_json=ID2LABEL,
            processor_config_json={"image_processor": VIT, "processor_class": "ViTProcessor"},
        )
        assert_tells_colours_apart(path)

    @pytest.mark.parametrize(
        ("processor", "wanted"),
        [
            pytest.param({"size": 8}, (ResizeMode.SQUASH, 8, 8), id="a number is a square to ViT"),
            pytest.param({"size": [8, 8]}, (ResizeMode.SQUASH, 8, 8), id="a pair"),
            pytest.param(
                {"image_processor_type": "DeiTImageProcessor", "size": {"height": 10, "width": 10}, "crop_size": 8,
                 "do_center_crop": True},
                (ResizeMode.SQUASH, 8, 10), id="DeiT squashes, then crops",
            ),
            pytest.param(
                {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 9}, "crop_size":
                 {"height": 8, "width": 8}},
                (ResizeMode.SHORTEST_SIDE_CROP, 8, 9), id="shortest edge and crop",
            ),
            pytest.param(
                {"feature_extractor_type": "CLIPFeatureExtractor", "image_processor_type": None, "size": 9,
                 "crop_size": 8, "do_center_crop": True},
                (ResizeMode.SHORTEST_SIDE_CROP, 8, 9), id="a number is the shortest edge to CLIP",
            ),
            pytest.param(
                {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}, "crop_pct": 0.875},
                (ResizeMode.SHORTEST_SIDE_CROP, 224, 256), id="ConvNext enlarges by crop_pct",
            ),
            pytest.param(
                {"image_processor_type": "ConvNextImageProcessorFast", "size": {"shortest_edge": 384}},
                (ResizeMode.SQUASH, 384, 384), id="ConvNext squashes from 384 on",
            ),
            pytest.param(
                {"image_processor_type": "LevitImageProcessor", "size": {"shortest_edge": 224}, "crop_size":
                 {"height": 224, "width": 224}},
                (ResizeMode.SHORTEST_SIDE_CROP, 224, 256), id="Levit enlarges by 256/224",
            ),
            pytest.param(
                {"image_processor_type": "PoolFormerImageProcessor", "size": {"shortest_edge": 224}, "crop_pct": 0.9,
                 "crop_size": {"height": 224, "width": 224}},
                (ResizeMode.SHORTEST_SIDE_CROP, 224, 248), id="PoolFormer enlarges by crop_pct",
            ),
            pytest.param(
                {"size": {"height": 8, "width": 8}, "crop_size": {"height": 6, "width": 6}, "do_center_crop": False},
                (ResizeMode.SQUASH, 8, 8), id="a crop that is switched off",
            ),
        ],
    )  # fmt: skip
    def test_size_and_crop_mean_what_the_processor_makes_of_them(
        self, tmp_path: Path, processor: dict[str, Any], wanted: tuple[ResizeMode, int, int]
    ) -> None:
        spec = spec_of(hugging_face(tmp_path, VIT | processor))
        assert (spec.resize, spec.height, spec.resized_height) == wanted
        assert (spec.width, spec.resized_width) == wanted[1:]

    @pytest.mark.parametrize("resample", [0, 1, 2, 3, 4, 5])
    def test_resample_is_pillows_number(self, tmp_path: Path, resample: int) -> None:
        spec = spec_of(hugging_face(tmp_path, VIT | {"resample": resample}))
        assert Image.Resampling(resample).name == spec.interpolation.name

    @pytest.mark.parametrize(
        ("changes", "black", "white"),
        [
            pytest.param({"do_normalize": False}, 0, 1, id="rescale only"),
            pytest.param({"do_normalize": False, "do_rescale": False}, 0, 255, id="neither"),
            pytest.param({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, -1, 1, id="-1 to 1"),
            pytest.param({"do_rescale": False, "image_mean": 127.5, "image_std": 127.5}, -1, 1, id="mean of pixels"),
            pytest.param({"do_rescale": None, "rescale_factor": None, "do_normalize": False}, 0, 1, id="absent"),
            pytest.param(
                {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False}, -1, 1, id="rescale offset"
            ),
            pytest.param(
                {"image_processor_type": "EfficientNetImageProcessor", "image_mean": [0] * 3, "image_std": [0.5] * 3},
                0, 4, id="EfficientNet divides by std twice",
            ),
        ],
    )  # fmt: skip
    def test_rescale_and_normalise(self, tmp_path: Path, changes: dict[str, Any], black: float, white: float) -> None:
        path = hugging_face(tmp_path, VIT | changes)
        np.testing.assert_allclose(tensor(path, Image.new("RGB", (8, 8), "black")), black, atol=1e-5)
        np.testing.assert_allclose(tensor(path, Image.new("RGB", (8, 8), "white")), white, atol=1e-5)

    def test_flipped_channels_are_bgr(self, tmp_path: Path) -> None:
        path = hugging_face(tmp_path, VIT | {"do_flip_channel_order": True, "do_normalize": False})
        assert spec_of(path).color_order is ColorOrder.BGR
        assert classifier.load(path).classify(png(RED)).label == "blue"

    def test_multi_label_is_sigmoid(self, tmp_path: Path) -> None:
        path = hugging_face(tmp_path, VIT, ID2LABEL | {"problem_type": "multi_label_classification"})
        answer = classifier.load(path).classify(png((255, 255, 255)))
        assert sum(prediction.score for prediction in answer.predictions) > 2

    def test_normalising_by_nothing_is_refused(self, tmp_path: Path) -> None:
        processor = {key: value for key, value in VIT.items() if key != "image_mean"}
        with pytest.raises(ModelError, match=r'image_mean.*"mean": \[\.\.\.\]'):
            classifier.load(hugging_face(tmp_path, processor))

    def test_a_distilled_model_answers_with_its_logits(self, tmp_path: Path) -> None:
        model = graph(shape=OPTIMUM_SHAPE)
        model.graph.output.append(model.graph.output[0].__class__())
        model.graph.output[1].CopyFrom(model.graph.output[0])
        model.graph.output[1].name = "cls_logits"
        model.graph.node.add(op_type="Neg", input=["logits"], output=["cls_logits"])
        path = folder(tmp_path, model, config_json=ID2LABEL, preprocessor_config_json=VIT)
        assert_tells_colours_apart(path)


class TestTimm:
    CFG: dict[str, Any] = {  # noqa: RUF012 - read only
        "architecture": "tiny",
        "num_classes": 3,
        "label_names": NAMES,
        "pretrained_cfg": {
            "input_size": [3, 8, 8], "interpolation": "bicubic", "crop_pct": 0.8, "crop_mode": "center",
            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        },
    }  # fmt: skip

    def test_config_alone_is_enough(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(shape=("batch", 3, 8, 8)), config_json=self.CFG)
        assert_tells_colours_apart(path)
        spec = spec_of(path)
        assert (spec.resize, spec.resized_height, spec.interpolation) == (
            ResizeMode.SHORTEST_SIDE_CROP, 10, Interpolation.BICUBIC,
        )  # fmt: skip
        expected = (np.asarray(noise(10, 10))[1:9, 1:9] / 255 - np.array(spec.mean)) / np.array(spec.std)
        np.testing.assert_allclose(tensor(path, noise(10, 10)), expected.transpose(2, 0, 1), atol=1e-5)

    @pytest.mark.parametrize(
        ("mode", "crop_pct", "resize", "resized"),
        [("squash", 0.8, ResizeMode.SQUASH, 10), ("border", 1.0, ResizeMode.LETTERBOX, 8)],
    )
    def test_crop_modes(self, tmp_path: Path, mode: str, crop_pct: float, resize: ResizeMode, resized: int) -> None:
        settings = self.CFG["pretrained_cfg"] | {"crop_mode": mode, "crop_pct": crop_pct}
        spec = spec_of(folder(tmp_path, graph(), config_json=self.CFG | {"pretrained_cfg": settings}))
        assert (spec.resize, spec.resized_width) == (resize, resized)
        if resize is ResizeMode.LETTERBOX:
            assert spec.pad_color == (124, 116, 104)  # the mean, as timm fills

    def test_labels_may_lie_beside_it(self, tmp_path: Path) -> None:
        config = {key: value for key, value in self.CFG.items() if key != "label_names"}
        assert_tells_colours_apart(folder(tmp_path, graph(), config_json=config, labels_txt=LINES))


class TestCustomVision:
    MANIFEST = {  # noqa: RUF012 - read only
        "DomainType": "Classification", "Platform": "ONNX", "Flavor": "ONNX12", "ExporterVersion": "2.0",
        "ModelFileName": "model.onnx", "LabelFileName": "labels.txt",
        "MetadataPropsFileName": "metadata_properties.json", "SchemaVersion": "1.0",
    }  # fmt: skip
    PROPERTIES = {  # noqa: RUF012 - read only
        "CustomVision.Metadata.Version": "1.2",
        "CustomVision.Postprocess.Method": "ClassificationMultiClass",
        "CustomVision.Preprocess.CropMethod": "NoCrop",
        "CustomVision.Preprocess.NormalizeMean": "[0.0, 0.0, 0.0]",
        "CustomVision.Preprocess.NormalizeStd": "[1.0, 1.0, 1.0]",
        "CustomVision.Preprocess.ResizeMethod": "Stretch",
        "Image.BitmapPixelFormat": "Bgr8",
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": "NominalRange_0_255",
    }
    BGR_LINES = "blue\r\ngreen\r\nred"  # class 0 is the mean of the first channel, which is blue

    def write(self, path: Path, properties: dict[str, str] | None = None, **kind: Any) -> Path:
        """The folder of an ONNX export; the manifest's name has a suffix that is no JSON's."""
        (path / "cvexport.manifest").write_text(json.dumps(self.MANIFEST))
        folder(path, zip_map_graph(["blue", "green", "red"], **kind), labels_txt=self.BGR_LINES)
        if properties is not None:
            (path / "metadata_properties.json").write_text(json.dumps(properties))
        return path

    @pytest.mark.parametrize("label_first", [True, False])
    def test_an_onnx_export(self, tmp_path: Path, label_first: bool) -> None:  # noqa: FBT001 - pytest's way
        path = self.write(tmp_path, self.PROPERTIES, label_first=label_first)
        assert_tells_colours_apart(path)
        answer = classifier.load(path).classify(png(RED))
        assert answer.label_index == 2
        assert answer.score == pytest.approx(1.0)  # probabilities stay as they are: no second softmax
        np.testing.assert_array_equal(tensor(path, Image.new("RGB", (8, 8), RED))[:, 0, 0], [0, 0, 255])

    def test_an_older_export_without_metadata_is_bgr_0_to_255(self, tmp_path: Path) -> None:
        path = self.write(tmp_path)
        assert_tells_colours_apart(path)
        assert "cvexport.manifest" in classifier.load(path).spec.values["input.color_order"].source

    def test_metadata_inside_the_graph_beats_the_convention(self, tmp_path: Path) -> None:
        path = self.write(tmp_path)
        model = graph(metadata={"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_0_1"})
        (path / "model.onnx").write_bytes(model.SerializeToString())
        spec = spec_of(path)
        assert spec.color_order is ColorOrder.RGB
        assert spec.scale == pytest.approx(1 / 255)

    def test_the_centre_square_where_it_says_so(self, tmp_path: Path) -> None:
        crop = {"CustomVision.Preprocess.CropMethod": "FullImageShorterSide"}
        assert spec_of(self.write(tmp_path, self.PROPERTIES | crop)).resize is ResizeMode.SHORTEST_SIDE_CROP

    def test_an_object_detector_is_refused_by_its_manifest(self, tmp_path: Path) -> None:
        path = self.write(tmp_path)
        (path / "cvexport.manifest").write_text('{"DomainType": "ObjectDetection", "Platform": "ONNX"}')
        with pytest.raises(ModelError, match="ObjectDetection"):
            classifier.load(path)


class TestZipMap:
    @pytest.mark.parametrize("keys", [["red", "blue", "green"], ["green", "red", "blue"]], ids=str)
    def test_string_keys_are_found_by_name_in_any_order(self, tmp_path: Path, keys: list[str]) -> None:
        path = folder(tmp_path, zip_map_graph(keys), model_json=OURS, labels_txt="\n".join(sorted(keys)))
        answer = classifier.load(path).classify(png(RED))
        assert answer.label == keys[0]
        assert answer.label_index == sorted(keys).index(keys[0])

    def test_integer_keys_are_class_indices(self, tmp_path: Path) -> None:
        path = folder(tmp_path, zip_map_graph([2, 0, 1]), model_json=OURS, labels_txt=LINES)
        assert classifier.load(path).classify(png(RED)).label == "blue"

    def test_names_that_are_not_in_the_label_file_are_refused(self, tmp_path: Path) -> None:
        path = folder(tmp_path, zip_map_graph(["a", "b", "c"]), model_json=OURS, labels_txt=LINES)
        with pytest.raises(ModelError, match=r"\['a', 'b', 'c'\], but labels.txt says .*'red'"):
            classifier.load(path)


class TestWindowsML:
    @pytest.mark.parametrize(
        ("pixel_range", "low", "high"),
        [("NominalRange_0_255", 0, 255), ("Normalized_0_1", 0, 1), ("Normalized_1_1", -1, 1),
         ("NominalRange_16_235", 16, 235)],
    )  # fmt: skip
    def test_metadata_inside_the_graph_is_enough(
        self, tmp_path: Path, pixel_range: str, low: float, high: float
    ) -> None:
        metadata = {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": pixel_range}
        path = folder(tmp_path, graph(metadata=metadata), labels_txt="blue\ngreen\nred")
        assert_tells_colours_apart(path)
        np.testing.assert_allclose(tensor(path, Image.new("RGB", (8, 8), "black")), low, atol=1e-5)
        np.testing.assert_allclose(tensor(path, Image.new("RGB", (8, 8), "white")), high, atol=1e-5)

    def test_four_channels_are_refused(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(metadata={"Image.BitmapPixelFormat": "Bgra8"}), labels_txt=LINES)
        with pytest.raises(ModelError, match="Bgra8"):
            classifier.load(path)


class TestTensorFlow:
    MINUS_ONE_TO_ONE = {  # noqa: RUF012 - read only
        "input": {"color_order": "RGB", "resize": "squash", "scale": 1 / 127.5, "mean": 1}
    }

    def test_tf2onnx_is_nhwc_and_needs_three_lines(self, tmp_path: Path) -> None:
        model = graph(shape=("unk__1", 8, 8, 3), layout="NHWC", ending=("Softmax",))
        path = folder(tmp_path, model, labels_txt=LINES)
        with pytest.raises(ModelError, match=r"colour order.*scale.*fitted"):
            classifier.load(path)
        folder(tmp_path, model, model_json=self.MINUS_ONE_TO_ONE)
        assert_tells_colours_apart(path)
        spec = classifier.load(path).spec
        assert spec.input.layout is Layout.NHWC
        assert spec.output.activation is Activation.NONE
        expected = np.asarray(noise(8, 8)) / 127.5 - 1
        np.testing.assert_allclose(tensor(path, noise(8, 8)), expected, atol=1e-5)

    def test_mean_first_is_the_other_common_order(self, tmp_path: Path) -> None:
        ours = {
            "input": {
                "color_order": "RGB",
                "resize": "squash",
                "scale": 1 / 127.5,
                "mean": 127.5,
                "order": "mean_first",
            }
        }
        path = folder(tmp_path, graph(), labels_txt=LINES, model_json=ours)
        np.testing.assert_allclose(
            tensor(path, noise(8, 8)), (np.asarray(noise(8, 8)).transpose(2, 0, 1) - 127.5) / 127.5, atol=1e-5
        )

    def test_teachable_machine_with_its_metadata(self, tmp_path: Path) -> None:
        metadata = {"packageName": "@teachablemachine/image", "labels": NAMES, "imageSize": 8, "tmVersion": "2.4.7"}
        model = graph(shape=("N", 8, 8, 3), layout="NHWC", ending=("Softmax",))
        path = folder(tmp_path, model, metadata_json=metadata, labels_txt="0 red\n1 green\n2 blue\n")
        assert_tells_colours_apart(path)
        np.testing.assert_allclose(tensor(path, noise(8, 8)), np.asarray(noise(8, 8)) / 127.5 - 1, atol=1e-5)
        assert spec_of(path).resize is ResizeMode.SHORTEST_SIDE_CROP

    def test_the_graph_of_tensorflow_js_is_not_taken_for_our_model_json(self, tmp_path: Path) -> None:
        metadata = {"packageName": "@teachablemachine/image", "labels": NAMES, "imageSize": 8}
        theirs = {"modelTopology": {}, "weightsManifest": [], "format": "layers-model"}
        model = graph(shape=("N", 8, 8, 3), layout="NHWC", ending=("Softmax",))
        assert_tells_colours_apart(folder(tmp_path, model, metadata_json=metadata, model_json=theirs))

    def test_a_quantised_model_takes_the_pixels_themselves(self, tmp_path: Path) -> None:
        ours = {"input": {"color_order": "RGB", "resize": "squash"}}
        model = graph(shape=(1, 8, 8, 3), layout="NHWC", dtype=UINT8)
        path = folder(tmp_path, model, labels_txt=LINES, model_json=ours)
        assert_tells_colours_apart(path)
        assert tensor(path, noise(8, 8)).dtype == np.uint8


class TestPyTorch:
    OURS = {  # noqa: RUF012 - read only
        "input": {
            "color_order": "RGB", "resize": "shortest_side_crop", "shortest_side": 9, "scale": 1 / 255,
            "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
        }
    }  # fmt: skip

    @pytest.mark.parametrize("labels", [NAMES, {"0": "red", "1": "green", "2": "blue"}, {"vocab": NAMES}], ids=str)
    def test_labels_json_and_a_model_json(self, tmp_path: Path, labels: Any) -> None:
        assert_tells_colours_apart(folder(tmp_path, graph(), labels_json=labels, model_json=self.OURS))

    def test_without_it_the_refusal_lists_all_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError) as refusal:
            classifier.load(folder(tmp_path, graph(), labels_json=NAMES))
        said = str(refusal.value)
        assert "colour order" in said
        assert '"scale"' in said
        assert '"resize"' in said
        assert "preprocessor_config.json" in said
        assert "\n" not in said


class TestGraphs:
    """Every input and output that exporters make, with the same few lines beside it."""

    @pytest.mark.parametrize(
        "shape",
        [("N", 3, 8, 8), (1, 3, 8, 8), (4, 3, 8, 8), ("anything", 3, 8, 8), (None, 3, 8, 8), (3, 8, 8)],
        ids=str,
    )
    def test_any_batch_axis(self, tmp_path: Path, shape: tuple[Any, ...]) -> None:
        output = (3,) if len(shape) == 3 else None
        path = folder(tmp_path, graph(shape=shape, output_shape=output), labels_txt=LINES, model_json=OURS)
        assert_tells_colours_apart(path)

    @pytest.mark.parametrize("output_shape", [("N", 3), ("N", 3, 1, 1), ("N", 1, 1, 3), (3,)], ids=str)
    def test_any_output_shape(self, tmp_path: Path, output_shape: tuple[Any, ...]) -> None:
        path = folder(tmp_path, graph(output_shape=output_shape), labels_txt=LINES, model_json=OURS)
        assert_tells_colours_apart(path)

    def test_one_channel_is_grey(self, tmp_path: Path) -> None:
        ours = {"input": {"scale": 1, "resize": "squash"}}
        path = folder(tmp_path, graph(shape=("N", 1, 8, 8), classes=2), labels_txt="light\ndark", model_json=ours)
        model = classifier.load(path)
        assert model.spec.input.color_order is ColorOrder.GREY
        assert model.classify(png((255, 255, 255))).label == "light"
        green = Image.new("RGB", (8, 8), GREEN).convert("L")
        np.testing.assert_allclose(preprocess_alone(model.spec.input, green), 150, atol=0.5)

    def test_float16_in_and_out(self, tmp_path: Path) -> None:
        path = folder(tmp_path, graph(dtype=FLOAT16), labels_txt=LINES, model_json=OURS)
        assert_tells_colours_apart(path)

    def test_dynamic_size_is_taken_from_model_json(self, tmp_path: Path) -> None:
        ours = {"input": OURS["input"] | {"size": [16, 24], "layout": "NCHW"}}
        path = folder(tmp_path, graph(shape=("N", 3, "h", "w")), labels_txt=LINES, model_json=ours)
        assert tensor(path, noise(50, 40)).shape == (3, 16, 24)

    @pytest.mark.parametrize(
        ("ending", "activation", "total"),
        [
            pytest.param((), Activation.SOFTMAX, 1, id="logits"),
            pytest.param(("Softmax",), Activation.NONE, 1, id="softmax is not applied twice"),
            pytest.param(("Softmax", "Identity"), Activation.NONE, 1, id="softmax behind another operator"),
            pytest.param(("LogSoftmax",), Activation.EXP, 1, id="log-probabilities"),
            pytest.param(("Sigmoid",), Activation.NONE, None, id="sigmoids"),
        ],
    )
    def test_the_graph_tells_logits_from_probabilities(
        self, tmp_path: Path, ending: tuple[str, ...], activation: Activation, total: float | None
    ) -> None:
        path = folder(tmp_path, graph(ending=ending), labels_txt=LINES, model_json=OURS)
        model = classifier.load(path)
        assert model.spec.output.activation is activation
        scores = [prediction.score for prediction in model.classify(png((255, 128, 0))).predictions]
        if total is None:
            expected = [1 / (1 + np.exp(-mean)) for mean in (1, 128 / 255, 0)]
        else:
            expected = list(np.exp([1, 128 / 255, 0]) / np.exp([1, 128 / 255, 0]).sum())
        assert scores == pytest.approx(expected, abs=1e-5)


class TestDocs:
    """The JSON that ``docs/models.md`` shows is the JSON that works."""

    BLOCKS = re.findall(
        r"```json\n(.+?)```", (Path(__file__).resolve().parents[3] / "docs" / "models.md").read_text(), re.DOTALL
    )

    @pytest.mark.parametrize("block", BLOCKS, ids=["everything", "PyTorch", "TensorFlow"])
    def test_each_model_json_shown_is_enough(self, tmp_path: Path, block: str) -> None:
        model = graph(shape=("N", 3, 224, 224))
        assert_tells_colours_apart(folder(tmp_path, model, labels_txt=LINES, model_json=block))
