"""``python -m tools cost``: what classifying that many photos costs on Azure, from what it takes on this machine.

Exit 0: priced; 2: misuse, or a model that is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference import classifier
from inference.decoding.header import read_header
from inference.errors import ConfigurationError, PermanentError
from inference.limits import Limits
from tools.cost.estimate import CORES, LOG_BYTES, REQUEST_S, Job, bill
from tools.cost.measure import measure
from tools.cost.peak import peak_mib
from tools.cost.photo import MAX_MEGAPIXELS, MIN_MEGAPIXELS, photo
from tools.cost.prices import price_list
from tools.cost.tables import bill_table, sizes_table, sources_table
from tools.terminal import printable

if TYPE_CHECKING:
    import argparse

    from tools.cost.estimate import Bill
    from tools.cost.measure import Measured

_PHOTOS = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--images", type=int, default=1_000_000, metavar="N", help="photos (default: a million)")
    parser.add_argument("--megapixels", type=float, default=12.0, metavar="M", help="size of each (default: 12)")
    parser.add_argument("--image", type=Path, help="a photo of yours to measure with, instead of a rendered one")
    parser.add_argument(
        "--model", type=Path, default=Path("models/shapes"), metavar="DIR", help="model folder (default: models/shapes)"
    )
    parser.add_argument(
        "--memory", type=int, choices=sorted(CORES), metavar="MB",
        help=f"instance size: {', '.join(map(str, sorted(CORES)))} (default: all of them, in short)",
    )  # fmt: skip
    parser.add_argument(
        "--cpu-factor", type=float, default=1.0, metavar="F",
        help="how many times longer a core of Azure takes than one of this machine (default: 1; unknown until tried)",
    )  # fmt: skip
    parser.add_argument(
        "--request-ms", type=float, default=REQUEST_S * 1000, metavar="MS",
        help="how long one storage request takes (default: %(default)g, an assumption)",
    )  # fmt: skip
    parser.add_argument(
        "--log-bytes", type=int, default=LOG_BYTES, metavar="N",
        help="bytes that Application Insights takes in per image (default: %(default)s, an assumption)",
    )  # fmt: skip
    parser.add_argument(
        "--rate", action="append", default=[], metavar="NAME=USD",
        help="another price: your region's, your contract's; names and quantities as --rates lists them",
    )  # fmt: skip
    parser.add_argument(
        "--rates", action="store_true", help="list every rate with its source and date, and measure nothing"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.epilog = (
        "What is and is not in the sum: docs/cost.md.\n\n"
        "example:\n  python -m tools cost --images 1000000 --megapixels 12 --memory 2048"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, price, print."""
    prices = price_list(args.rate)
    if args.rates:
        print(json.dumps(asdict(prices), indent=2) if args.json else sources_table(prices))
        return 0
    _refuse_misuse(args)
    measured, peak, model = _measured(args)
    jobs = [
        Job(
            args.images,
            measured.cpu_s,
            memory,
            args.cpu_factor,
            request_s=args.request_ms / 1000,
            log_bytes=args.log_bytes,
        )
        for memory in ([args.memory] if args.memory else sorted(CORES))
    ]
    bills = [bill(job, prices) for job in jobs]
    if args.json:
        told = {
            "model": model,
            "measured": {**asdict(measured), "peak_mib": peak},
            "jobs": [_told(*pair) for pair in zip(jobs, bills, strict=True)],
        }
        print(json.dumps(told, indent=2))
        return 0
    memory = "" if peak is None else f" and {peak:.1f} MiB"
    print(
        f"{printable(model)}, photos of {measured.megapixels:.1f} megapixels and {measured.photo_bytes / 1e6:.2f} MB: "
        f"{measured.cpu_s * 1000:.1f} ms of CPU{memory} each on this machine\n"
    )
    print(bill_table(jobs[0], bills[0], prices) if args.memory else sizes_table(jobs, bills))
    return 0


def _refuse_misuse(args: argparse.Namespace) -> None:
    for name, low, high in (
        ("images", 1, 10**12),
        ("megapixels", MIN_MEGAPIXELS, MAX_MEGAPIXELS),
        ("cpu_factor", 0.01, 100),
        ("request_ms", 0, 10_000),
        ("log_bytes", 0, 10**6),
    ):
        value = getattr(args, name)
        if not low <= value <= high:
            raise ConfigurationError(f"--{name.replace('_', '-')} is {value:g}, but must be from {low:g} to {high:g}.")


def _measured(args: argparse.Namespace) -> tuple[Measured, float | None, str]:
    """Measure one image: its CPU time, its memory in MiB; and the model's name and version."""
    if args.image:
        try:
            photos = [args.image.read_bytes()]
            read_header(photos[0], Limits())
        except OSError as error:
            raise ConfigurationError(f"{args.image} cannot be read: {error.strerror or error}.") from error
        except PermanentError as error:
            raise ConfigurationError(f"{args.image} cannot be measured: {error.detail}") from error
    else:
        photos = [photo(args.megapixels, seed) for seed in range(_PHOTOS)]
    loaded = classifier.load(args.model)
    identity = loaded.model
    return measure(loaded, photos), peak_mib(args.model, photos[0]), f"{identity.name} {identity.version}"


def _told(job: Job, priced: Bill) -> dict[str, Any]:
    return {
        **asdict(job),
        "cores": job.cores,
        "at_once": job.at_once,
        "busy_s": job.busy_s,
        "alone_s": job.alone_s,
        "usd": priced.usd,
        "usd_per_1000": priced.usd_per_1000,
        "alone_more_usd": priced.alone_more_usd,
        "granted_usd": priced.granted_usd,
        "lines": [line._asdict() for line in priced.lines],
    }
