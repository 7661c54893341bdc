"""``model bench``: measures time and memory of models on this machine. Compare ratios, not milliseconds, with others.

Inference is measured as the app runs it: batch 1, one thread inside each call, and one caller up to one per usable CPU.
The models take turns, so that other processes slow all of them alike.
"""

from __future__ import annotations

import io
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from inference.classifier import Classifier
from inference.errors import ConfigurationError
from inference.model.folder import load_model
from inference.model.session import Session, onnxruntime
from inference.resources.cpus import usable_cpus
from tools.model.throughput import Throughput, caller_counts, measure
from tools.process_stats import resident
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from inference.model.loaded import LoadedModel

_PHOTO_PIXELS = (4000, 3000)
_PREPROCESS_RUNS = 9


@dataclass(frozen=True, slots=True)
class ModelBenchmark:
    """The measurements of one model.

    Attributes:
        name: The model's name.
        version: The model's version.
        graph_bytes: Size of the ONNX file.
        load_ms: Time to load the session, in milliseconds.
        resident_mib: Growth of the process's resident memory, with the memory of one inference.
        preprocess_ms: Median time from the bytes of one photo to the model's input, in milliseconds.
        inference: Throughput by number of concurrent callers, 1 first.
        exact_int8: See ``Session``.
        ratio: Images per second with the most callers, divided by the first model's.
    """

    name: str
    version: str
    graph_bytes: int
    load_ms: float
    resident_mib: float
    preprocess_ms: float
    inference: list[Throughput]
    exact_int8: bool
    ratio: float = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="DIR", help="model folders; the others are compared with the first"
    )
    parser.add_argument("--image", type=Path, help="photo to preprocess (default: a rendered 12-megapixel JPEG)")
    parser.add_argument("--seconds", type=float, default=2.0, help="time per model and number of callers (default: 2)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per model")
    parser.epilog = (
        "int8 is faster on a CPU with VNNI (or its Arm counterpart) and may be slower on others: measure on the\n"
        "machine that will run the model.\n\n"
        "example:\n  python -m tools model bench models/mine models/mine-int8"
    )


def run(args: argparse.Namespace) -> int:
    """Measure every model."""
    if not 0 < args.seconds <= 600:
        raise ConfigurationError(f"--seconds is {args.seconds:g}, but must be above 0 and at most 600.")
    try:
        photo = args.image.read_bytes() if args.image else _photo()
    except OSError as error:
        raise ConfigurationError(f"{args.image} cannot be read: {error.strerror or error}.") from error
    onnxruntime()  # imported first, so that no model's time includes it
    loaded = [_load(folder) for folder in args.folders]
    callers = caller_counts(usable_cpus())
    by_model = measure([model for model, _, _ in loaded], callers, args.seconds)
    first = by_model[0][callers[-1]].images_per_s
    for (model, load_ms, mib), by_callers in zip(loaded, by_model, strict=True):
        identity = model.spec.identity
        benchmark = ModelBenchmark(
            name=identity.name,
            version=identity.version,
            graph_bytes=model.spec.graph.stat().st_size,
            load_ms=load_ms,
            resident_mib=mib,
            preprocess_ms=_preprocess_ms(model, photo),
            inference=list(by_callers.values()),
            exact_int8=model.session.exact_int8,
            ratio=by_callers[callers[-1]].images_per_s / first,
        )
        print(json.dumps(asdict(benchmark)) if args.json else _table(benchmark), flush=True)
    return 0


def _load(folder: Path) -> tuple[LoadedModel, float, float]:
    """Load a model; return it with its session's load time in ms and the growth of the process in MiB."""
    before = resident().now_mib
    model = load_model(folder)
    model.warm()
    grown = resident().now_mib - before
    started = time.perf_counter()
    Session(model.spec.graph, exact_int8=model.session.exact_int8)
    return model, (time.perf_counter() - started) * 1000, grown


def _preprocess_ms(model: LoadedModel, photo: bytes) -> float:
    classifier = Classifier([model])
    durations = []
    for _ in range(_PREPROCESS_RUNS):
        started = time.perf_counter()
        classifier.preprocess(photo)
        durations.append(time.perf_counter() - started)
    return statistics.median(durations) * 1000


def _photo() -> bytes:
    """Return a 12-megapixel JPEG of about 2 bits per pixel: soft shapes and some grain, as in a camera's photo."""
    width, height = _PHOTO_PIXELS
    rng = np.random.default_rng(2)
    soft = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    Image.blend(soft, grain, 0.06).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _table(benchmark: ModelBenchmark) -> str:
    alone = benchmark.inference[0]
    rows: list[tuple[str, Any, str]] = [
        ("graph", f"{benchmark.graph_bytes / 2**20:.1f}", "MiB"),
        ("session load", f"{benchmark.load_ms:.0f}", "ms"),
        ("resident memory", f"{benchmark.resident_mib:.0f}", "MiB"),
        (
            "preprocessing",
            f"{benchmark.preprocess_ms:.1f}",
            f"ms  {benchmark.preprocess_ms / alone.ms_per_image:.1f} of an inference",
        ),
    ]
    for by in benchmark.inference:
        faster = by.images_per_s / alone.images_per_s
        callers = f"{by.callers} caller{'s' if by.callers > 1 else ''}"
        rows.append(
            (callers, f"{by.images_per_s:.1f}", f"images/s  {by.ms_per_image:.2f} ms each, {faster:.2f} of one caller")
        )
    rows.append(("against the first", f"{benchmark.ratio:.2f}", ""))
    rows.append(("exact int8", "on" if benchmark.exact_int8 else "not needed", ""))
    lines = [f"{printable(benchmark.name)} {benchmark.version}"]
    return "\n".join([*lines, *(f"  {name:<18} {value:>8} {unit}" for name, value, unit in rows)]) + "\n"
