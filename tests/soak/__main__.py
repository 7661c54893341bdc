"""Long runs of the whole worker, started by hand: bounded memory, no leak, a small footprint.

    python -m tests.soak bounded --megapixels 50 --limit-mib 1228     # sixteen large images at once
    python -m tests.soak leak --images 20000                          # the slope of the resident set
    python -m tests.soak footprint --images 1000                      # with a MobileNetV2-shaped model

Each prints JSON lines, starts its own Azurite and worker, and removes all data at the end.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tests.inference.decoding.memory_stress import KINDS
from tests.soak.bounded import bounded
from tests.soak.footprint import THREADS, footprint
from tests.soak.leak import leak


def main() -> None:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("bounded")
    one.add_argument("--megapixels", type=float, default=50)
    one.add_argument(
        "--grain", type=float, default=6, help="standard deviation of the photo's noise, in levels of 0 to 255"
    )
    one.add_argument("--limit-mib", type=int, default=1228)
    kinds = [*KINDS, "mixed"]
    one.add_argument("--kinds", nargs="+", default=kinds, choices=kinds)
    two = commands.add_parser("leak")
    two.add_argument("--images", type=int, default=20_000)
    two.add_argument("--samples-to", type=Path, help="append 'images,KiB' lines to this file")
    three = commands.add_parser("footprint")
    three.add_argument("--images", type=int, default=1_000)
    three.add_argument("--threads", type=int, default=THREADS, help="threads of the worker's pool")
    args = parser.parse_args()
    if args.command == "bounded":
        for line in bounded(args.megapixels, args.grain, args.limit_mib, args.kinds):
            print(json.dumps(line), flush=True)  # noqa: T201
    elif args.command == "leak":
        print(json.dumps(leak(args.images, args.samples_to)))  # noqa: T201
    else:
        print(json.dumps(footprint(args.images, args.threads)))  # noqa: T201


if __name__ == "__main__":
    main()
