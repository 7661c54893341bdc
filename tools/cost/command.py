"""``python -m tools cost``: estimates the cost of classifying photos on Azure from a measurement on this machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference import classifier
from inference.decoding.header import read_header
from inference.errors import ConfigurationError, PermanentError
from inference.limits import Limits
from tools.cost.estimate import CORES, HOST_CPU_S, LOG_BYTES, REQUEST_S, Job, bill
from tools.cost.measure import MAX_MEGAPIXELS, MIN_MEGAPIXELS, measure, rendered_photos
from tools.cost.prices import price_list
from tools.cost.tables import lines, show, show_prices, sizes
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from tools.cost.estimate import Bill

_RANGES = {
    "images": (1, 10**12),
    "megapixels": (MIN_MEGAPIXELS, MAX_MEGAPIXELS),
    "cpu_factor": (0.01, 100),
    "host_cpu_ms": (0, 10_000),
    "request_ms": (0, 10_000),
    "log_bytes": (0, 10**6),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    memory = ", ".join(map(str, sorted(CORES)))
    add("--images", type=int, default=1_000_000, metavar="N", help="number of photos (default: a million)")
    add("--megapixels", type=float, default=12.0, metavar="M", help="size of each photo (default: 12)")
    add("--image", type=Path, help="measure with this photo instead of rendered ones")
    add("--model", type=Path, default=Path("models/shapes"), metavar="DIR", help="model folder (default: %(default)s)")
    add("--memory", type=int, choices=sorted(CORES), metavar="MB",
        help=f"show every line of the bill of one instance size: {memory} (default: a row for each size)")  # fmt: skip
    add("--cpu-factor", type=float, default=1.0, metavar="F",
        help="duration on a core of Azure, relative to one of this machine (default: 1, an assumption)")  # fmt: skip
    add("--host-cpu-ms", type=float, default=HOST_CPU_S * 1000, metavar="MS",
        help="CPU of the Functions host for one image (default: %(default)g, measured; polling: 12)")  # fmt: skip
    add("--request-ms", type=float, default=REQUEST_S * 1000, metavar="MS",
        help="duration of one storage request (default: %(default)g, an assumption)")  # fmt: skip
    add("--log-bytes", type=int, default=LOG_BYTES, metavar="N",
        help="bytes that Application Insights ingests per image (default: %(default)s, an assumption)")  # fmt: skip
    add("--rate", action="append", default=[], metavar="NAME=USD",
        help="replace a price by your region's or contract's; --rates lists names and quantities")  # fmt: skip
    add("--rates", action="store_true", help="list every price with source and date, and measure nothing")
    add("--json", action="store_true", help="print one JSON object")
    parser.epilog = (
        "docs/cost.md says what the estimate includes.\n\n"
        "example:\n  python -m tools cost --images 1000000 --megapixels 12 --memory 2048"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, estimate and print."""
    prices = price_list(args.rate)
    if args.rates:
        if args.json:
            print(json.dumps(asdict(prices), indent=2))
        else:
            show_prices(prices)
        return 0
    for name, (low, high) in _RANGES.items():
        if not low <= (value := getattr(args, name)) <= high:
            raise ConfigurationError(f"--{name.replace('_', '-')} is {value:g}, but must be from {low:g} to {high:g}.")
    photos = _photos(args)
    loaded = classifier.load(args.model)
    measured = measure(loaded, photos)
    bills = [
        bill(
            Job(
                args.images,
                measured.cpu_s,
                memory,
                args.cpu_factor,
                host_cpu_s=args.host_cpu_ms / 1000,
                request_s=args.request_ms / 1000,
                log_bytes=args.log_bytes,
            ),
            prices,
        )
        for memory in ([args.memory] if args.memory else sorted(CORES))
    ]
    model = f"{loaded.model.name} {loaded.model.version}"
    if args.json:
        document = {"model": model, "measured": asdict(measured), "jobs": [_to_json(each) for each in bills]}
        print(json.dumps(document, indent=2))
        return 0
    memory = "" if measured.peak_mib is None else f" and {measured.peak_mib:.1f} MiB"
    print(
        f"{printable(model)}, photos of {measured.megapixels:.1f} megapixels and {measured.photo_bytes / 1e6:.2f} MB: "
        f"{measured.cpu_s * 1000:.1f} ms of CPU{memory} each on this machine. {args.images:,} images:"
    )
    if not args.memory:
        show(sizes(bills))
        return 0
    (priced,) = bills
    show(lines(priced, prices))
    job = priced.job
    print(
        f"Instances of {job.memory_mb} MB work on {job.at_once} images at once, {job.busy_s * 1000:.1f} ms active per"
        f" image. A thousand images cost ${priced.usd_per_1000:.4f}.\n"
        f"If images arrive one at a time, each is billed {job.alone_s:.1f} s: ${priced.alone_more_usd:,.2f} more.\n"
        f"The known free grants of a month cover ${priced.granted_usd:,.2f}."
    )
    return 0


def _photos(args: argparse.Namespace) -> list[bytes]:
    if not args.image:
        return rendered_photos(args.megapixels)
    try:
        content: bytes = args.image.read_bytes()
        read_header(content, Limits())
    except OSError as error:
        raise ConfigurationError(f"{args.image} cannot be read: {error.strerror or error}.") from error
    except PermanentError as error:
        raise ConfigurationError(f"{args.image} cannot be measured: {error.detail}") from error
    return [content]


def _to_json(priced: Bill) -> dict[str, Any]:
    job = priced.job
    derived = {name: getattr(job, name) for name in ("cores", "at_once", "busy_s", "alone_s")}
    usd = {name: getattr(priced, name) for name in ("usd", "usd_per_1000", "alone_more_usd", "granted_usd")}
    return {**asdict(job), **derived, **usd, "lines": [line._asdict() for line in priced.lines]}
