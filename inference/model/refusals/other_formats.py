"""The refusal of a model that is not ONNX, with the command that converts it. Imported for a refusal only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TF2ONNX = "python -m tf2onnx.convert"
# By suffix: the format, and the way to ONNX.
_FORMATS = {
    ".ort": (
        "ONNX Runtime's own format for one device (ORT)",
        "copy the .onnx file that convert_onnx_models_to_ort made it from",
    ),
    ".tflite": ("TensorFlow Lite", f"{_TF2ONNX} --tflite {{name}} --output model.onnx"),
    ".keras": (
        "Keras",
        f'model.export("exported"), then {_TF2ONNX} --saved-model exported --output model.onnx',
    ),
    ".h5": (
        "Keras",
        f'load_model("{{name}}").export("exported"), then {_TF2ONNX} --saved-model exported --output model.onnx',
    ),
    ".pb": ("TensorFlow", f"{_TF2ONNX} --saved-model {{folder}} --output model.onnx"),
    ".pt": ("PyTorch", "torch.onnx.export, or for Ultralytics: yolo export model={name} format=onnx"),
    ".pth": ("PyTorch", "torch.onnx.export"),
    ".pkl": ("PyTorch (fastai)", "torch.onnx.export of learn.model"),
    ".safetensors": ("PyTorch", "optimum-cli export onnx --model {folder} OUTPUT"),
    ".mlmodel": ("Core ML", "export the model to ONNX from where it was trained"),
    ".engine": ("TensorRT", "export the model to ONNX from where it was trained"),
}
# By the bytes that a file has from its offset on.
_SIGNATURES = ((4, b"ORTM", ".ort"), (4, b"TFL3", ".tflite"), (0, b"\x89HDF", ".h5"))


def no_graph(folder: Path) -> str:
    """Return the sentence for a folder without an ONNX file: it names the model of another format that is there."""
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in _FORMATS and file.is_file():
            return f"{folder} holds no .onnx file, but {_convert(file, file.suffix.lower())}"
    return f'{folder} holds no .onnx file: export the model to ONNX, or name the file with "graph" in model.json.'


def other_format(path: Path, head: bytes) -> str | None:
    """Return the sentence for a file that begins as one of another format under any name; ``None`` otherwise."""
    for offset, signature, suffix in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return f"{path} is not an ONNX file: {_convert(path, suffix)}"
    return None


def _convert(file: Path, suffix: str) -> str:
    kind, way = _FORMATS[suffix]
    return f"{file.name} is in {kind}: {way.format(name=file.name, folder=file.parent)}."
