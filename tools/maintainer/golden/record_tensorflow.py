"""Records exports of Keras and TensorFlow Lite through tf2onnx. Run by ``python -m``; see README.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tools.maintainer.golden.pictures import SIZES, render
from tools.maintainer.golden.recording import CLASSES, record, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL import Image

_SIDE = 48
_PACKAGES = ("keras", "tensorflow_cpu", "tf2onnx", "pillow")


def _pixels(image: Image.Image) -> NDArray[np.float32]:
    """Return the whole image as ``keras.utils.load_img(interpolation="bilinear")`` loads it."""
    with TemporaryDirectory() as place:
        path = Path(place) / "image.png"
        image.save(path)
        loaded = keras.utils.load_img(path, target_size=(_SIDE, _SIDE), interpolation="bilinear")
        pixels: NDArray[np.float32] = keras.utils.img_to_array(loaded)[None]
        return pixels


def _network() -> keras.Model:
    keras.utils.set_random_seed(17)
    large = keras.initializers.RandomNormal(stddev=3)
    return keras.Sequential(
        [
            keras.layers.Input((_SIDE, _SIDE, 3)),
            keras.layers.Conv2D(8, 5, strides=4, activation="relu"),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(CLASSES), activation="softmax", kernel_initializer=large),
        ]
    )


def _convert(folder: Path, *source: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "tf2onnx.convert",
        *source,
        "--opset",
        "17",
        "--output",
        str(folder / "model.onnx"),
    ]
    subprocess.run([*command, "--output", str(folder / "model.onnx")], check=True)
    (folder / "labels.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


def main(golden: Path) -> None:
    """Export one network as a saved model, as float TensorFlow Lite, and quantized to uint8 and to int8."""
    network = _network()
    normalize = keras.applications.mobilenet_v2.preprocess_input
    facts = {"input": {"color_order": "RGB", "resize": "squash", "scale": 2 / 255, "mean": 1, "std": 1}}

    def run_keras(image: Image.Image) -> tuple[NDArray[Any], NDArray[Any]]:
        tensor = normalize(_pixels(image))
        return tensor, network.predict(tensor, verbose=0)

    with TemporaryDirectory() as saved:
        network.export(saved, verbose=False)
        _convert(golden / "keras" / "mobilenet-range", "--saved-model", saved)
        write_json(golden / "keras" / "mobilenet-range" / "model.json", facts)
        record(golden / "keras" / "mobilenet-range", _PACKAGES, run_keras)
        for kind in ("float32", "uint8", "int8"):
            folder = golden / "tflite" / kind
            converted = _tflite(saved, kind, normalize)
            path = Path(saved) / f"{kind}.tflite"
            path.write_bytes(converted)
            _convert(folder, "--tflite", str(path))
            stated = facts if kind == "float32" else {"input": {"color_order": "RGB", "resize": "squash"}}
            write_json(folder / "model.json", stated)
            record(folder, _PACKAGES, _interpreter(converted, normalize))


def _tflite(saved: str, kind: str, normalize: Any) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        extremes = [np.full((1, _SIDE, _SIDE, 3), value, np.float32) for value in (-1, 1)]
        pictures = [normalize(_pixels(render(name))) for name in SIZES]
        converter.representative_dataset = lambda: ([each] for each in (*pictures, *extremes))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, kind)
    result: bytes = converter.convert()
    return result


def _interpreter(converted: bytes, normalize: Any) -> Callable[[Image.Image], tuple[NDArray[Any], NDArray[Any]]]:
    interpreter = tf.lite.Interpreter(model_content=converted)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(image: Image.Image) -> tuple[NDArray[Any], NDArray[Any]]:
        pixels = _pixels(image)
        # Integers are the pixels themselves, as in TensorFlow's own example label_image.py; int8 begins at -128.
        whole = {np.uint8: pixels, np.int8: pixels - 128}.get(source["dtype"])
        tensor = normalize(pixels.copy()) if whole is None else whole.astype(source["dtype"])
        interpreter.set_tensor(source["index"], tensor)
        interpreter.invoke()
        scores = interpreter.get_tensor(target["index"])
        if target["dtype"] != np.float32:
            step, zero = target["quantization"]
            scores = (scores.astype(np.float32) - zero) * step
        return tensor, scores

    return run


if __name__ == "__main__":
    main(Path(sys.argv[1]))
