"""``python -m tools.scale``: run the simulation, draw it, calibrate it, hold it against a real run.

sweep      every scenario of docs/scale.md, to a JSON file        (half an hour; --short: a minute)
picture    draw that file
calibrate  measure this machine's inputs against an Azurite
validate   a real run of the dev host on an Azurite, and the same simulated
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tools.scale import scenarios

RESULTS = Path(__file__).with_name("results.json")
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "img" / "scale.svg"


def main(argv: list[str] | None = None) -> int:
    """Run one of the four."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("sweep", "picture", "calibrate", "validate"))
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="the JSON file (default: tools/scale/results.json)"
    )
    parser.add_argument("--picture", type=Path, default=PICTURE, help="the SVG file (default: docs/img/scale.svg)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="sweep: smaller bursts, for a first look")
    parser.add_argument("--images", type=int, default=300, help="validate: how many (default: 300)")
    parser.add_argument("--azcopy", type=Path, help="validate: upload with this azcopy instead of the SDK")
    args = parser.parse_args(argv)
    if args.what == "sweep":
        _sweep(args)
    elif args.what == "picture":
        from tools.scale.picture import drawn

        args.picture.write_text(drawn(json.loads(args.results.read_text())), encoding="utf-8")
    elif args.what == "calibrate":
        from tools.scale.calibrate import calibrate

        print(json.dumps(calibrate()._asdict(), indent=2))
    else:
        from tools.scale.validate import validate

        print(json.dumps(validate(args.images, args.azcopy, args.seed), indent=2))
    return 0


def _sweep(args: argparse.Namespace) -> None:
    runs = {
        "bursts": scenarios.bursts(args.seed, 0.05 if args.short else 1.0),
        "one_burst": scenarios.one_burst(2_000 if args.short else 20_000, args.seed),
        "steady": scenarios.steady(args.seed),
        "scaling_out": scenarios.scaling_out(2_000 if args.short else 30_000, args.seed),
    }
    done: dict[str, list[scenarios.Outcome]] = {}
    for name, outcomes in runs.items():
        done[name] = []
        for one in outcomes:
            done[name].append(one)
            print(
                f"{name:<12}{one.variant:<38}{one.instances:>5} instances {one.images:>8,} images "
                f"{one.images_per_s:>8.1f}/s  p50 {one.p50_s:>7.1f} s  p99 {one.p99_s:>7.1f} s  {one.tightest}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    args.results.write_text(json.dumps(scenarios.as_json(done), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
