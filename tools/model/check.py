"""``model check``: shows the model's input for an image, in numbers and as a picture, and the model's output.

The picture reveals a wrong colour order, range or crop, which no error message can. It is written where ``-o`` says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from inference.classifier import Classifier
from inference.errors import ConfigurationError, PermanentError
from inference.model.folder import load_model
from inference.model_spec import ColorOrder, Layout
from inference.postprocess import raw_scores
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from inference.model.loaded import LoadedModel
    from inference.model_spec import InputSpec


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a model folder")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="images to classify")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write the model's input for each image there, as a picture"
    )
    parser.add_argument("--top-k", type=int, default=5, metavar="N", help="predictions per image (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per image")
    parser.epilog = "example:\n  python -m tools model check models/shapes photo.jpg -o seen/"


def run(args: argparse.Namespace) -> int:
    """Check each image; 1 when one of them cannot be classified."""
    if args.top_k < 1:
        raise ConfigurationError(f"--top-k is {args.top_k}, but must be at least 1.")
    model = load_model(args.folder)
    code = 0
    for path in args.images:
        try:
            report = _check(model, path, args.output, args.top_k)
        except PermanentError as error:
            report = {"image": str(path), "status": "rejected", "reason": str(error.reason), "detail": error.detail}
            code = 1
        if args.json:
            print(json.dumps(report), flush=True)
        else:
            _print(report)
    return code


def _check(model: LoadedModel, path: Path, output: Path | None, top_k: int) -> dict[str, Any]:
    spec = model.spec.input
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}.") from error
    info, (tensor,), *_ = Classifier([model]).preprocess(content)
    picture = None if output is None else _save(to_picture(spec, tensor), output, path)
    raw = model.run(tensor)
    numbers = raw_scores(model.spec, raw)
    channels = _planes(spec, tensor).reshape(spec.channels, -1).astype(np.float64)
    return {
        "image": str(path),
        "status": "classified",
        "width": info.width,
        "height": info.height,
        "format": info.format,
        "picture": None if picture is None else str(picture),
        "tensor": {
            "name": spec.name,
            "dtype": str(tensor.dtype),
            "shape": list(tensor.shape),
            "layout": str(spec.layout),
            "color_order": str(spec.color_order),
            "min": channels.min(axis=1).tolist(),
            "max": channels.max(axis=1).tolist(),
            "mean": channels.mean(axis=1).tolist(),
        },
        "output": {
            "name": model.spec.output.name,
            "shape": list(np.shape(raw)) if not isinstance(raw, list) else "a map from label to number",
            "count": numbers.size,
            "min": numbers.min(),
            "max": numbers.max(),
            "sum": numbers.sum(),
            "activation": str(model.spec.output.activation),
        },
        "predictions": [
            {"label": best.label, "label_index": best.label_index, "score": best.score}
            for best in model.predictions(raw, top_k)
        ],
    }


def to_picture(spec: InputSpec, tensor: NDArray[np.generic]) -> Image.Image:
    """Undo quantization, normalization, layout and colour order of the model's input, and return it as a picture."""
    planes = _planes(spec, tensor).astype(np.float64)
    if spec.quantization is not None:
        planes = (planes - spec.quantization.zero_point) * spec.quantization.scale
    mean, std = np.array(spec.mean)[:, None, None], np.array(spec.std)[:, None, None]
    pixels = np.clip(np.rint((planes * std + mean) / spec.scale), 0, 255).astype(np.uint8)
    if spec.color_order is ColorOrder.BGR:
        pixels = pixels[::-1]
    return Image.fromarray(pixels[0] if spec.channels == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _planes(spec: InputSpec, tensor: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return (C, H, W) of the first image."""
    first = tensor if spec.batch == 0 else tensor[0]
    return first.transpose(2, 0, 1) if spec.layout is Layout.NHWC else first


def _save(picture: Image.Image, folder: Path, image: Path) -> Path:
    """Write a picture under a name that is not in use: two folders may hold photos of the same name."""
    names = (f"{image.stem}.seen{f'-{number}' if number else ''}.png" for number in range(10_000))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = next(path for name in names if not (path := folder / name).exists())
        picture.save(path)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return path


def _print(report: dict[str, Any]) -> None:
    print(f"{printable(report['image'])}")
    if report["status"] != "classified":
        print(f"  rejected  {report['reason']}: {printable(report['detail'])}\n", flush=True)
        return
    tensor, output = report["tensor"], report["output"]
    print(f"  image     {report['width']} x {report['height']} {report['format']}")
    print(f"  picture   {printable(report['picture'] or 'not written: -o DIR writes it')}")
    shape = "x".join(map(str, tensor["shape"]))
    print(f"  tensor    {tensor['name']} {tensor['dtype']} {shape} {tensor['layout']} {tensor['color_order']}")
    for name in ("min", "max", "mean"):
        print(f"    {name:<7} {'  '.join(f'{value:8.4f}' for value in tensor[name])}")
    print(
        f"  output    {output['name']} {output['shape']}: {output['count']} numbers from {output['min']:.4g} to"
        f" {output['max']:.4g}, sum {output['sum']:.4g}; activation to apply: {output['activation']}"
    )
    for best in report["predictions"]:
        print(f"    {best['score']:.4f}  {best['label_index']:>5}  {printable(best['label'])}")
    print(flush=True)
