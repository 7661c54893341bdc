"""The options of the format on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tools.export.formats.camtrap_dp.zones import parse_zone

if TYPE_CHECKING:
    from datetime import tzinfo


def add_options(group: argparse._ActionsContainer) -> None:
    """Declare the options that only this format takes."""
    group.add_argument(
        "--deployments",
        type=Path,
        metavar="FILE",
        help="camtrap-dp: a CSV file with the columns of Camtrap DP's deployments, folder, and timezone if zones "
        "differ; the longest folder above an image counts (each folder is a deployment)",
    )
    group.add_argument(
        "--timezone",
        type=_zone,
        metavar="ZONE",
        help="camtrap-dp: the zone of the cameras' clocks, such as +01:00 or Europe/Brussels",
    )
    group.add_argument(
        "--metadata",
        type=Path,
        metavar="FILE",
        help="camtrap-dp: a JSON file with properties for datapackage.json, such as contributors, project, taxonomic",
    )
    group.add_argument(
        "--media-url",
        metavar="URL",
        help="camtrap-dp: the address before the blob names of public images (relative paths, not public)",
    )


def _zone(text: str) -> tzinfo:
    try:
        return parse_zone(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
