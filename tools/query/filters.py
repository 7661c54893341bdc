"""The filters of a command line, for every command that selects results."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from storage.query.plan import Filter
from storage.results.record import Status
from tools.times import parse_time, parse_wall_clock

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_filters(parser: ArgumentParser) -> None:
    """Declare the filters; every given one must match."""
    group = parser.add_argument_group("filters (every given one must match)")
    group.add_argument("--image", metavar="NAME", help="only this image, by its name in the incoming container")
    group.add_argument("--folder", metavar="NAME", help='only images directly in this folder; "" is the top')
    group.add_argument("--label", metavar="LABEL", help="only images with exactly this label")
    group.add_argument("--min-score", type=_score, metavar="SCORE", help="only images with at least this score, 0 to 1")
    group.add_argument(
        "--since",
        type=parse_time,
        metavar="TIME",
        help="classified at this time or later: 7d, 1h, 30m (ago), or ISO 8601",
    )
    group.add_argument(
        "--until", type=parse_time, metavar="TIME", help="classified before this time; UTC where it has no offset"
    )
    group.add_argument(
        "--taken-since",
        type=parse_wall_clock,
        metavar="TIME",
        help="captured at this time or later by the camera's own clock; a zone is ignored",
    )
    group.add_argument(
        "--taken-until",
        type=parse_wall_clock,
        metavar="TIME",
        help="captured before this time by the camera's own clock",
    )
    group.add_argument(
        "--camera",
        metavar="CAMERA",
        help="this serial number, model, or make and model; the folder, for images that state none of them",
    )
    group.add_argument("--status", choices=[str(status) for status in Status], help="only images with this status")
    group.add_argument("--reason", metavar="CODE", help="only images with this reason, such as too_many_pixels")
    group.add_argument("--model", metavar="MODEL", help="classified by the model of this name or version")
    group.add_argument("--damaged", action="store_true", help="only pictures of which only a part was classified")


def read_filter(args: Namespace, container: str) -> Filter:
    """The filter that the options describe, for images of one container."""
    return Filter(
        container=container,
        image=args.image,
        folder=args.folder,
        label=args.label,
        min_score=args.min_score,
        since=args.since,
        until=args.until,
        status=Status(args.status) if args.status else None,
        reason=args.reason,
        model=args.model,
        damaged=args.damaged,
        taken_since=args.taken_since,
        taken_until=args.taken_until,
        camera=args.camera,
    )


def _score(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a score: write a number from 0 to 1")
    return number
