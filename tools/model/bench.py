"""``model bench``: what models cost on this machine. Only the ratios travel: another CPU has other milliseconds.

Inference is measured as the app runs it: batch 1, one thread inside each call, and from one caller up to as many as
there are usable CPUs. Callers are measured in turns, model by model, so that a noisy neighbour hits all alike.
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

from inference.errors import ConfigurationError
from inference.model.folder import load_model
from inference.model.session import Session, onnxruntime
from inference.resources.cpus import usable_cpus
from tools.model.tensors import tensor_of
from tools.model.throughput import Callers, caller_counts, rates
from tools.process_stats import resident
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from inference.model.loaded import LoadedModel

_PHOTO_PIXELS = (4000, 3000)
_PREPROCESS_RUNS = 9


@dataclass(frozen=True, slots=True)
class Measured:
    """One model's numbers.

    Attributes:
        load_ms: From the file to a session that can answer.
        resident_mib: What the process grew by for it, its working memory included.
        preprocess_ms: From the bytes of one photo to the model's input.
        inference: By number of callers, 1 first.
        ratio: Images per second of the most callers, against the first model's.
    """

    name: str
    version: str
    graph_bytes: int
    load_ms: float
    resident_mib: float
    preprocess_ms: float
    inference: list[Callers]
    ratio: float = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="DIR", help="model folders; the first is compared with"
    )
    parser.add_argument("--image", type=Path, help="the photo to preprocess (default: a rendered 12-megapixel JPEG)")
    parser.add_argument("--seconds", type=float, default=2.0, help="time per model and number of callers (default: 2)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per model")
    parser.epilog = (
        "int8 is faster where the CPU has VNNI (or its Arm counterpart), and may be slower where it has not: measure\n"
        "on the machine that will run it.\n\n"
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
    onnxruntime()  # its import is no model's cost
    loaded = [_load(folder) for folder in args.folders]
    callers = caller_counts(usable_cpus())
    by_model = rates([model for model, _, _ in loaded], callers, args.seconds)
    first = by_model[0][callers[-1]].images_per_s
    for (model, load_ms, mib), by_callers in zip(loaded, by_model, strict=True):
        identity = model.spec.identity
        measured = Measured(
            name=identity.name,
            version=identity.version,
            graph_bytes=model.spec.graph.stat().st_size,
            load_ms=load_ms,
            resident_mib=mib,
            preprocess_ms=_preprocess_ms(model, photo),
            inference=list(by_callers.values()),
            ratio=by_callers[callers[-1]].images_per_s / first,
        )
        print(json.dumps(asdict(measured)) if args.json else _table(measured), flush=True)
    return 0


def _load(folder: Path) -> tuple[LoadedModel, float, float]:
    """Open a model and return it with the milliseconds its session took and the MiB the process grew by."""
    before = resident().now_mib
    model = load_model(folder)
    model.warm()
    grown = resident().now_mib - before
    started = time.perf_counter()
    Session(model.spec.graph)
    return model, (time.perf_counter() - started) * 1000, grown


def _preprocess_ms(model: LoadedModel, photo: bytes) -> float:
    spans = []
    for _ in range(_PREPROCESS_RUNS):
        started = time.perf_counter()
        tensor_of(model, photo)
        spans.append(time.perf_counter() - started)
    return statistics.median(spans) * 1000


def _photo() -> bytes:
    """A 12-megapixel JPEG of about 2 bits per pixel: soft shapes with some grain, as a camera's."""
    width, height = _PHOTO_PIXELS
    rng = np.random.default_rng(2)
    soft = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    Image.blend(soft, grain, 0.06).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _table(measured: Measured) -> str:
    alone = measured.inference[0]
    rows: list[tuple[str, Any, str]] = [
        ("graph", f"{measured.graph_bytes / 2**20:.1f}", "MiB"),
        ("session load", f"{measured.load_ms:.0f}", "ms"),
        ("resident memory", f"{measured.resident_mib:.0f}", "MiB"),
        (
            "preprocessing",
            f"{measured.preprocess_ms:.1f}",
            f"ms  {measured.preprocess_ms / alone.ms_per_image:.1f} of an inference",
        ),
    ]
    for by in measured.inference:
        faster = by.images_per_s / alone.images_per_s
        callers = f"{by.callers} caller{'s' if by.callers > 1 else ''}"
        rows.append(
            (callers, f"{by.images_per_s:.1f}", f"images/s  {by.ms_per_image:.2f} ms each, {faster:.2f} of one caller")
        )
    rows.append(("against the first", f"{measured.ratio:.2f}", ""))
    lines = [f"{printable(measured.name)} {measured.version}"]
    return "\n".join([*lines, *(f"  {name:<18} {value:>8} {unit}" for name, value, unit in rows)]) + "\n"
