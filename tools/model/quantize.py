"""``model quantize``: an int8 sibling of a float model, and an honest comparison of the two.

QDQ form, unsigned 8-bit activations and signed 8-bit weights: what ONNX Runtime's CPU kernels are made for. Ranges are
calibrated on the user's own images through our own preprocessing. Needs the ``onnx`` package, which neither the app nor
any other tool does.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.errors import ConfigurationError, PermanentError
from inference.model.folder import load_model
from inference.resources.cpus import usable_cpus
from tools.model.folders import appearing, needed_files, weights
from tools.model.model_json import to_model_json
from tools.model.tensors import tensor_of
from tools.model.throughput import rates
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from inference.model.loaded import LoadedModel

_FEW_IMAGES = 50
_COMPARE_SECONDS = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="a model folder with a float graph")
    parser.add_argument(
        "--calibrate",
        type=Path,
        nargs="+",
        required=True,
        metavar="IMAGE",
        help="images as you will classify, or folders",
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="the new folder (default: DIR-int8)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.epilog = "example:\n  python -m tools model quantize models/mine --calibrate photos/"


def run(args: argparse.Namespace) -> int:
    """Quantise, compare, report; 0 also when int8 turns out slower or worse: the report says so."""
    if importlib.util.find_spec("onnx") is None:
        raise ConfigurationError("Quantising needs the onnx package, which nothing else here does: pip install onnx.")
    from tools.model.int8 import quantized, refuse_quantized

    model = load_model(args.folder)
    refuse_quantized(model.spec.graph)
    target: Path = args.to or args.folder.resolve().with_name(f"{args.folder.resolve().name}-int8")
    tensors = list(_tensors(model, list(_files(args.calibrate))))
    if not tensors:
        raise ConfigurationError("None of the images to calibrate on can be classified: give some that can.")
    if len(tensors) < _FEW_IMAGES:
        print(f"Calibrating on {len(tensors)} images: a hundred or more give truer ranges.", file=sys.stderr)
    with appearing(target.parent, target.name) as place:
        graph = place / model.spec.graph.relative_to(args.folder)
        graph.parent.mkdir(parents=True, exist_ok=True)
        quantized(model, tensors, graph)
        for path in set(needed_files(args.folder, model.spec)) - set(weights(model.spec)):
            copy = place / path.relative_to(args.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        (place / "model.json").write_text(to_model_json(model.spec, target.name), encoding="utf-8")
        load_model(place)
    report = _compare(model, load_model(target), tensors)
    print(json.dumps(report) if args.json else _told(target, report))
    return 0


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            yield path
        else:
            raise ConfigurationError(f"{path} does not exist, or is no file.")


def _tensors(model: LoadedModel, files: Sequence[Path]) -> Iterator[NDArray[np.generic]]:
    """Yield the model's input for every image; what is no image is named and left out."""
    for file in files:
        try:
            yield tensor_of(model, file.read_bytes())[1]
        except PermanentError as error:
            print(f"{printable(str(file))} is left out: {error.detail}", file=sys.stderr)
        except OSError as error:
            print(f"{printable(str(file))} is left out: {error.strerror or error}.", file=sys.stderr)


def _compare(model: LoadedModel, small: LoadedModel, tensors: Sequence[NDArray[np.generic]]) -> dict[str, Any]:
    """Measure both on the same images and in turns."""
    same, furthest = 0, 0.0
    for tensor in tensors:
        one, other = (each.predictions(each.run(tensor), len(each.spec.labels)) for each in (model, small))
        same += one[0].label_index == other[0].label_index
        scores = {prediction.label_index: prediction.score for prediction in other}
        furthest = max(furthest, abs(one[0].score - scores[one[0].label_index]))
    cpus = usable_cpus()
    before, after = (by[cpus] for by in rates([model, small], [cpus], _COMPARE_SECONDS))
    bytes_before, bytes_after = (sum(path.stat().st_size for path in weights(each.spec)) for each in (model, small))
    return {
        "model": small.spec.identity.name,
        "model_version": small.spec.identity.version,
        "images": len(tensors),
        "top_1_agreement": same / len(tensors),
        "largest_score_difference": furthest,
        "callers": cpus,
        "images_per_s": after.images_per_s,
        "images_per_s_before": before.images_per_s,
        "speed_ratio": after.images_per_s / before.images_per_s,
        "bytes": bytes_after,
        "size_ratio": bytes_after / bytes_before,
    }


def _told(target: Path, report: dict[str, Any]) -> str:
    faster, now, before = report["speed_ratio"], report["images_per_s"], report["images_per_s_before"]
    verdict = f"{faster:.2f} times as fast" if faster >= 1 else f"SLOWER: {faster:.2f} times the speed"
    same = round(report["top_1_agreement"] * report["images"])
    return (
        f"{target}\n"
        f"  speed      {verdict} here ({now:.0f} against {before:.0f} images/s,"
        f" {report['callers']} callers)\n"
        f"  size       {report['size_ratio']:.2f} of the original, {report['bytes']:,} bytes\n"
        f"  agreement  the same label for {same} of {report['images']} images; the best label's score moved by at most"
        f" {report['largest_score_difference']:.3f}\n"
        "These are the images it was calibrated on: try others before you trust it."
    )
