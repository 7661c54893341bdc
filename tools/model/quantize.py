"""``model quantize``: writes an int8 copy of a float model and compares the two.

The copy is in QDQ form with unsigned 8-bit activations and signed 7-bit weights, with which no CPU saturates. Ranges
are calibrated on the user's images with the app's own preprocessing.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.classifier import Classifier
from inference.errors import ConfigurationError, PermanentError
from inference.model.folder import load_model
from inference.resources.cpus import usable_cpus
from tools.model.folders import atomic_folder, model_files, weight_files
from tools.model.model_json import to_model_json
from tools.model.throughput import measure
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
        help="images like those that you will classify, or folders of them",
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="the new folder (default: DIR-int8)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.epilog = "example:\n  python -m tools model quantize models/mine --calibrate photos/"


def run(args: argparse.Namespace) -> int:
    """Quantize, compare and report; 0 also when int8 is slower or less accurate, which the report shows."""
    from tools.model.int8 import refuse_quantized, write_int8

    model = load_model(args.folder)
    refuse_quantized(model.spec.graph)
    target: Path = args.to or args.folder.resolve().with_name(f"{args.folder.resolve().name}-int8")
    tensors = list(_tensors(model, list(_files(args.calibrate))))
    if not tensors:
        raise ConfigurationError("None of the calibration images can be classified: give other images.")
    if len(tensors) < _FEW_IMAGES:
        print(f"Calibrating on {len(tensors)} images: a hundred or more give more accurate ranges.", file=sys.stderr)
    with atomic_folder(target.parent, target.name) as partial:
        graph = partial / model.spec.graph.relative_to(args.folder)
        graph.parent.mkdir(parents=True, exist_ok=True)
        write_int8(model, tensors, graph)
        for path in set(model_files(args.folder, model.spec)) - set(weight_files(model.spec)):
            copy = partial / path.relative_to(args.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        (partial / "model.json").write_text(to_model_json(model.spec, target.name), encoding="utf-8")
        load_model(partial)
    report = _compare(model, load_model(target), tensors)
    print(json.dumps(report) if args.json else _text(target, report))
    return 0


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            yield path
        else:
            raise ConfigurationError(f"{path} does not exist, or is not a regular file.")


def _tensors(model: LoadedModel, files: Sequence[Path]) -> Iterator[NDArray[np.generic]]:
    """Yield the model's input for every image; a file that cannot be classified is reported and left out."""
    classifier = Classifier([model])
    for file in files:
        try:
            yield classifier.preprocess(file.read_bytes())[1][0]
        except PermanentError as error:
            print(f"{printable(str(file))} is left out: {error.detail}", file=sys.stderr)
        except OSError as error:
            print(f"{printable(str(file))} is left out: {error.strerror or error}.", file=sys.stderr)


def _compare(model: LoadedModel, small: LoadedModel, tensors: Sequence[NDArray[np.generic]]) -> dict[str, Any]:
    """Compare results on the calibration images, and throughput in turns."""
    same, largest_difference = 0, 0.0
    for tensor in tensors:
        one, other = (each.predictions(each.run(tensor), len(each.spec.labels)) for each in (model, small))
        same += one[0].label_index == other[0].label_index
        scores = {prediction.label_index: prediction.score for prediction in other}
        largest_difference = max(largest_difference, abs(one[0].score - scores[one[0].label_index]))
    cpus = usable_cpus()
    before, after = (by[cpus] for by in measure([model, small], [cpus], _COMPARE_SECONDS))
    bytes_before, bytes_after = (
        sum(path.stat().st_size for path in weight_files(each.spec)) for each in (model, small)
    )
    return {
        "model": small.spec.identity.name,
        "model_version": small.spec.identity.version,
        "images": len(tensors),
        "top_1_agreement": same / len(tensors),
        "largest_score_difference": largest_difference,
        "callers": cpus,
        "images_per_s": after.images_per_s,
        "images_per_s_before": before.images_per_s,
        "speed_ratio": after.images_per_s / before.images_per_s,
        "bytes": bytes_after,
        "size_ratio": bytes_after / bytes_before,
    }


def _text(target: Path, report: dict[str, Any]) -> str:
    faster, now, before = report["speed_ratio"], report["images_per_s"], report["images_per_s_before"]
    speed = f"{faster:.2f} times as fast" if faster >= 1 else f"SLOWER: {faster:.2f} times the speed"
    same = round(report["top_1_agreement"] * report["images"])
    return (
        f"{target}\n"
        f"  speed      {speed} on this machine ({now:.0f} against {before:.0f} images/s,"
        f" {report['callers']} callers)\n"
        f"  size       {report['size_ratio']:.2f} of the original, {report['bytes']:,} bytes\n"
        f"  agreement  the same label for {same} of {report['images']} images; the best label's score moved by at most"
        f" {report['largest_score_difference']:.3f}\n"
        "These are the calibration images: compare the models on other images too."
    )
