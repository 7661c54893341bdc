"""``model check``: what the model sees of an image, as a picture and in numbers, and what it answers.

A wrong colour order, a wrong range or a wrong crop is seen at a glance here, and nowhere else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from inference.errors import ConfigurationError, PermanentError
from inference.model.folder import load_model
from inference.model_spec import ColorOrder, Layout
from inference.postprocess import raw_scores
from tools.model.tensors import tensor_of
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from inference.model.loaded import LoadedModel
    from inference.model_spec import InputSpec


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a model folder")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="images to show to the model")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR", help="where pictures go (default: .)"
    )
    parser.add_argument("--top-k", type=int, default=5, metavar="N", help="predictions per image (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per image")
    parser.epilog = "example:\n  python -m tools model check models/shapes photo.jpg -o seen/"


def run(args: argparse.Namespace) -> int:
    """Check each image; 1 when one is no image that can be classified."""
    if args.top_k < 1:
        raise ConfigurationError(f"--top-k is {args.top_k}, but must be at least 1.")
    model = load_model(args.folder)
    code = 0
    for path in args.images:
        try:
            seen = _look(model, path, args.output, args.top_k)
        except PermanentError as error:
            seen = {"image": str(path), "status": "rejected", "reason": str(error.reason), "detail": error.detail}
            code = 1
        if args.json:
            print(json.dumps(seen), flush=True)
        else:
            _show(seen)
    return code


def _look(model: LoadedModel, path: Path, output: Path, top_k: int) -> dict[str, Any]:
    spec = model.spec.input
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}.") from error
    info, tensor = tensor_of(model, content)
    picture = _free_name(output, path)
    picture.parent.mkdir(parents=True, exist_ok=True)
    visible(spec, tensor).save(picture)
    raw = model.run(tensor)
    numbers = raw_scores(model.spec, raw)
    channels = _planes(spec, tensor).reshape(spec.channels, -1).astype(np.float64)
    return {
        "image": str(path),
        "status": "classified",
        "width": info.width,
        "height": info.height,
        "format": info.format,
        "picture": str(picture),
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
            {"label": one.label, "label_index": one.label_index, "score": one.score}
            for one in model.predictions(raw, top_k)
        ],
    }


def visible(spec: InputSpec, tensor: NDArray[np.generic]) -> Image.Image:
    """Undo normalisation, layout and colour order of the model's input: the picture that the model sees."""
    planes = _planes(spec, tensor).astype(np.float64)
    mean, std = np.array(spec.mean)[:, None, None], np.array(spec.std)[:, None, None]
    pixels = np.clip(np.rint((planes * std + mean) / spec.scale), 0, 255).astype(np.uint8)
    if spec.color_order is ColorOrder.BGR:
        pixels = pixels[::-1]
    return Image.fromarray(pixels[0] if spec.channels == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _planes(spec: InputSpec, tensor: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return (C, H, W) of the first image."""
    one = tensor if spec.batch == 0 else tensor[0]
    return one.transpose(2, 0, 1) if spec.layout is Layout.NHWC else one


def _free_name(output: Path, image: Path) -> Path:
    """Return a name that is not taken: two folders may hold two photos of one name."""
    names = (f"{image.stem}.seen{f'-{number}' if number else ''}.png" for number in range(10_000))
    return next(path for name in names if not (path := output / name).exists())


def _show(seen: dict[str, Any]) -> None:
    print(f"{printable(seen['image'])}")
    if seen["status"] != "classified":
        print(f"  rejected  {seen['reason']}: {printable(seen['detail'])}\n", flush=True)
        return
    tensor, output = seen["tensor"], seen["output"]
    print(f"  image     {seen['width']} x {seen['height']} {seen['format']}")
    print(f"  seen as   {printable(seen['picture'])}")
    shape = "x".join(map(str, tensor["shape"]))
    print(f"  tensor    {tensor['name']} {tensor['dtype']} {shape} {tensor['layout']} {tensor['color_order']}")
    for name in ("min", "max", "mean"):
        print(f"    {name:<7} {'  '.join(f'{value:8.4f}' for value in tensor[name])}")
    print(
        f"  output    {output['name']} {output['shape']}: {output['count']} numbers from {output['min']:.4g} to"
        f" {output['max']:.4g}, sum {output['sum']:.4g}; still to be done: {output['activation']}"
    )
    for one in seen["predictions"]:
        print(f"    {one['score']:.4f}  {one['label_index']:>5}  {printable(one['label'])}")
    print(flush=True)
